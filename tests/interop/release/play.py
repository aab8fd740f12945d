"""Plays the `run:` steps of a workflow's jobs in this directory, a checkout, as the runner would:
play.py WORKFLOW JOB…
Each job has its first row of a matrix. What is an action (`uses:`) is left out: the jobs share the
directory, where one finds what another made.
"""

import os
import re
import subprocess
import sys
import time

from strict_yaml import documents

# The options of bash that the runner gives it where a workflow says `shell: bash`.
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]


def filled(text, values):
    """A text with its `${{ … }}`; one of another name is an error."""
    return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: values[found[1]], str(text))


def play(name, job):
    rows = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
    values = {f"matrix.{key}": value for key, value in rows[0].items()} | {"github.token": "none"}
    own = {key: filled(value, values) for key, value in job.get("env", {}).items()}
    for step in job["steps"]:
        if "run" not in step:
            continue
        environment = os.environ | own | {
            key: filled(value, values) for key, value in step.get("env", {}).items()
        }
        since = time.monotonic()
        done = subprocess.run([*SHELL, filled(step["run"], values)], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"{name}: {step.get('name', step['run'])}: {done.returncode}\n{done.stdout}")
        last = (done.stdout.strip().splitlines() or ["ok"])[-1]
        took = time.monotonic() - since
        print(f"{took:6.1f} s  {name}: {step.get('name', step['run']):54} {last[:70]}", flush=True)


(workflow,) = documents(sys.argv[1])
assert workflow["defaults"]["run"]["shell"] == "bash"
for word in sys.argv[2:]:
    play(word, workflow["jobs"][word])
