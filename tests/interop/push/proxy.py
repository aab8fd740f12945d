"""tidegate before an echo backend, with a route for callers; started and ended."""

import atexit
import multiprocessing
import os
import pathlib
import socket
import subprocess
import time

from lean import Caller, echo, listener

PATIENCE = 30
TOP = pathlib.Path(__file__).resolve().parents[3]
ROUTE = """
[[routes]]
name = "{name}"
path = "/{name}"
listener = "http"
pool = "one"
labels = {{ user = "{{query.user}}", kind = "{{query.kind}}" }}
push = {{ {keys} }}
"""


def free():
    """A port that no one listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def accepts(port):
    """Whether someone does."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def until(what, holds, seconds=PATIENCE):
    """Waits for a fact."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"in vain for {what}")
        time.sleep(0.0005)


class Tidegate:
    """The binary that TIDEGATE names, or a release build. Each of `routes` is a path, with keys of
    its `push`."""

    name = "tidegate"

    def __init__(self, work, core=None, routes=(("chat", ""),), limits=""):
        binary = os.environ.get("TIDEGATE") or TOP / "target/release/tidegate"
        backend, port = listener()
        self.backend = multiprocessing.Process(target=echo, args=(backend,), daemon=True)
        self.backend.start()
        backend.close()
        self.port, self.api = free(), free()
        work.mkdir()
        (work / "tidegate.toml").write_text(f"""
{"workers = 1" if core is not None else ""}
[listeners.http]
address = "127.0.0.1:{self.port}"
http2.h2c = true
[listeners.internal]
address = "127.0.0.1:{self.api}"
[control]
socket = "control.sock"
[drain]
delay = "0s"
window = "0s"
# Who is frozen answers no ping, and would be ended for that.
[relay]
ping_interval = false
[limits]
{limits}
[pools.one]
backends = ["127.0.0.1:{port}"]
{"".join(ROUTE.format(name=name, keys=keys) for name, keys in routes)}
[[routes]]
listener = "internal"
api = {{ routes = [{", ".join(f'"{name}"' for name, _ in routes)}] }}
[log]
access = false
""")
        log = open(work / "log", "w")
        self.process = subprocess.Popen([os.path.realpath(binary), "run"], cwd=work, stdout=log, stderr=log)
        atexit.register(self.stop)
        if core is not None:
            os.sched_setaffinity(self.process.pid, {core})
        until("tidegate", lambda: self.process.poll() is not None or accepts(self.api))
        if self.process.poll() is not None:
            raise SystemExit((work / "log").read_text())
        self.caller = Caller(self.api)

    def pids(self):
        return [self.process.pid]

    def push(self, payload, query="all=true"):
        """How many it is queued for."""
        status, report = self.caller.push(query, payload)
        assert status == 200, report
        return report["queued"]

    def sessions(self, query="all=true"):
        """How many live."""
        return self.caller.ask("GET", f"/v1/count?{query}")[1]["matched"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.backend.terminate()
