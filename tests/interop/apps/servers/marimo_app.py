"""What is typed, and how long it is."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    return (mo,)


@app.cell
def _(mo):
    say = mo.ui.text(label="say")
    say
    return (say,)


@app.cell
def _(mo, say):
    mo.md(f"heard {len(say.value)}: {say.value[:40]}")
    return


if __name__ == "__main__":
    app.run()
