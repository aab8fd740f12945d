"""Plays the instructions of the Dockerfile where there is no container engine, in the directory
$WORK: `base` is what its first image has, each stage becomes a directory of its own, and
`image.json` says how the last one is run.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

TOP, WORK = Path(sys.argv[1]), Path(os.environ["WORK"])
ARGS = dict(word.split("=", 1) for word in sys.argv[2:])


def instructions():
    """Each instruction: its word, and the rest."""
    text = (TOP / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def context():
    """What of the checkout the engine is given, by a .dockerignore that lists what is wanted."""
    first, *wanted = (TOP / ".dockerignore").read_text().split()
    assert first == "*" and all(name.startswith("!") for name in wanted), wanted
    return [TOP / name.removeprefix("!") for name in wanted]


def copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


class Stage:
    """One FROM, and what follows."""

    def __init__(self, image, name):
        self.root = WORK / (name or "image")
        self.name, self.dir, self.shell = name, "/", ["/bin/sh", "-c"]
        self.env, self.config = {}, {}
        if image == "scratch":
            self.root.mkdir()
        else:
            (WORK / "base").rename(self.root)
            toolchain = self.root / "usr/local/cargo/bin"
            self.env = {"PATH": f"/{toolchain.relative_to(self.root)}:/usr/bin:/bin:/usr/sbin:/sbin"}
            self.env |= {"CARGO_HOME": "/usr/local/cargo", "HOME": "/root"}

    def run(self, rest):
        within = f"cd {shlex.quote(self.dir)} && {rest}"
        subprocess.run(["chroot", self.root, *self.shell, within], env=self.env, check=True)

    def copy(self, rest, stages):
        options, words = {}, rest.split()
        while words[0].startswith("--"):
            name, value = words.pop(0)[2:].split("=", 1)
            options[name] = value
        source, target = words
        target = self.root / (Path(self.dir) / target).relative_to("/")
        if stage := options.get("from"):
            copy(stages[stage].root / source.lstrip("/"), target)
        else:
            assert source == ".", source
            for path in context():
                copy(path, target / path.name)
        if owner := options.get("chown"):
            subprocess.run(["chown", "--recursive", owner, target], check=True)


def play():
    stages, stage = {}, None
    for word, rest in instructions():
        print(f"{word} {rest}", flush=True)
        match word:
            case "FROM":
                image, *name = rest.split()
                stage = Stage(image, name[1] if name else None)
                stages[stage.name] = stage
            case "RUN":
                stage.run(rest)
            case "COPY":
                stage.copy(rest, stages)
            case "WORKDIR":
                stage.dir = rest
                (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "SHELL":
                stage.shell = json.loads(rest)
            case "ARG":
                name, _, default = rest.partition("=")
                stage.env[name] = ARGS.get(name, default)
            case "ENV":
                stage.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "ENTRYPOINT" | "CMD":
                stage.config[word] = json.loads(rest)
            case "HEALTHCHECK":
                stage.config[word] = json.loads(rest.partition(" CMD ")[2])
            case "USER" | "STOPSIGNAL":
                stage.config[word] = rest
            case _:
                sys.exit(f"no part of this: {word}")
    stage.config["ENV"] = stage.env
    (WORK / "image.json").write_text(json.dumps(stage.config))


play()
