"""Who does not read holds back who sends; and answers of every shape keep the connection."""

from __future__ import annotations

import json
import select
import threading
from pathlib import Path

import pytest

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer, script
from tests.processes import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

PIECE = bytes(1 << 16)
LENGTH = 200 << 20

#: What may lie in the kernel's buffers and in ours, of `LENGTH` bytes.
HELD = 40 << 20

#: What the balancer's memory may grow by, in KiB.
GROWTH = 20 * 1024


def resident(of: Balancer) -> int:
    """The balancer's memory at present, in KiB."""
    status = Path(f"/proc/{of.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


class Sender:
    """Sends `LENGTH` bytes, and notices when nobody takes them.

    Attributes:
        sent: How many have been taken.
        stuck: Set once none was taken for half a second.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.stuck = threading.Event()

    def send(self, wire: Wire) -> None:
        """Send until nobody takes any more, then wait until somebody does."""
        wire.socket.settimeout(0.5)
        while self.sent < LENGTH:
            try:
                self.sent += wire.socket.send(PIECE)
            except TimeoutError:
                self.stuck.set()
                wire.socket.settimeout(PATIENCE)


def test_client_does_not_read(tmp_path: Path) -> None:
    """The origin is held back, memory does not grow, others are served; then all arrives."""
    sender = Sender()

    def act(origin: Origin, wire: Wire) -> None:
        if b"GET /long " not in origin.request(wire):
            wire.send(OK)
            return
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LENGTH)
        sender.send(wire)

    with balancer(tmp_path, Origin(act)) as proxy:
        before = resident(proxy)
        wire = proxy.connect()
        with wire.socket:
            wire.send(b"GET /long HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
            assert sender.stuck.wait(PATIENCE)
            assert sender.sent < HELD
            assert resident(proxy) - before < GROWTH
            assert proxy.ask(CLOSING).endswith(b"\r\n\r\nok")
            wire.head()
            read = 0
            while data := wire.exactly(1 << 16):
                read += len(data)
        assert read == LENGTH
        assert resident(proxy) - before < GROWTH


def test_backend_does_not_read(tmp_path: Path) -> None:
    """The client is held back, memory does not grow, others are served; then all arrives."""
    sender, reading = Sender(), threading.Event()
    received: list[int] = []

    def act(origin: Origin, wire: Wire) -> None:
        if origin.request(wire).startswith(b"PUT "):
            assert reading.wait(PATIENCE)
            count = 0
            while count < LENGTH and (data := wire.exactly(1 << 16)):
                count += len(data)
            received.append(count)
        wire.send(OK)

    with balancer(tmp_path, Origin(act)) as proxy:
        before = resident(proxy)
        wire = proxy.connect()
        with wire.socket:
            wire.send(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % LENGTH)
            sending = threading.Thread(target=sender.send, args=(wire,), daemon=True)
            sending.start()
            assert sender.stuck.wait(PATIENCE)
            assert sender.sent < HELD
            assert resident(proxy) - before < GROWTH
            assert proxy.ask(CLOSING).endswith(b"\r\n\r\nok")
            reading.set()
            sending.join(PATIENCE)
            wire.socket.settimeout(PATIENCE)
            assert wire.head().startswith(b"HTTP/1.1 200 ")
        assert received == [LENGTH]


def test_trailers(tmp_path: Path) -> None:
    """A chunked answer arrives whole, with its trailers."""

    def act(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n")
        wire.send(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nDigest: d1\r\nX-Rows: 7\r\n\r\n")

    with balancer(tmp_path, Origin(script(act))) as proxy:
        _, _, body = proxy.ask(CLOSING).partition(b"\r\n\r\n")
    chunks, _, trailers = body.partition(b"0\r\n")
    data = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        data, chunks = data + chunks[: int(size, 16)], chunks[int(size, 16) + 2 :]
    assert data == b"abcdefg"
    assert trailers.splitlines() == [b"Digest: d1", b"X-Rows: 7", b""]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n'),
    ],
)
def test_no_body(tmp_path: Path, method: bytes, answer: bytes) -> None:
    """An answer without a body ends with its head: both connections serve the next request."""
    connections = []

    def act(origin: Origin, wire: Wire) -> None:
        connections.append(wire)
        while head := origin.request(wire):
            wire.send(OK if b"GET /next " in head else answer)

    with balancer(tmp_path, Origin(act)) as proxy:
        wire = proxy.connect()
        with wire.socket:
            wire.send(method + b" / HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert wire.head().split(b"\r\n")[0] == answer.split(b"\r\n")[0]
            wire.send(b"GET /next HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert wire.head().startswith(b"HTTP/1.1 200 ")
            assert wire.exactly(2) == b"ok"
    assert len(connections) == 1


def test_queue_full(tmp_path: Path) -> None:
    """One is served, one waits, and the third hears which limit it met, and when to come back."""
    begun, go_on = threading.Event(), threading.Event()

    def act(origin: Origin, wire: Wire) -> None:
        while origin.request(wire):
            begun.set()
            assert go_on.wait(PATIENCE)
            wire.send(OK)

    pool = "max_in_flight = 1\nqueue = { length = 1, wait = 30.0 }"
    with balancer(tmp_path, Origin(act), pool=pool) as proxy:
        served, other, third = proxy.connect(), proxy.connect(), proxy.connect()
        with served.socket, other.socket, third.socket:
            served.send(GET)
            assert begun.wait(PATIENCE)
            # Of the other two, whichever is read later is refused.
            other.send(GET)
            third.send(GET)
            refused = first_to_hear(other, third)
            head = refused.head()
            assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in head
            length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            problem = json.loads(refused.exactly(length))
            assert "pools.api.queue.length" in problem["detail"]
            go_on.set()
            for wire in {served, other, third} - {refused}:
                assert wire.head().startswith(b"HTTP/1.1 200 ")
                assert wire.exactly(2) == b"ok"


def first_to_hear(*wires: Wire) -> Wire:
    """Wait until one of the connections brings something."""
    sockets = [wire.socket for wire in wires]
    readable, _, _ = select.select(sockets, [], [], PATIENCE)
    return next(wire for wire in wires if wire.socket in readable)
