"""Each `run:` step of these workflows, by shellcheck: lint.py WORKFLOW…"""

import re
import subprocess
import sys

from strict_yaml import documents

checked = 0
for path in sys.argv[1:]:
    (workflow,) = documents(path)
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            if "run" not in step:
                continue
            # The options that the runner gives bash.
            script = "set -eo pipefail\n" + re.sub(r"\$\{\{.*?\}\}", "filled", step["run"])
            done = subprocess.run(["shellcheck", "--shell=bash", "-"], input=script, text=True,
                                  capture_output=True)
            if done.returncode:
                sys.exit(f"{path}: {name}: {step.get('name', script)}\n{done.stdout}{done.stderr}")
            checked += 1
print(f"shellcheck has nothing to say of {checked} steps")
