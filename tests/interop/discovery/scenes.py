"""The scenes of `run`, in the directory that it made."""
import asyncio
import collections
import os
import re
import signal
import subprocess
import sys
import urllib.request

from websocket import Backend, Session

MODE = sys.argv[1]
QUICK = MODE != "full"
CLIENTS = int(os.environ.get("CLIENTS", 40 if QUICK else 500))
STOPPED = 15 if QUICK else 60
DNS, PORT, ADMIN = 15353, 19300, 19301
# A proxy's name, its port, the path of its route.
OURS = [("tidegate, held", 19310, "/held"), ("tidegate", 19310, "/plain")]
NGINX, HAPROXY = ("nginx", 19311, "/"), ("HAProxy", 19312, "/")
GONE_AFTER, EMPTY_AFTER = 4, 10

started = []


def start(*words, log):
    process = subprocess.Popen(words, stdout=open(log, "w"), stderr=subprocess.STDOUT)
    started.append(process)
    return process


def write(name, text):
    with open(name, "w") as file:
        file.write(text)


def ip(number):
    return f"127.91.0.{number}"


# ---- The name server -----------------------------------------------------------------------------

def start_named():
    here = os.getcwd()
    write("named.conf", f"""
options {{ directory "{here}"; listen-on port {DNS} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile "{here}/session.key"; recursion no; allow-query {{ any; }};
  dnssec-validation no; minimal-responses yes; }};
controls {{ }};
zone "test" {{ type master; file "{here}/test.zone"; allow-update {{ 127.0.0.1; }}; }};
""")
    write("test.zone", """$TTL 2
@ IN SOA ns.test. root.test. 1 60 60 600 2
@ IN NS ns.test.
ns IN A 127.0.0.1
""")
    os.chmod(here, 0o755)
    return start("named", "-g", "-c", "named.conf", log="named.log")


def nsupdate(*changes):
    text = f"server 127.0.0.1 {DNS}\n" + "".join(f"update {one}\n" for one in changes) + "send\n"
    done = subprocess.run(["nsupdate"], input=text, text=True, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done


def add(number):
    nsupdate(f"add chat.test. 2 A {ip(number)}")


def remove(*numbers):
    nsupdate(*(f"delete chat.test. A {ip(number)}" for number in numbers))


# ---- The proxies ---------------------------------------------------------------------------------

def start_proxies():
    write("tidegate.toml", f"""
[listeners.http]
address = "127.0.0.1:{OURS[0][1]}"
[admin]
address = "127.0.0.1:{ADMIN}"
[control]
socket = "control.sock"
[drain]
window = "1s"
[pools.chat]
backends = ["dns:chat.test:{PORT}"]
discovery = {{ resolver = "127.0.0.1:{DNS}", refresh_min = "1s", gone_after = "{GONE_AFTER}s", \
empty_after = "{EMPTY_AFTER}s" }}
[[routes]]
path = "/held"
pool = "chat"
hold = {{ resume = "always" }}
[[routes]]
path = "/plain"
pool = "chat"
""")
    proxies = list(OURS)
    start(os.environ["TIDEGATE"], "run", "--config", "tidegate.toml", log="tidegate.log")
    if nginx := os.environ.get("PEER_NGINX"):
        write("nginx.conf", f"""
daemon off; pid nginx.pid; error_log stderr warn; worker_processes 2;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s;
  resolver 127.0.0.1:{DNS} valid=1s ipv6=off;
  upstream chat {{ zone chat 256k; least_conn; server chat.test:{PORT} resolve; }}
  server {{ listen 127.0.0.1:{NGINX[1]}; location / {{ proxy_pass http://chat;
    proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade; proxy_read_timeout 1h; }} }} }}
""")
        start(nginx, "-p", os.getcwd(), "-c", "nginx.conf", log="nginx.log")
        proxies.append(NGINX)
    if haproxy := os.environ.get("PEER_HAPROXY"):
        write("haproxy.cfg", f"""
resolvers bind
  nameserver one 127.0.0.1:{DNS}
  timeout resolve 1s
  timeout retry 1s
  hold valid 1s
  hold obsolete {GONE_AFTER}s
defaults
  mode http
  balance leastconn
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend http
  bind 127.0.0.1:{HAPROXY[1]}
  default_backend chat
backend chat
  server-template chat 10 chat.test:{PORT} resolvers bind resolve-prefer ipv4 init-addr none
""")
        start(haproxy, "-f", "haproxy.cfg", "-db", log="haproxy.log")
        proxies.append(HAPROXY)
    return proxies


def scrape():
    return urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=10).read().decode()


