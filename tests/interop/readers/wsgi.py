"""A WSGI application behind the standard library's server: which path it sees, and what it read."""

import json
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def application(environ, start_response):
    path = environ["PATH_INFO"]
    named = (name for name in ("admin", "public") if path == f"/{name}" or path.startswith(f"/{name}/"))
    seen = {
        "matched": next(named, "other"),
        "host": environ.get("HTTP_HOST", ""),
        "user": environ.get("HTTP_X_USER"),
        "site": environ.get("HTTP_X_SITE"),
        "route": environ.get("HTTP_X_ROUTE"),
        "names": list(environ),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


make_server("127.0.0.1", int(sys.argv[1]), application, Server, Quiet).serve_forever()
