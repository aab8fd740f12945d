"""What is typed, and how long it is: python nicegui_app.py PORT"""

import sys

from nicegui import ui


@ui.page("/")
def index():
    heard = ui.label("nothing")
    say = ui.input("say")
    say.on("keydown.enter", lambda: heard.set_text(f"heard {len(say.value)}: {say.value[:40]}"))


ui.run(host="127.0.0.1", port=int(sys.argv[1]), show=False, reload=False)
