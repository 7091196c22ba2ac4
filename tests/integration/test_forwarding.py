"""Messages on their way through, over real sockets."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from websockets.sync.client import connect as connect_websocket

from tests.integration.echo import echo
from tests.integration.origin import OK, Origin, Wire, balancer, polite, script
from tests.processes import PATIENCE, Process

HOST = b"Host: shop.example\r\n"


def test_fields(tmp_path: Path) -> None:
    """Fields of one hop stay here, what a client says of itself is not believed, Host is kept."""
    origin = Origin(polite)
    request = (
        b"GET /a?b HTTP/1.1\r\n" + HOST + b"Connection: close, X-Mine\r\nX-Mine: 1\r\n"
        b"Connection: X-Request-Id, Via\r\nKeep-Alive: 5\r\nX-Forwarded-For: 6.6.6.6\r\n"
        b"X_Forwarded_For: 6.6.6.6\r\nX-Other: 2\r\n\r\n"
    )
    with balancer(tmp_path, origin) as proxy:
        answer = proxy.ask(request)
    head = origin.heads[0].lower()
    assert head.startswith(b"get /a?b http/1.1\r\n")
    for kept in (b"host: shop.example", b"x-other: 2", b"x-forwarded-for: 127.0.0.1", b"via: 1.1 "):
        assert b"\r\n" + kept in head, kept
    for gone in (b"x-mine", b"keep-alive", b"6.6.6.6", b"connection:"):
        assert gone not in head, gone
    assert b"\r\nx-request-id: " in head
    assert b"\r\nX-Request-Id: " in answer and b"\r\nDate: " in answer


def test_pipelining(tmp_path: Path) -> None:
    """Requests sent at once are answered in order, on one connection."""

    def echo(origin: Origin, wire: Wire) -> None:
        while head := origin.request(wire):
            path = head.split(b" ")[1]
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path)

    requests = [b"GET /%d HTTP/1.1\r\n" % number + HOST for number in range(20)]
    requests[-1] += b"Connection: close\r\n"
    with balancer(tmp_path, Origin(echo)) as proxy:
        answers = proxy.ask(b"\r\n".join(requests) + b"\r\n")
    bodies = [part.split(b"\r\n\r\n")[1] for part in answers.split(b"HTTP/1.1 200")[1:]]
    assert bodies == [b"/%d" % number for number in range(20)]


def test_continue(tmp_path: Path) -> None:
    """`100 Continue` is the backend's to give: the body waits for it."""

    def act(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert wire.exactly(4) == b"body"
        wire.send(OK)

    with balancer(tmp_path, Origin(script(act))) as proxy:
        wire = proxy.connect()
        with wire.socket:
            wire.send(b"PUT / HTTP/1.1\r\n" + HOST)
            wire.send(b"Expect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
            assert wire.head().startswith(b"HTTP/1.1 100 ")
            wire.send(b"body")
            assert wire.head().startswith(b"HTTP/1.1 200 ")


def test_early_hints(tmp_path: Path) -> None:
    """1xx answers go on before the answer's own head."""

    def act(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + OK)

    with balancer(tmp_path, Origin(script(act))) as proxy:
        answer = proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    hints, _, rest = answer.partition(b"\r\n\r\n")
    assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>"
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_http_1_0(tmp_path: Path) -> None:
    """A client of HTTP/1.0 gets no chunks; a backend of HTTP/1.0 ends its answer by closing."""

    def chunked(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    with balancer(tmp_path, Origin(script(chunked))) as proxy:
        answer = proxy.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nok") and b"Transfer-Encoding" not in answer

    old = Origin(script(lambda wire: wire.send(b"HTTP/1.0 200 OK\r\n\r\nold")))
    with balancer(tmp_path, old) as proxy:
        answer = proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"3\r\nold\r\n0\r\n\r\n")


def test_each_piece_at_once(tmp_path: Path) -> None:
    """A piece of an answer arrives before the backend sends the next one."""

    def act(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            wire.send(b"4\r\ntick\r\n")
            wire.until(b"tock")  # The client has seen it.
        wire.send(b"0\r\n\r\n")

    request = b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 20\r\nConnection: close\r\n\r\n"
    with balancer(tmp_path, Origin(script(act))) as proxy:
        wire = proxy.connect()
        with wire.socket:
            wire.send(request)
            wire.head()
            for _ in range(5):
                assert wire.until(b"tick\r\n").endswith(b"tick\r\n")
                wire.send(b"tock")
            assert wire.rest() == b"0\r\n\r\n"


def test_client_gone(tmp_path: Path) -> None:
    """When the client goes, the backend's connection is closed, and no other is tried."""
    ended: list[bytes] = []

    def act(origin: Origin, wire: Wire) -> None:
        if origin.request(wire):
            proxy_side.reset()
            ended.append(wire.rest())

    origin, other = Origin(act), Origin(polite)
    with balancer(tmp_path, origin, other) as proxy:
        proxy_side = proxy.connect()
        proxy_side.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert ended == [b""]
    assert len(other.heads) == 1


def test_ambiguous(tmp_path: Path) -> None:
    """Framing that two readers could disagree on ends here, in either direction."""
    origin = Origin(script(lambda wire: wire.send(OK[:-6] + b"Content-Length: 3\r\n\r\nabc")))
    both = (
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"
    )
    with balancer(tmp_path, origin) as proxy:
        refused = proxy.ask(b"POST / HTTP/1.1\r\n" + HOST + both)
        assert refused.startswith(b"HTTP/1.1 400 ") and refused.count(b"HTTP/1.1 ") == 1
        assert origin.heads == []
        answer = proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")


def test_websocket(tmp_path: Path) -> None:
    """A WebSocket's messages come back through the tunnel, and it closes in order."""
    with echo() as server, balancer(tmp_path, server.origin) as proxy:
        address = f"ws://127.0.0.1:{proxy.process.port}/ws"
        with connect_websocket(address) as client:
            for message in ("hello", "x" * 300_000, "bye"):
                client.send(message)
                assert client.recv(PATIENCE) == message


def test_stop(tmp_path: Path) -> None:
    """Asked to stop, it finishes what runs; the exit code is 0."""

    def act(wire: Wire) -> None:
        proxy.process.signal(signal.SIGTERM)
        proxy.process.wait_for_line(r"Port \d+ Closed")
        wire.send(OK)

    with balancer(tmp_path, Origin(script(act))) as proxy:
        answer = proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert answer.endswith(b"ok") and b"Connection: close\r\n" in answer
        assert proxy.process.wait() == 0


def test_second_signal(tmp_path: Path) -> None:
    """A second signal ends it at once, whatever runs."""

    def act(wire: Wire) -> None:
        proxy.process.signal(signal.SIGTERM)
        proxy.process.wait_for_line(r"Port \d+ Closed")
        proxy.process.signal(signal.SIGTERM)
        wire.rest()

    with balancer(tmp_path, Origin(script(act))) as proxy:
        assert proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") == b""
        assert proxy.process.wait() == 0


def test_mistakes(tmp_path: Path) -> None:
    """A typo and a port in use are told in one line each, with exit code 1."""
    twistd = Path(sys.executable).with_name("twistd")
    config = tmp_path / "lbproxy.toml"
    command: list[str | Path] = [twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", config]
    with balancer(tmp_path, Origin(polite)) as proxy:
        text = config.read_text()
        config.write_text(text.replace("tcp:0:", f"tcp:{proxy.process.port}:"))
        used = Process(command, directory=tmp_path)
        assert used.wait() == 1
        config.write_text(text.replace("expose_backend", "expose_backends"))
        typo = Process(command, directory=tmp_path)
        assert typo.wait() == 1
    assert used.output.count("listeners.web.endpoint: cannot listen on port") == 1
    assert "Traceback" not in used.output
    key = "routes[0].expose_backends"
    assert typo.output == f"{config}:9: {key}: unknown key; did you mean expose_backend?"
