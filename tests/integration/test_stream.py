"""TCP mode over real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from lbproxy.preface.proxy_protocol import InetAddress, parse, v1, v2
from tests.integration.origin import Balancer, Origin, Wire, polite
from tests.integration.streams import LISTENER, StreamBalancer, backends, pool, stream_balancer
from tests.processes import PATIENCE, free_port

#: Bytes each way: many times what all buffers between the two hold.
MUCH = random.Random(3).randbytes(48 * 1024 * 1024)

CLIENT = InetAddress("203.0.113.7", 51234), InetAddress("198.51.100.2", 443)


def echo(origin: Origin, wire: Wire) -> None:
    """Send back what comes, and end when it ends."""
    while data := wire.socket.recv(65536):
        wire.send(data)


def named(name: bytes) -> Origin:
    """A backend that says its name, and then echoes."""

    def speak(origin: Origin, wire: Wire) -> None:
        wire.send(name)
        echo(origin, wire)

    return Origin(speak)


def digest_of_rest(wire: Wire) -> str:
    """What is read until the connection ends, as its digest: it is much."""
    digest = hashlib.sha256()
    while data := wire.socket.recv(1 << 20):
        digest.update(data)
    return digest.hexdigest()


def test_both_ways(tmp_path: Path) -> None:
    """Everything arrives as it was sent, both ways at once, to the end of each side."""
    received: list[str] = []

    def exchange(origin: Origin, wire: Wire) -> None:
        def send() -> None:
            wire.send(MUCH)
            wire.socket.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received.append(digest_of_rest(wire))
        sender.join(PATIENCE)

    backend = Origin(exchange)
    with stream_balancer(tmp_path, pool(backend.port)) as proxy:
        client = proxy.connect()
        answer: list[str] = []
        reader = threading.Thread(target=lambda: answer.append(digest_of_rest(client)))
        reader.start()
        client.send(MUCH)
        client.socket.shutdown(socket.SHUT_WR)
        reader.join(PATIENCE)
        assert not reader.is_alive()
    assert [*received, *answer] == [hashlib.sha256(MUCH).hexdigest()] * 2
    (record,) = proxy.records()
    assert (record["reason"], record["pool"]) == ("ended", "db")
    assert (record["bytes_in"], record["bytes_out"]) == (len(MUCH), len(MUCH))


def test_half_close(tmp_path: Path) -> None:
    """A client that has said all it has to say still gets the answer."""
    heard: list[bytes] = []

    def answer(origin: Origin, wire: Wire) -> None:
        heard.append(wire.rest())
        wire.send(b"answer")

    with stream_balancer(tmp_path, pool(Origin(answer).port)) as proxy:
        client = proxy.connect()
        client.send(b"question")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"answer"
    assert heard == [b"question"]


def test_slow_reader(tmp_path: Path) -> None:
    """What a client does not read yet, the balancer does not hold."""
    sent = threading.Event()

    def pour(origin: Origin, wire: Wire) -> None:
        wire.send(MUCH)
        sent.set()

    with stream_balancer(tmp_path, pool(Origin(pour).port)) as proxy:
        client = proxy.connect()
        assert client.socket.recv(1) == MUCH[:1]
        assert not sent.is_set()  # 48 MiB fit into no buffers between the two.
        assert digest_of_rest(client) == hashlib.sha256(MUCH[1:]).hexdigest()
    assert sent.is_set()


def test_failover(tmp_path: Path) -> None:
    """A backend that refuses is passed over, and probed out by its port alone."""
    good = named(b"b")
    with stream_balancer(tmp_path, pool(free_port(), good.port)) as proxy:
        for _ in range(4):
            client = proxy.connect()
            assert client.exactly(1) == b"b"
            client.socket.close()
    outcomes = [[each["outcome"] for each in record["attempts"]] for record in proxy.records()]
    assert outcomes[0] == ["connect_failed", "connected"]
    assert all(each[-1] == "connected" for each in outcomes)


def once(proxy: StreamBalancer) -> bytes:
    """The first byte that a client gets, who then goes."""
    client = proxy.connect()
    with client.socket:
        return client.exactly(1)


def test_killed_and_back(tmp_path: Path) -> None:
    """A backend goes in the midst: its sessions see it, all others go on, and it comes back."""
    first, other = named(b"a"), named(b"b")
    more = "health = { interval = 0.2, timeout = 0.2, rise = 1, fall = 1 }\nslow_start = 0.0"
    with stream_balancer(tmp_path, pool(first.port, other.port, more=more)) as proxy:
        wires = [proxy.connect() for _ in range(2)]
        assert {wire.exactly(1) for wire in wires} == {b"a", b"b"}
        first.close()
        proxy.process.wait_for_line(r"db/a is down")
        for _ in range(4):
            assert proxy.connect().exactly(1) == b"b"
        for wire in wires:  # A port that is closed ends no session.
            wire.send(b"x")
            assert wire.exactly(1) == b"x"
        again = Origin(lambda origin, wire: wire.send(b"c"), port=first.port)
        # More clients than come before the next probe has passed.
        assert any(once(proxy) == b"c" for _ in range(10_000))
        again.close()


def test_reset(tmp_path: Path) -> None:
    """A reset of one side reaches the other as one."""

    def reset(origin: Origin, wire: Wire) -> None:
        wire.exactly(1)
        wire.reset()

    with stream_balancer(tmp_path, pool(Origin(reset).port)) as proxy:
        client = proxy.connect()
        client.send(b"x")
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
    assert proxy.records()[0]["reason"] == "backend_reset"


def test_idle(tmp_path: Path) -> None:
    """A session without a byte is ended."""
    more = "health = false\ntimeouts = { stream = 0.2 }"
    with stream_balancer(tmp_path, pool(Origin(echo).port, more=more)) as proxy:
        client = proxy.connect()
        client.send(b"x")
        assert client.exactly(1) == b"x"
        assert client.rest() == b""
    assert proxy.records()[0]["reason"] == "idle_timeout"


def test_nobody(tmp_path: Path) -> None:
    """Where no backend accepts, the client is closed."""
    with stream_balancer(tmp_path, pool(free_port(), free_port())) as proxy:
        assert proxy.connect().rest() == b""
    assert proxy.records()[0]["reason"] == "no_backend"


def test_drain(tmp_path: Path) -> None:
    """A session goes on while the balancer stops, until the time for that is over."""
    config = pool(Origin(echo).port) + "[stop]\ndrain = 30.0\n"
    with stream_balancer(tmp_path, config) as proxy:
        client = proxy.connect()
        client.send(b"x")
        assert client.exactly(1) == b"x"
        port = proxy.port("db")
        proxy.process.signal(15)
        with contextlib.suppress(ConnectionError):
            while True:  # Until the port is closed.
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        client.send(b"y")
        assert client.exactly(1) == b"y"
        client.socket.close()
        assert proxy.process.wait() == 0


# PROXY headers.


@pytest.mark.parametrize("write", [v1, v2])
def test_announced_session(tmp_path: Path, write: type) -> None:
    """A header may come in two reads, and reaches the backend as another version."""

    def introduce(origin: Origin, wire: Wire) -> None:
        data = wire.exactly(28)
        header = parse(data)
        assert header is not None and (header.source, header.destination) == CLIENT
        wire.send(b"known" + wire.exactly(5))

    more = 'health = false\nsend_proxy = "v2"'
    config = pool(Origin(introduce).port, prefix="haproxy:", more=more)
    header = write(*CLIENT)
    with stream_balancer(tmp_path, config) as proxy:
        for at in range(1, len(header), 3):
            client = proxy.connect()
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(header[:at])
            client.send(header[at:] + b"hello")
            assert client.exactly(10) == b"knownhello"
            client.socket.close()
    assert {record["client"] for record in proxy.records()} == {CLIENT[0].host}


def test_announced_refused(tmp_path: Path) -> None:
    """Who has no header is closed, and no backend hears of it."""
    config = pool(Origin(echo).port, prefix="haproxy:")
    with stream_balancer(tmp_path, config) as proxy:
        client = proxy.connect()
        client.send(b"SELECT 1;\n")
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
    (record,) = proxy.records()
    assert (record["reason"], record["bytes_in"]) == ("bad_preface", 0)


@pytest.mark.parametrize("write", [v1, v2])
def test_announced_request(tmp_path: Path, write: type) -> None:
    """In HTTP mode the header's client is the one of `X-Forwarded-For`."""
    origin = Origin(polite)
    header = write(*CLIENT)
    proxy = Balancer(tmp_path, [origin.port], "", "false", endpoint="haproxy:tcp:0")
    with proxy.process:
        for at in range(1, len(header), 5):
            client = proxy.connect()
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(header[:at])
            client.send(header[at:] + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with client.socket:
                assert client.rest().startswith(b"HTTP/1.1 200 ")
        assert proxy.process.stop() == 0
    assert all(b"\r\nX-Forwarded-For: 203.0.113.7\r\n" in head for head in origin.heads)


def test_send_proxy_first(tmp_path: Path) -> None:
    """The backend reads who the client is; a probe says that it is no client."""
    heads: list[bytes] = []

    def read(origin: Origin, wire: Wire) -> None:
        heads.append(wire.until(b"\r\n"))
        wire.send(b"hello")

    more = 'health = { interval = 0.2, timeout = 0.2 }\nsend_proxy = "v1"'
    with stream_balancer(tmp_path, pool(Origin(read).port, more=more)) as proxy:
        client = proxy.connect()
        own = client.socket.getsockname()
        assert client.exactly(5) == b"hello"
    expected = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (own[1], proxy.port("db"))
    assert set(heads) == {expected, b"PROXY UNKNOWN\r\n"}


# TLS that the backends end.


@pytest.fixture
def authority() -> trustme.CA:
    """Who has signed the backends' certificates."""
    return trustme.CA()


@contextlib.contextmanager
def tls_backend(authority: trustme.CA, *names: str) -> Iterator[int]:
    """A TLS server that says its first name, on a port of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)

    def serve(origin: Origin, wire: Wire) -> None:
        with context.wrap_socket(wire.socket, server_side=True) as tls:
            tls.sendall(names[0].encode() + b"\n")
            tls.recv(1)

    origin = Origin(serve)
    yield origin.port
    origin.close()


def ask(authority: trustme.CA, port: int, name: str) -> bytes:
    """What the server of a name says first; its certificate has been checked."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        return tls.recv(100)


def test_names(tmp_path: Path, authority: trustme.CA) -> None:
    """The name in the ClientHello decides who ends the TLS; another one goes nowhere."""
    with (
        tls_backend(authority, "db.example") as exact,
        tls_backend(authority, "*.shop.example") as wildcard,
    ):
        config = LISTENER.format(name="tls", prefix="")
        config += '[[routes]]\nsni = "db.example"\npool = "db"\n'
        config += '[[routes]]\nsni = "*.shop.example"\nlistener = "tls"\npool = "any"\n'
        config += "[pools.db]\nhealth = false\n" + backends("db", exact)
        config += "[pools.any]\nhealth = false\n" + backends("any", wildcard)
        with stream_balancer(tmp_path, config) as proxy:
            port = proxy.port("tls")
            assert ask(authority, port, "db.example") == b"db.example\n"
            assert ask(authority, port, "DB.example") == b"db.example\n"
            assert ask(authority, port, "web.shop.example") == b"*.shop.example\n"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask(authority, port, "db.elsewhere")
    found = {(record.get("server_name"), record.get("pool")) for record in proxy.records()}
    assert found == {("db.example", "db"), ("web.shop.example", "any"), ("db.elsewhere", None)}


def test_reset_linger(tmp_path: Path) -> None:
    """A client that resets has its backend reset too."""
    ended: list[type | None] = []
    done = threading.Event()

    def wait(origin: Origin, wire: Wire) -> None:
        wire.send(b"x")
        try:
            wire.socket.recv(1)
            ended.append(None)
        except ConnectionError as error:
            ended.append(type(error))
        done.set()

    with stream_balancer(tmp_path, pool(Origin(wait).port)) as proxy:
        client = proxy.connect()
        assert client.exactly(1) == b"x"
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        assert done.wait(PATIENCE)
    assert ended == [ConnectionResetError]