def metric(name):
    found = re.search(rf"^{name}\S* (\S+)$", scrape(), re.M)
    return float(found[1]) if found else None


async def until(what, holds, seconds=60):
    for _ in range(int(seconds * 5)):
        try:
            if holds():
                return
        except OSError:
            pass
        await asyncio.sleep(0.2)
    sys.exit(f"waited {seconds} s in vain for {what}")


async def until_members(count, seconds=60):
    await until(f"{count} members",
                lambda: metric("tidegate_discovery_members") == count
                and metric("tidegate_discovery_missing") == 0, seconds)


# ---- Clients -------------------------------------------------------------------------------------

class Crowd:
    """Clients of each proxy."""

    def __init__(self, proxies):
        self.proxies = proxies
        self.of = {name: [] for name, *_ in proxies}

    async def join(self, count):
        """So many more of each; how many were refused."""
        refused = collections.Counter()
        for name, port, path in self.proxies:
            for at in range(0, count, 50):
                some = [Session(port, path, 2.0) for _ in range(min(50, count - at))]
                opened = await asyncio.gather(*(one.open() for one in some))
                self.of[name] += [one for one, is_open in zip(some, opened) if is_open]
                refused[name] += opened.count(False)
        return refused

    def mark(self):
        """From here on is counted anew."""
        for sessions in self.of.values():
            sessions[:] = [one for one in sessions if one.ended is None]
            for one in sessions:
                one.moves, one.was = 0, one.backend

    def seen(self, name, gone=()):
        """What became of the sessions of one proxy since the mark."""
        counts = collections.Counter()
        for one in self.of[name]:
            where = "gone" if one.was in gone else "stays"
            what = one.ended if one.ended is not None else "moved" if one.moves else "lives"
            counts[(where, what)] += 1
        return counts

    def table(self, title, gone=()):
        print(f"\n{title}", flush=True)
        for name in self.of:
            counts = self.seen(name, gone)
            rows = [f"{count} {what}" + (" (backend gone)" if where == "gone" else "")
                    for (where, what), count in sorted(counts.items(), key=str)]
            print(f"  {name:15} {', '.join(rows)}", flush=True)

    async def leave(self):
        for sessions in self.of.values():
            await asyncio.gather(*(one.close() for one in sessions))
            sessions.clear()


def expect(holds, what):
    if not holds:
        sys.exit(f"NOT SO: {what}")


# ---- Scenes --------------------------------------------------------------------------------------

