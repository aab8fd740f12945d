"""What is typed, and how long it is."""

from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Div, TextInput

say = TextInput(title="say")
heard = Div(text="nothing")


def hear(attr, old, new):
    heard.text = f"heard {len(new)}: {new[:40]}"


say.on_change("value", hear)
curdoc().add_root(column(say, heard))
