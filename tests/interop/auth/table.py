"""Asks all proxies for the same, and prints what the auth server, the backend and the client saw."""

import base64
import hashlib
import socket
import sys
import threading
import time

AUTH, BACKEND, *PORTS = map(int, sys.argv[1:7])
PROXIES = dict(zip(["nginx", "Caddy", "Traefik", "tidegate"], PORTS))
MARKDOWN = "--markdown" in sys.argv
seen = {"auth": [], "backend": []}

# Why tidegate does otherwise, by case ("*": each) and field, and whom it differs from ("*": each).
REASONS = {}


def reason(fields, others, why, cases="*"):
    for field in fields.split():
        for other in others.split():
            for case in cases.split():
                REASONS[(case, field, other)] = why


reason("x-original-method x-original-url", "Caddy Traefik",
       "Authelia's `/api/authz/auth-request` and others written for nginx read these: both families are sent")
reason("x-forwarded-method x-forwarded-uri x-forwarded-proto x-forwarded-host", "nginx",
       "servers written for Traefik and Caddy read these: both families are sent")
reason("x-forwarded-port x-forwarded-server x-real-ip forwarded via x-request-id", "*",
       "as every request of tidegate's has them, and each proxy its own")
reason("first-line", "nginx", "nginx is configured with Authelia's other endpoint")
reason("first-line", "Caddy", "the question is as it is configured; Caddy adds the query of the request")
reason("host", "Traefik", "the host that is asked for; Traefik writes the auth server's (`upstream_host` sets it)")
reason("connection", "*", "of this hop")
reason("x-forwarded-proto", "Traefik",
       "`http`: auth servers take `ws` for no scheme (traefik-forward-auth#19)", "websocket")
reason("sec-websocket-key sec-websocket-version upgrade sec-websocket-extensions", "*",
       "no handshake is asked for (traefik#3039, caddy#5430)", "websocket")
reason("remote-user", "*",
       "what the server says of a client, the client cannot say to the server", "page websocket")
reason("set-cookie", "nginx",
       "each line of the server's cookies; nginx passes the first only, and none on a 101")
reason("set-cookie", "Caddy", "Caddy passes none of a 2xx")
reason("set-cookie", "Traefik", "Traefik passes those that it is told the names of, and none on a 101")
reason("status location", "*",
       "a browser follows no redirect of a WebSocket: it is answered 401", "websocket-redirected")
reason("status location", "nginx",
       "`auth_request` knows 2xx, 401 and 403: a redirect is an error to it", "page-redirected")
reason("te accept-encoding transfer-encoding", "*", "as the proxy's own client says it")


def wrong(case, field, other):
    keys = [(c, field, o) for c in (case, "*") for o in (other, "*")]
    return next((REASONS[key] for key in keys if key in REASONS), None)


def head(wire):
    data = b""
    while b"\r\n\r\n" not in data:
        more = wire.recv(65536)
        if not more:
            return None
        data += more
    first, *lines = data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    return first, [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines]


def values(fields, name):
    return [value for field, value in fields if field.lower() == name]


COOKIES = "Set-Cookie: session=7; Path=/\r\nSet-Cookie: csrf=8; Path=/\r\n"


def auth(wire, fields):
    """What the login in the cookie says."""
    login = "".join(values(fields, "cookie"))
    if "login=ada" in login:
        answer = f"200 OK\r\nRemote-User: ada\r\nRemote-Groups: dev,ops\r\n{COOKIES}Content-Length: 0"
    elif "login=eve" in login:
        # As oauth2-proxy answers with `--set-xauthrequest`, where it renews a long cookie.
        renewed = "Set-Cookie: _oauth2_proxy_0=a; Path=/\r\nSet-Cookie: _oauth2_proxy_1=b; Path=/\r\n"
        answer = f"202 Accepted\r\nX-Auth-Request-User: eve\r\nGAP-Auth: eve\r\n{renewed}Content-Length: 0"
    elif "login=gone" in login:
        answer = "302 Found\r\nLocation: https://login.example.com/?rd=x\r\nContent-Length: 0"
    elif "login=basic" in login:
        answer = '401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0'
    else:
        answer = "403 Forbidden\r\nContent-Length: 0"
    wire.sendall(f"HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n".encode())