async def addresses_come_and_go(crowd):
    gone = {ip(1), ip(2)}
    await crowd.join(CLIENTS // 2)
    await asyncio.sleep(3)
    add(3)
    await until_members(3)
    await asyncio.sleep(3)
    await crowd.join(CLIENTS - CLIENTS // 2)
    await asyncio.sleep(3)
    crowd.mark()
    where = collections.Counter(one.backend for one in crowd.of["tidegate, held"])
    print("2 -> 3 addresses; held sessions by backend:", dict(sorted(where.items())))
    remove(1, 2)
    await until_members(1, EMPTY_AFTER + 30)
    await asyncio.sleep(GONE_AFTER + 6)
    crowd.table(f"3 -> 1 addresses under {CLIENTS} sessions of each", gone)
    held, plain = crowd.seen("tidegate, held", gone), crowd.seen("tidegate", gone)
    expect(set(held) <= {("gone", "moved"), ("stays", "lives")}, f"held: {held}")
    expect(set(plain) <= {("gone", 1012), ("stays", "lives")}, f"not held: {plain}")
    expect(held[("gone", "moved")] > 0 and plain[("gone", 1012)] > 0, "some were there")
    add(1)
    add(2)
    await until_members(3)
    await crowd.leave()


async def the_name_server_is_stopped(crowd, named):
    await crowd.join(CLIENTS)
    await asyncio.sleep(3)
    crowd.mark()
    named.send_signal(signal.SIGSTOP)
    refused = collections.Counter()
    for _ in range(STOPPED):
        refused += await crowd.join(2)
        await asyncio.sleep(1)
    for sessions in crowd.of.values():
        for one in sessions:
            one.was = getattr(one, "was", one.backend)
    age = metric("tidegate_discovery_age_seconds")
    named.send_signal(signal.SIGCONT)
    crowd.table(f"the name server stopped for {STOPPED} s; refused: {dict(+refused) or 'none'}; "
                f"age of the answer at the end {age:.0f} s")
    for name, *_ in OURS:
        expect(set(crowd.seen(name)) == {("stays", "lives")} and not refused[name], name)
    await until("a new answer", lambda: metric("tidegate_discovery_age_seconds") < 5)
    await crowd.leave()


async def half_is_missing(crowd):
    add(4)
    await until_members(4)
    await crowd.join(CLIENTS)
    await asyncio.sleep(3)
    crowd.mark()
    remove(3, 4)
    await until("the doubt", lambda: metric("tidegate_discovery_missing") == 2)
    await asyncio.sleep(EMPTY_AFTER - 4)
    add(3)
    add(4)
    await until_members(4)
    await asyncio.sleep(2)
    crowd.table(f"half of 4 addresses missing for {EMPTY_AFTER - 3} s", {ip(3), ip(4)})
    lines = [line for line in open("tidegate.log") if "members kept" in line and "lacks 2 of 4" in line]
    expect(lines, "a line says why")
    print("  " + re.sub(r"\x1b\[[0-9;]*m", "", lines[-1].strip()))
    for name, *_ in OURS:
        expect({what for _, what in crowd.seen(name)} == {"lives"}, name)
    await crowd.leave()


async def rollout(crowd, backends):
    """A headless Service of five pods, each replaced by another: the new one is ready and in the
    Service, then the old one is taken out and told to end at the same moment."""
    for number in (5,):
        backends[number] = await Backend(ip(number), PORT).start()
        add(number)
    await until_members(5)
    await crowd.join(CLIENTS)
    await asyncio.sleep(3)
    crowd.mark()
    refused = collections.Counter()
    for number in range(1, 6):
        backends[number + 10] = await Backend(ip(number + 10), PORT).start()
        add(number + 10)
        await asyncio.sleep(4)
        remove(number)
        await asyncio.gather(backends.pop(number).stop(), asyncio.sleep(4))
        before = {name: len(sessions) for name, sessions in crowd.of.items()}
        refused += await crowd.join(2)
        for name, sessions in crowd.of.items():
            for one in sessions[before[name]:]:
                one.was = one.backend
    await asyncio.sleep(4)
    gone = {ip(number) for number in range(1, 6)}
    crowd.table(f"a rollout of 5 pods; refused: {dict(+refused) or 'none'}", gone)
    held = {what for _, what in crowd.seen("tidegate, held")}
    expect(held <= {"lives", "moved"} and not refused["tidegate, held"], f"held: {held}")
    lost = sum(one.sent - one.echoed > 2 for one in crowd.of["tidegate, held"])
    print(f"  held sessions with more than two messages without an echo: {lost}")
    await crowd.leave()


async def scenes():
    named = start_named()
    await asyncio.sleep(1.5)
    backends = {number: await Backend(ip(number), PORT).start() for number in range(1, 5)}
    add(1)
    add(2)
    proxies = start_proxies()
    await until_members(2)
    await asyncio.sleep(2)
    crowd = Crowd(proxies)
    await addresses_come_and_go(crowd)
    await the_name_server_is_stopped(crowd, named)
    await half_is_missing(crowd)
    await rollout(crowd, backends)
    print("\nall well")


async def changes():
    """A thousand changes of membership: what the process keeps."""
    count = int(os.environ.get("COUNT", 1000))
    lines = "".join(f"{ip(number)}:{PORT}\n" for number in range(1, 41))
    write("members", lines)
    write("tidegate.toml", f"""
[listeners.http]
address = "127.0.0.1:{OURS[0][1]}"
[admin]
address = "127.0.0.1:{ADMIN}"
[pools.chat]
backends = ["file:members"]
discovery = {{ refresh_min = "200ms", gone_after = "100ms" }}
[[routes]]
pool = "chat"
""")
    process = start(os.environ["TIDEGATE"], "run", "--config", "tidegate.toml", log="tidegate.log")
    await until_members(40)
    first = None
    for change in range(count):
        more = "".join(f"127.92.{change // 200}.{change % 200 + 1}:{PORT + at}\n" for at in range(10))
        write("aside", lines + (more if change % 2 == 0 else ""))
        os.rename("aside", "members")
        wanted = 50 if change % 2 == 0 else 40
        await until("a change in force", lambda: scrape().count("tidegate_backend_up{") == wanted)
        if change % (count // 10) == count // 10 - 1:
            with open(f"/proc/{process.pid}/status") as status:
                rss = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
            first = first or rss
            snapshots = metric("tidegate_snapshots_alive")
            print(f"after {change + 1} changes: RSS {rss} KiB, snapshots {snapshots:.0f}", flush=True)
    expect(rss < first * 1.1 + 1024, f"RSS grew from {first} to {rss} KiB")
    print("all well")


try:
    asyncio.run(changes() if MODE == "changes" else scenes())
finally:
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    for process in started:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    if os.environ.get("KEEP_LOGS"):
        os.system(f"cp -r {os.getcwd()} {os.environ['KEEP_LOGS']}")
