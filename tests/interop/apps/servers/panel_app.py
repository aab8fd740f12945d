"""What is typed, and how long it is."""

import panel as pn

pn.extension(reconnect=True)
say = pn.widgets.TextInput(name="say", max_length=200_000)
heard = pn.bind(lambda text: f"heard {len(text)}: {text[:40]}", say)
pn.Column(say, pn.pane.Str(heard)).servable()