def backend(wire, fields):
    key = "".join(values(fields, "sec-websocket-key"))
    if values(fields, "upgrade") and key:
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = base64.b64encode(digest).decode()
        wire.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        wire.recv(1)
    else:
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def serve(port, name, answer):
    listener = socket.create_server(("127.0.0.1", port), backlog=64)

    def one(wire):
        with wire:
            request = head(wire)
            if request is None:
                return
            seen[name].append((request[0], request[1]))
            answer(wire, request[1])

    def run():
        while True:
            wire, _ = listener.accept()
            threading.Thread(target=one, args=(wire,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def ask(port, lines):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return head(wire)


def lines(login, is_websocket):
    common = ["GET /room/7?a=b HTTP/1.1", "Host: chat.example.com", f"Cookie: login={login}",
              "Authorization: Bearer x", "User-Agent: test", "Accept: */*",
              "Remote-User: root", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https",
              "X-Original-URL: https://chat.example.com/open"]
    if is_websocket:
        return common + ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                         "Sec-WebSocket-Extensions: permessage-deflate", "Origin: https://chat.example.com"]
    return common + ["Connection: close"]


def until_ready(port):
    for _ in range(300):
        try:
            answer = ask(port, lines("ada", False))
            if answer and " 200 " in answer[0]:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"port {port} does not answer")


serve(AUTH, "auth", auth)
serve(BACKEND, "backend", backend)
for proxy in PORTS:
    until_ready(proxy)

failed, table = False, []


def row(case, field, found):
    """Compares a field's value at tidegate with each other proxy's."""
    global failed
    ours = found["tidegate"]
    notes = {}
    for other, value in found.items():
        if value != ours:
            why = wrong(case, field, other)
            notes.setdefault(why or "NO REASON", []).append(other)
            failed |= why is None
    table.append((case, field, found, notes))


def shown(value):
    return " ┊ ".join(value) if value else "–"


for case, login, is_websocket in [
    ("page", "ada", False), ("websocket", "ada", True),
    ("page-202", "eve", False), ("websocket-202", "eve", True),
    ("page-redirected", "gone", False), ("websocket-redirected", "gone", True),
    ("page-unauthorized", "basic", False), ("websocket-unauthorized", "basic", True),
    ("page-forbidden", "none", False), ("websocket-forbidden", "none", True),
]:
    asked, passed, answers = {}, {}, {}
    for name, port in PROXIES.items():
        seen["auth"].clear()
        seen["backend"].clear()
        answers[name] = ask(port, lines(login, is_websocket))
        assert len(seen["auth"]) == 1, (name, case, seen["auth"])
        asked[name] = seen["auth"][0]
        passed[name] = seen["backend"][0] if seen["backend"] else ("", [])
    if login == "eve":
        field = "x-auth-request-user"
        row(case + ", backend", field, {name: values(all_, field) for name, (_, all_) in passed.items()})
    elif login == "ada":
        fields = sorted({field.lower() for _, all_ in asked.values() for field, _ in all_})
        row(case, "first-line", {name: [first] for name, (first, _) in asked.items()})
        for field in fields:
            said = {}
            for name, (_, all_) in asked.items():
                said[name] = [value.replace(str(AUTH), "AUTH") for value in values(all_, field)]
            row(case, field, said)
        for field in ["remote-user", "remote-groups"]:
            row(case + ", backend", field, {name: values(all_, field) for name, (_, all_) in passed.items()})
    else:
        for name, (first, _) in passed.items():
            assert not first, f"{name} let {case} pass"
    row(case, "status", {name: [answer[0].split(" ")[1]] for name, answer in answers.items()})
    for field in ["set-cookie", "location", "www-authenticate"]:
        row(case, field, {name: values(answer[1], field) for name, answer in answers.items()})

if MARKDOWN:
    print("| case | field | " + " | ".join(PROXIES) + " |\n|---|---|" + "---|" * len(PROXIES))
    for case, field, found, notes in table:
        if notes:
            print(f"| {case} | `{field}` | " + " | ".join(f"`{shown(found[name])}`" for name in PROXIES) + " |")
else:
    for case, field, found, notes in table:
        same = len({tuple(value) for value in found.values()}) == 1
        print(f"{case:24} {field:26} " + (f"all: {shown(found['tidegate'])}" if same else ""))
        if not same:
            for name in PROXIES:
                print(f"{'':24} {'':26} {name:9} {shown(found[name])}")
            for why, others in notes.items():
                print(f"{'':24} {'':26} ({', '.join(others)}: {why})")
print("a difference has no reason" if failed else "every difference has its reason")
sys.exit(failed)
