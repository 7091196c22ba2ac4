"""TLS to clients and to backends, over real sockets and with other people's TLS."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.integration.origin import OK, Origin, Wire, polite, script
from tests.processes import PATIENCE, Process

CONFIG = """
access_log = "access.log"
admin = false
[listeners.web]
endpoint = "tcp:0:interface=127.0.0.1"
[listeners.secure]
endpoint = "tcp:port=0:interface=127.0.0.1"
[listeners.secure.tls]
certificates = {certificates}
{tls}
[[routes]]
path = "/files/"
static = "files"
[[routes]]
path = "/"
pool = "api"
[pools.api]
health = {health}
{pool}
[[pools.api.backends]]
name = "a"
address = "{host}:{port}"
keep_alive = 60.0
"""

GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
CLOSING = GET[:-2] + b"Connection: close\r\n\r\n"

#: What is sent both ways: no multiple of a record.
LARGE = bytes(range(251)) * 20_000


class SecureOrigin(Origin):
    """An origin that speaks TLS.

    Attributes:
        resumed: Whether each connection went on with an earlier session.
    """

    def __init__(
        self, script: Callable[[Origin, Wire], None], authority: Authority, *names: str
    ) -> None:
        self._context = authority.server(authority.issue("origin.pem", *names))
        self.resumed: list[bool | None] = []
        super().__init__(script)

    def _serve(self, connection: socket.socket) -> None:
        try:
            secure = self._context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            return
        self.resumed.append(secure.session_reused)
        super()._serve(secure)


class Balancer:
    """A balancer in a process of its own.

    Attributes:
        process: It; its port is the one for TLS.
        plain_port: The one without.
    """

    def __init__(self, folder: Path, origin: Origin, **more: str) -> None:
        words = {"tls": "", "health": "false", "pool": "", "host": "127.0.0.1"}
        words["certificates"] = '["site.pem"]'
        config = folder / "lbproxy.toml"
        (folder / "files").mkdir(exist_ok=True)
        config.write_text(CONFIG.format(**{**words, "port": origin.port, **more}))
        self._folder = folder
        twistd = Path(sys.executable).with_name("twistd")
        self.process = Process(
            [twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", config], directory=folder
        )
        self.plain_port = int(self.process.wait_for_line(r"listens on http://\S+:(\d+)/")[1])
        self.process.port = int(self.process.wait_for_line(r"listens on https://\S+:(\d+)/")[1])

    def connect(
        self,
        context: ssl.SSLContext,
        name: str = "shop.example",
        session: ssl.SSLSession | None = None,
    ) -> SecureWire:
        """A client's connection, to which an end without TLS' own farewell is a fault."""
        plain = socket.create_connection(("127.0.0.1", self.process.port), PATIENCE)
        return SecureWire(
            context.wrap_socket(
                plain, server_hostname=name, session=session, suppress_ragged_eofs=False
            )
        )

    def ask(self, context: ssl.SSLContext, request: bytes = CLOSING) -> bytes:
        """Send a request on a connection of its own, and read until that ends."""
        wire = self.connect(context)
        with wire.socket:
            wire.send(request)
            return wire.rest()

    def log(self) -> list[dict[str, Any]]:
        """The lines of its access log, once it has ended."""
        assert self.process.stop() == 0
        lines = (self._folder / "access.log").read_text().splitlines()
        return [json.loads(line) for line in lines]


class SecureWire(Wire):
    """A `Wire` under TLS."""

    socket: ssl.SSLSocket

    def __init__(self, connection: ssl.SSLSocket) -> None:
        super().__init__(connection)
        self.socket = connection


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority, and a certificate of it for the balancer."""
    authority = Authority(tmp_path)
    authority.issue("site.pem", "shop.example", "localhost")
    return authority


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Balancer]]:
    """Start a balancer before an origin; it has ended in order after the test."""
    started: list[Balancer] = []

    def start(origin: Origin, **more: str) -> Balancer:
        started.append(Balancer(tmp_path, origin, **more))
        return started[-1]

    yield start
    for each in started:
        with each.process:
            assert each.process.stop() == 0
            assert "Traceback" not in each.process.output


