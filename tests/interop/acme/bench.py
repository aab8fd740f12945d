"""Pebble, its DNS, and tidegate before them: what `run` plays its scenes with."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds=60):
    """Waits for a fact."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"FAILED: not within {seconds} s: {what}")
        time.sleep(0.02)


class Running:
    """A program whose output is a file, ended with the script."""

    all = []

    def __init__(self, name, command, **environment):
        self.log = Path(DIR) / f"{name}-{len(Running.all)}.log"
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )
        Running.all.append(self)

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


DIR = tempfile.mkdtemp(prefix="tidegate-acme-")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=DIR, check=True, capture_output=True)


def make_authority():
    """The certificate of pebble's own API."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=localhost", "-keyout", "api.key", "-out", "api.csr")
    Path(DIR, "api.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "api.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "api.pem", "-days", "30", "-extfile", "api.ext")


class Pebble:
    def __init__(self, http, tls, eab=False, reject=0, validity=0):
        self.port, self.management, dns, dns_api = free(), free(), free(), free()
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": f"{DIR}/api.pem",
            "privateKey": f"{DIR}/api.key",
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": eab,
            "externalAccountMACKeys": {"kid-1": EAB_KEY},
        }
        if validity:
            settings["certificateValidityPeriod"] = validity
        config = Path(DIR, f"pebble-{self.port}.json")
        config.write_text(json.dumps({"pebble": settings}))
        self.dns_api = dns_api
        self.names = Running("dns", [
            "pebble-challtestsrv", "-defaultIPv6", "", "-http01", "", "-https01", "",
            "-tlsalpn01", "", "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{dns_api}",
        ])
        self.running = Running(
            "pebble", ["pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{dns}"],
            PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT=str(reject),
            PEBBLE_AUTHZREUSE="0",
        )
        self.directory = f"https://localhost:{self.port}/dir"
        until("pebble listens", lambda: connects(self.port))

    def orders(self):
        return len(re.findall(r"Added order ", self.running.text()))

    def issued(self):
        return len(re.findall(r"Issued certificate serial", self.running.text()))

    def root(self):
        """The authority that it signs with, made anew at each start."""
        trust = ssl.create_default_context(cafile=f"{DIR}/ca.pem")
        api = http.client.HTTPSConnection("127.0.0.1", self.management, context=trust)
        api.request("GET", "/roots/0")
        path = Path(DIR, f"root-{self.port}.pem")
        path.write_bytes(api.getresponse().read())
        return path

    def stop(self):
        self.running.stop()
        self.names.stop()


class Acme2Certifier:
    """acme2certifier with its own authority; it takes every name for its client's."""

    def __init__(self, python, port=0, renewal=""):
        self.port = port or free()
        self.directory = f"http://127.0.0.1:{self.port}/directory"
        place = Path(DIR, f"a2c-{self.port}")
        if not place.exists():
            (place / "certs").mkdir(parents=True)
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                    "/CN=acme2certifier root", "-keyout", f"{place}/ca.key", "-out",
                    f"{place}/ca.pem", "-days", "30")
        config = place / "acme_srv.cfg"
        config.write_text(f"""[DEFAULT]
debug: False
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {place}/ca.key
issuing_ca_cert: {place}/ca.pem
issuing_ca_crl: {place}/ca.crl
ca_cert_chain_list: ["{place}/ca.pem"]
cert_validity_days: 6
cert_save_path: {place}/certs
[DBhandler]
handler_module: acme2certifier.dbhandlers.wsgi_handler
dbfile: {place}/acme.db
[Challenge]
challenge_validation_disable: True
[Renewalinfo]
retry_after_timeout: 60
{renewal}
""")
        serve = ("from wsgiref.simple_server import make_server\n"
                 "from acme2certifier.share.acme2certifier_wsgi import application\n"
                 f"make_server('127.0.0.1', {self.port}, application).serve_forever()\n")
        self.running = Running("a2c", [python, "-u", "-c", serve], ACME_SRV_CONFIGFILE=str(config),
                               ACME2CERTIFIER_I_KNOW_THE_RISK="1")
        until("acme2certifier listens", lambda: connects(self.port))

    def stop(self):
        self.running.stop()


EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def fetch(port, path, host="localhost"):
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asked.request("GET", path, headers={"Host": host})
    answer = asked.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


BINARY = os.environ.get("TIDEGATE") or str(
    Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/tidegate")


class Tidegate:
    """A proxy for some names; `http` of 0 is no listener without TLS."""

    def __init__(self, pebble, names, tls, http=0, state="state", more="", backend=None):
        self.tls, self.port = tls, http
        self.admin, self.state = free(), Path(DIR, state)
        plain = f'[listeners.http]\naddress = "127.0.0.1:{http}"\n' if http else ""
        pool = f'[pools.app]\nbackends = "127.0.0.1:{backend}"\n' if backend else ""
        action = 'pool = "app"' if backend else 'respond = "here"'
        routes = "".join(f'[[routes]]\nhost = "{name}"\n{action}\n'
                         for name in names if not name.startswith("*"))
        wild = any(name.startswith("*") for name in names)
        wanted = json.dumps(names) if wild else "true"
        self.config = Path(DIR, f"tidegate-{len(Running.all)}.toml")
        self.config.write_text(f"""
drain = {{ delay = "0s", window = "0s", timeout = "5s" }}
[acme]
email = "ops@example.com"
agree_to_terms = true
state = "{self.state}"
directory = "{pebble.directory}"
roots = "{DIR}/ca.pem"
{more}
{plain}
[listeners.https]
address = "127.0.0.1:{tls}"
tls.acme = {wanted}
{pool}
{routes}
[admin]
address = "127.0.0.1:{self.admin}"
[control]
socket = "{DIR}/control-{self.admin}.sock"
""")
        self.started = time.monotonic()
        self.running = Running("tidegate", [BINARY, "run", "--config", str(self.config)])
        until("tidegate listens", lambda: connects(tls))

    def shown(self, name, protocol="http/1.1", version=None):
        """The issuer of the certificate that a client is shown, and the protocol agreed on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        with socket.create_connection(("127.0.0.1", self.tls), 5) as plain:
            with context.wrap_socket(plain, server_hostname=name) as stream:
                der = stream.getpeercert(binary_form=True)
                agreed = stream.selected_alpn_protocol()
        pem = ssl.DER_cert_to_PEM_cert(der)
        issuer = subprocess.run(["openssl", "x509", "-noout", "-issuer"], input=pem,
                                text=True, capture_output=True, check=True).stdout
        return issuer.strip(), agreed, pem

    def is_trusted(self, name, root):
        context = ssl.create_default_context(cafile=root)
        try:
            with socket.create_connection(("127.0.0.1", self.tls), 5) as plain:
                with context.wrap_socket(plain, server_hostname=name):
                    return True
        except (ssl.SSLError, OSError):
            return False

    def issuer_is(self, name, words):
        """The certificate that is shown, where such an issuer has signed it."""
        issuer, _, pem = self.shown(name)
        return pem if words in issuer else None

    def order_in(self, name):
        """Seconds until the next order for this name."""
        asked = subprocess.run([BINARY, "status", "--json", "--socket",
                                f"{DIR}/control-{self.admin}.sock"],
                               text=True, capture_output=True, check=True)
        found = [one for one in json.loads(asked.stdout)["certificates"] if one["name"] == name]
        return found[0]["order_in_seconds"] if found else 0

    def first(self, name, seconds=60):
        """Seconds from the start to the first certificate of the authority."""
        until(f"a certificate for {name}", lambda: "Pebble" in self.shown(name)[0], seconds)
        return time.monotonic() - self.started

    def stop(self, how=signal.SIGTERM):
        self.running.stop(how)


def end(is_kept=False):
    for running in reversed(Running.all):
        running.stop()
    if is_kept:
        print(f"logs: {DIR}", file=sys.stderr)
    else:
        shutil.rmtree(DIR, ignore_errors=True)
