"""What is typed, and how long it is: python gradio_app.py PORT"""

import sys

import gradio as gr

with gr.Blocks(analytics_enabled=False) as page:
    say = gr.Textbox(label="say")
    heard = gr.Markdown("nothing")
    say.submit(lambda text: f"heard {len(text)}: {text[:40]}", say, heard)

page.launch(
    server_name="127.0.0.1", server_port=int(sys.argv[1]), root_path="/tool", ssr_mode=False
)