Start = Callable[..., Balancer]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(authority: Authority, start: Start, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3; the backend hears of https, and the log of the cipher."""
    client = authority.client()
    client.minimum_version = client.maximum_version = version
    origin = Origin(polite)
    proxy = start(origin)
    wire = proxy.connect(client)
    with wire.socket:
        for _ in range(3):
            wire.send(GET)
            assert wire.head().startswith(b"HTTP/1.1 200 ") and wire.exactly(2) == b"ok"
        told = wire.socket.version()
    assert b"\r\nX-Forwarded-Proto: https\r\n" in origin.heads[0]
    log = proxy.log()
    assert [line["tls"].split("/")[0] for line in log] == [told] * 3
    assert [line["listener"] for line in log] == ["secure"] * 3


def test_both_listeners(authority: Authority, start: Start) -> None:
    """The same routes are there without TLS, and say so to the backend."""
    origin = Origin(polite)
    proxy = start(origin)
    assert proxy.ask(authority.client()).endswith(b"ok")
    with socket.create_connection(("127.0.0.1", proxy.plain_port)) as plain:
        plain.sendall(CLOSING)
        assert Wire(plain).rest().endswith(b"ok")
    protos = [re.search(rb"X-Forwarded-Proto: (\w+)", head) for head in origin.heads]
    assert [proto and proto[1] for proto in protos] == [b"https", b"http"]


def test_names(authority: Authority, start: Start) -> None:
    """The certificate is chosen by the name that is asked for."""
    authority.issue("wild.pem", "*.shop.example")
    authority.issue("other.pem", "other.example")
    proxy = start(Origin(polite), certificates='["site.pem", "wild.pem", "other.pem"]')
    for name in ("shop.example", "www.shop.example", "other.example"):
        wire = proxy.connect(authority.client(), name)  # It verifies the name.
        wire.socket.close()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        proxy.connect(authority.client(), "unknown.example")


def test_curl(tmp_path: Path, authority: Authority, start: Start) -> None:
    """curl, which offers HTTP/2 first, gets HTTP/1.1."""
    proxy = start(Origin(polite))
    url = f"https://localhost:{proxy.process.port}/"
    command = ["curl", "-sS", "--cacert", str(authority.file), "-w", " %{http_version}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("ok 1.1", "")


def test_plain_http(authority: Authority, start: Start) -> None:
    """HTTP on the port for TLS is told to come by https; the log has it."""
    proxy = start(Origin(polite))
    with socket.create_connection(("127.0.0.1", proxy.process.port)) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n" + bytes(100))
        head, _, body = Wire(plain).rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"\r\nConnection: close" in head
    assert json.loads(body)["reason"] == "plain_http" and "https" in json.loads(body)["detail"]
    assert [(line["status"], line["reason"]) for line in proxy.log()] == [(400, "plain_http")]


def test_client_certificates(authority: Authority, start: Start, tmp_path: Path) -> None:
    """A client needs a certificate; its subject goes to the backend, what it claims does not."""
    alice = authority.issue("alice.pem", "alice@shop.example", common_name="alice")
    foreign = Authority(tmp_path, "foreign.pem")
    mallory = foreign.issue("mallory.pem", "mallory@shop.example", common_name="mallory")
    origin = Origin(polite)
    proxy = start(origin, tls='client_ca = "ca.pem"')
    forged = (
        b"X-Client-Cert-Subject: CN=root\r\nX_Client_Cert_Subject: CN=root\r\n"
        b"Connection: close, X-Client-Cert-Subject\r\n\r\n"
    )
    answer = proxy.ask(authority.client(certificate=alice), GET[:-2] + forged)
    assert answer.endswith(b"ok")
    head = origin.heads[0]
    assert head.lower().count(b"client-cert-subject") == 1 and b"root" not in head
    assert b"\r\nX-Client-Cert-Subject: CN=alice," in head
    for certificate in (None, mallory):
        with pytest.raises(OSError, match=r"alert|closed|reset|EOF|pipe"):
            assert proxy.ask(authority.client(certificate=certificate)) == b"nothing"
    assert len(origin.heads) == 1
    assert len(proxy.log()) == 1


def test_optional_certificates(authority: Authority, start: Start) -> None:
    """A client may have a certificate."""
    alice = authority.issue("alice.pem", "alice@shop.example", common_name="alice")
    origin = Origin(polite)
    proxy = start(origin, tls='client_ca = "ca.pem"\nclient_auth = "optional"')
    for certificate in (None, alice):
        assert proxy.ask(authority.client(certificate=certificate)).endswith(b"ok")
    subjects = [b"X-Client-Cert-Subject: CN=alice" in head for head in origin.heads]
    assert subjects == [False, True]


def test_resumption(authority: Authority, start: Start) -> None:
    """A session goes on in the next connection, under whichever certificate it began."""
    authority.issue("other.pem", "other.example")
    proxy = start(Origin(polite), certificates='["site.pem", "other.pem"]')
    for name in ("shop.example", "other.example"):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = authority.client()
            client.maximum_version = version
            session = None
            for resumed in (False, True, True):
                wire = proxy.connect(client, name, session)
                with wire.socket:
                    wire.send(CLOSING)
                    assert wire.rest().endswith(b"ok")
                    assert wire.socket.session_reused is resumed
                    session = wire.socket.session


def test_openssl(authority: Authority, start: Start) -> None:
    """`openssl s_client` resumes, and asks for new keys amid a connection (RFC 8446, 4.6.3)."""
    proxy = start(Origin(polite))
    client = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.process.port}"]
    client += ["-CAfile", str(authority.file), "-servername", "shop.example"]
    reconnecting = subprocess.run(
        [*client, "-reconnect", "-tls1_2"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert reconnecting.stdout.count("\nReused, TLSv1.2") == 5
    keys = subprocess.Popen(
        client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert keys.stdin is not None and keys.stdout is not None
    with keys, keys.stdin, keys.stdout:
        # A line of such a letter is a command: new keys for itself, and for both.
        for line, awaited in (
            (GET, b"\r\n\r\nok"),
            (b"k\n", b"KEYUPDATE"),
            (GET, b"\r\n\r\nok"),
            (b"K\n", b"KEYUPDATE"),
            (GET, b"\r\n\r\nok"),
        ):
            keys.stdin.write(line)
            keys.stdin.flush()
            told = b""
            while awaited not in told:
                piece = keys.stdout.read1(65536)  # type: ignore[attr-defined]
                assert piece, told
                told += piece
        keys.kill()


def test_large(authority: Authority, start: Start) -> None:
    """Much each way arrives as it was, though both ends read in bits."""
    digests: list[str] = []

    def act(wire: Wire) -> None:
        body = b""
        while len(body) < len(LARGE) and (
            data := wire.exactly(min(77_777, len(LARGE) - len(body)))
        ):
            body += data
        digests.append(hashlib.sha256(body).hexdigest())
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        wire.send(LARGE)

    expected = hashlib.sha256(LARGE).hexdigest()
    for origin, pool in (
        (Origin(script(act)), ""),
        (SecureOrigin(script(act), authority, "127.0.0.1"), 'tls = true\nverify = "ca.pem"'),
    ):
        proxy = start(origin, pool=pool)
        wire = proxy.connect(authority.client())
        with wire.socket:
            wire.send(b"PUT / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n")
            wire.send(b"Content-Length: %d\r\n\r\n" % len(LARGE))
            wire.send(LARGE)
            wire.head()
            digest = hashlib.sha256()
            while data := wire.exactly(55_555):
                digest.update(data)
        assert digest.hexdigest() == expected
    assert digests == [expected] * 2


def test_file(tmp_path: Path, authority: Authority, start: Start) -> None:
    """A large file arrives as it is."""
    proxy = start(Origin(polite))
    (tmp_path / "files" / "large.bin").write_bytes(LARGE)
    answer = proxy.ask(authority.client(), CLOSING.replace(b" / ", b" /files/large.bin "))
    assert answer.partition(b"\r\n\r\n")[2] == LARGE


def test_farewell(authority: Authority, start: Start) -> None:
    """The end of a connection is TLS' own, so that nobody can cut an answer unseen."""
    proxy = start(Origin(script(lambda wire: wire.send(b"HTTP/1.0 200 OK\r\n\r\nold"))))
    wire = proxy.connect(authority.client())
    with wire.socket:
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert wire.rest().endswith(b"\r\n\r\nold")


def test_stop(authority: Authority, start: Start) -> None:
    """Asked to stop, it finishes what runs; a handshake under way is ended, and answered once."""

    def act(wire: Wire) -> None:
        proxy.process.signal(signal.SIGTERM)
        proxy.process.wait_for_line("finishing what runs; connections: 3, ")
        late = Wire(authority.client().wrap_socket(shaking, server_hostname="shop.example"))
        late.send(GET.replace(b"/", b"/health", 1))
        assert b"\r\nConnection: close\r\n" in late.rest()
        late.socket.close()
        assert silent.recv(1) == b""
        wire.send(OK)

    proxy = start(Origin(script(act)))
    address = ("127.0.0.1", proxy.process.port)
    with (
        socket.create_connection(address, PATIENCE) as silent,
        socket.create_connection(address, PATIENCE) as shaking,
    ):
        silent.sendall(b"\x16\x03\x01")
        answer = proxy.ask(authority.client(), GET)
        assert answer.endswith(b"ok") and b"\r\nConnection: close\r\n" in answer
        assert proxy.process.wait() == 0


def test_certificate_changes(tmp_path: Path, authority: Authority, start: Start) -> None:
    """A new certificate is shown while clients come and go; a bad one is not; nobody notices."""
    proxy = start(Origin(polite))
    serials: list[object] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def come_and_go() -> None:
        try:
            kept = proxy.connect(authority.client())
            with kept.socket:
                while not over.is_set():
                    wire = proxy.connect(authority.client())
                    certificate = wire.socket.getpeercert()
                    assert certificate is not None
                    serials.append(certificate["serialNumber"])
                    with wire.socket:
                        wire.send(CLOSING)
                        assert wire.rest().endswith(b"ok")
                    kept.send(GET)
                    assert kept.head().startswith(b"HTTP/1.1 200 ") and kept.exactly(2) == b"ok"
        except BaseException as error:
            failures.append(error)

    clients = [threading.Thread(target=come_and_go) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        authority.issue("site.pem", "shop.example")
        proxy.process.wait_for_line(r"read anew: .*site\.pem")
        before = len(serials)
        (tmp_path / "site.pem").write_bytes(b"nonsense")
        proxy.process.wait_for_line(r"site\.pem has no certificate; going on with")
    finally:
        over.set()
        for client in clients:
            client.join(PATIENCE)
    assert failures == []
    assert len(serials) > before
    assert len(set(serials)) == 2  # One after the other.


def test_upstream(authority: Authority, start: Start) -> None:
    """A verified backend: connections are kept, a lost one is made anew with its session."""

    def two_each(origin: Origin, wire: Wire) -> None:
        for _ in range(2):
            if origin.request(wire):
                wire.send(OK)

    origin = SecureOrigin(two_each, authority, "shop.internal")
    pool = 'tls = true\nverify = "ca.pem"\nsni = "shop.internal"'
    proxy = start(origin, pool=pool)
    client = authority.client()
    for _ in range(6):
        assert proxy.ask(client).endswith(b"ok")
    assert origin.resumed == [False, True, True]


@pytest.mark.parametrize(
    ("verify", "sni", "words"),
    [
        ("true", "shop.internal", "certificate refused: unable to get local issuer certificate"),
        ('"foreign.pem"', "shop.internal", "certificate refused: unable to get local issuer"),
        ('"ca.pem"', "other.internal", "certificate refused: Hostname mismatch"),
    ],
)
def test_upstream_refused(
    tmp_path: Path, authority: Authority, start: Start, verify: str, sni: str, words: str
) -> None:
    """A backend whose certificate will not do gets no byte; the client and the log hear why."""
    Authority(tmp_path, "foreign.pem")
    origin = SecureOrigin(polite, authority, "shop.internal")
    proxy = start(origin, pool=f'tls = true\nverify = {verify}\nsni = "{sni}"')
    head, _, body = proxy.ask(authority.client()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 ") and json.loads(body)["reason"] == "tls_failed"
    assert origin.heads == []
    (line,) = proxy.log()
    (attempt,) = line["attempts"]
    assert (attempt["outcome"], attempt["stage"]) == ("tls_failed", "nothing_sent")
    assert words in attempt["detail"]


def test_upstream_speaks_plainly(authority: Authority, start: Start) -> None:
    """A backend without TLS where some is expected is told of so."""
    proxy = start(Origin(polite), pool="tls = true\nverify = false")
    assert proxy.ask(authority.client()).startswith(b"HTTP/1.1 502 ")
    (line,) = proxy.log()
    assert line["attempts"][0]["detail"].startswith("TLS: ")


def test_upstream_is_cut(authority: Authority, start: Start) -> None:
    """An answer that ends with its connection is whole only after TLS' own farewell."""

    def cut(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of i")

    def whole(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nwhole")
        assert isinstance(wire.socket, ssl.SSLSocket)
        wire.socket.unwrap()

    pool = "tls = true\nverify = false"
    proxy = start(SecureOrigin(script(cut), authority, "a"), pool=pool)
    answer = proxy.ask(authority.client())
    assert b"half of i" in answer and not answer.endswith(b"0\r\n\r\n")
    (line,) = proxy.log()
    assert (line["reason"], line["attempts"][0]["outcome"]) == ("answer_cut", "answer_cut")
    proxy = start(SecureOrigin(script(whole), authority, "a"), pool=pool)
    assert proxy.ask(authority.client()).endswith(b"5\r\nwhole\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("sni", "passed", "detail"),
    [
        ("shop.internal", True, "answered 200"),
        ("other.internal", False, "certificate refused: Hostname mismatch"),
    ],
)
def test_probe(authority: Authority, start: Start, sni: str, passed: bool, detail: str) -> None:
    """Probes speak TLS with the same trust, and ask for the same name."""
    origin = SecureOrigin(polite, authority, "shop.internal")
    proxy = start(
        origin,
        pool=f'tls = true\nverify = "ca.pem"\nsni = "{sni}"',
        health="{ interval = 60.0, rise = 1, fall = 1 }",
    )
    report = proxy.ask(authority.client(), CLOSING.replace(b" / ", b" /health "))
    told = json.loads(report.partition(b"\r\n\r\n")[2])["pools"][0]["backends"][0]["last_probe"]
    assert told["passed"] is passed and detail in told["detail"]
    assert [b"\r\nHost: shop.internal\r\n" in head for head in origin.heads] == [True] * passed


def test_mistake(tmp_path: Path, authority: Authority) -> None:
    """A certificate that is not there ends the start with one line, and status 1."""
    config = tmp_path / "lbproxy.toml"
    words = {"tls": "", "health": "false", "pool": "", "host": "a", "port": 1}
    (tmp_path / "files").mkdir()
    config.write_text(CONFIG.format(certificates='["gone.pem"]', **words))
    twistd = Path(sys.executable).with_name("twistd")
    command: list[str | Path] = [twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", config]
    process = Process(command, directory=tmp_path)
    assert process.wait() == 1
    key = "listeners.secure.tls.certificates[0]"
    assert process.output == f"{config}:9: {key}: no such file: {tmp_path / 'gone.pem'}"
