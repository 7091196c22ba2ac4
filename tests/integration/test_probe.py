"""What a probe makes of a backend's answer, told by `/health` over real sockets."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer, script
from tests.processes import PATIENCE

HEALTH = b"GET /health HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
PROBES = '{ path = "/ready", interval = 60.0, timeout = 0.3, rise = 1, fall = 1 }'


def saying(answer: bytes) -> Callable[[Wire], None]:
    """Answer so."""
    return lambda wire: wire.send(answer)


def endless(wire: Wire) -> None:
    """Send a body until nobody wants it."""
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        wire.send(b"1\r\na\r\n")


def silent(wire: Wire) -> None:
    """Answer nothing."""
    wire.rest()


def probed(folder: Path, origin: Origin, more: str = "") -> dict[str, Any]:
    """The first probe of a backend, as `/health` reports it."""
    probes = PROBES.replace(" }", f", {more} }}") if more else PROBES
    with balancer(folder, origin, health=probes) as proxy:  # It listens after the first round.
        return reported(proxy)[0]


def reported(proxy: Balancer) -> list[dict[str, Any]]:
    """The backends, as `/health` reports them."""
    document = json.loads(proxy.ask(HEALTH).partition(b"\r\n\r\n")[2])
    backends: list[dict[str, Any]] = document["pools"][0]["backends"]
    return backends


def answer(body: bytes, kind: bytes = b"text/plain", more: bytes = b"") -> bytes:
    """An answer with a body."""
    fields = b"Content-Type: %b\r\nContent-Length: %d\r\n%b" % (kind, len(body), more)
    return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (fields, body)


@pytest.mark.parametrize(
    ("act", "passed", "detail"),
    [
        (saying(OK), True, "answered 200"),
        (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), True, "answered 204"),
        (
            saying(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
            False,
            "answered 500",
        ),
        (
            saying(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"),
            False,
            "answered 302",
        ),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), False, "SSH-2.0"),
        (silent, False, "no answer in 0.3 s"),
        (endless, False, "no answer in 0.3 s"),
    ],
    ids=["200", "204", "500", "redirect", "garbage", "silent", "endless"],
)
def test_answers(tmp_path: Path, act: Callable[[Wire], None], passed: bool, detail: str) -> None:
    """A whole answer of 2xx in time is a pass, and all else is a failure."""

    def run(origin: Origin, wire: Wire) -> None:
        if origin.request(wire):
            act(wire)

    origin = Origin(run)
    told = probed(tmp_path, origin)
    probe = told["last_probe"]
    assert probe["passed"] is passed
    assert told["state"] == ("up" if passed else "down")
    assert detail in probe["detail"]
    # Asked where the config says, and at no other place that the answer names.
    assert {head.split(b" ")[1] for head in origin.heads} == {b"/ready"}
    assert f"\r\nHost: 127.0.0.1:{origin.port}\r\n".encode() in origin.heads[0]


def test_refused(tmp_path: Path) -> None:
    """A refused connection is a failure, and says so."""
    origin = Origin(lambda origin, wire: None)
    origin.close()
    told = probed(tmp_path, origin)
    assert (told["state"], told["last_probe"]["passed"]) == ("down", False)
    assert "refused" in told["last_probe"]["detail"]


BODY = """body = '"db":\\s*"up"'"""
BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    ("more", "reply", "passed", "detail"),
    [
        (BODY, answer(b'{"db": "up"}'), True, "answered 200"),
        (BODY, answer(b'{"db": "down"}'), False, 'answered 200 without "db":'),
        (BODY, answer(b"x" * 8190 + b'{"db":  "up"}'), False, "answered 200 without"),
        ("body = 'k$'", OK, True, "answered 200"),
        ("body = 'x$'", answer(b"x" * 9000), False, "answered 200 without"),
        ("body = '(x+x+)+y'", answer(b"x" * 8192), False, "answered 200 without"),
        ("body = 'a'", answer(BOMB, more=b"Content-Encoding: gzip\r\n"), False, "answered 200 w"),
        (
            "statuses = [401, '3xx']",
            b"HTTP/1.1 307 X\r\nContent-Length: 0\r\n\r\n",
            True,
            "answered 307",
        ),
        ("statuses = [401, '3xx']", OK, False, "answered 200"),
        ("method = 'HEAD'", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", True, "answered 200"),
        ("body = 'ok'", b"HTTP/1.0 200 OK\r\n\r\nok", True, "answered 200"),
    ],
    ids=[
        *("body", "other-body", "too-late", "end", "no-end", "hostile", "bomb"),
        *("statuses", "other-status", "head", "close"),
    ],
)
def test_asked(tmp_path: Path, more: str, reply: bytes, passed: bool, detail: str) -> None:
    """What the config says of an answer decides, whatever the answer does."""
    told = probed(tmp_path, Origin(script(saying(reply))), more)
    assert (told["last_probe"]["passed"], told["state"]) == (passed, "up" if passed else "down")
    assert told["last_probe"]["detail"].startswith(detail)


def test_headers(tmp_path: Path) -> None:
    """Fields of the request are the config's, each once."""
    origin = Origin(script(saying(OK)))
    more = 'headers = { host = "shop.example", User-Agent = "probe", Authorization = "Basic x" }'
    assert probed(tmp_path, origin, more)["state"] == "up"
    (head,) = origin.heads
    lines = head.split(b"\r\n")
    assert lines[0] == b"GET /ready HTTP/1.1"
    for line in (b"Host: shop.example", b"User-Agent: probe", b"Authorization: Basic x"):
        assert [each for each in lines if each.startswith(line[:5])] == [line]


def test_other_port(tmp_path: Path) -> None:
    """Another port is probed than the one that gets the requests."""
    origin, side = Origin(script(saying(OK))), Origin(script(saying(OK)))
    more = f"port = {side.port}"
    with balancer(tmp_path, origin, health=PROBES.replace(" }", f", {more} }}")) as proxy:
        proxy.ask(b"GET /x HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    assert [head.split(b" ")[1] for head in origin.heads] == [b"/x"]
    assert [head.split(b" ")[1] for head in side.heads] == [b"/ready"]


def test_connects_only(tmp_path: Path) -> None:
    """A pool for requests may be probed by connecting; nothing is said."""
    heard: list[bytes] = []
    origin = Origin(lambda origin, wire: heard.append(wire.rest()))
    with balancer(tmp_path, origin, health="{ tcp = true, interval = 60.0 }") as proxy:
        told = reported(proxy)[0]
    assert (told["state"], told["last_probe"]["detail"]) == ("up", "accepted")
    assert heard == [b""]


GET = b"GET /x HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"


class Saying:
    """A backend that says of itself what the test says.

    Attributes:
        words: That.
        kind: The type of that.
        probes: How often it was asked.
        requests: How many came besides.
        most: How many of them it had at a time.
        gate: Requests are answered while it is open.
    """

    def __init__(self) -> None:
        self.words, self.kind = b"{}", b"application/json"
        self.probes = self.requests = self.most = self._running = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, origin: Origin, wire: Wire) -> None:
        """Answer what comes on one connection."""
        while head := origin.request(wire):
            if head.startswith(b"GET /health "):
                self.probes += 1
                wire.send(answer(self.words, self.kind))
                return
            self.requests += 1
            self._running += 1
            self.most = max(self.most, self._running)
            self.gate.wait(PATIENCE)
            self._running -= 1
            wire.send(OK)


JSON = "{ json = true, interval = 0.3, timeout = 0.3 }"


def wait(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def says(proxy: Balancer, place: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """Wait until the report has that a backend says this."""
    wait(lambda: reported(proxy)[place]["says"] == wanted)
    return reported(proxy)[place]


@pytest.mark.parametrize("workers", [1, 2])
def test_drain(tmp_path: Path, workers: int) -> None:
    """Who says that it drains gets nothing new, is up all the same, and comes back."""
    a, b = Saying(), Saying()
    origins = Origin(a), Origin(b)
    ports = [origin.port for origin in origins]
    top = f"admin = false\nworkers = {workers}"
    proxy = Balancer(tmp_path, ports, "slow_start = 0", JSON, top)
    with proxy.process:
        a.words = b'{"drain": true, "status": "pass"}'
        assert says(proxy, 0, {"drain": True})["state"] == "up"
        # Each worker has to have heard.
        wait(lambda: all(b"X-Served-By: b" in proxy.ask(GET) for _ in range(10)))
        before = a.requests
        for _ in range(10):
            assert b"X-Served-By: b" in proxy.ask(GET)
        assert a.requests == before
        assert json.loads(proxy.ask(HEALTH).partition(b"\r\n\r\n")[2])["status"] == "ok"
        a.words = b"{}"
        wait(lambda: b"X-Served-By: a" in proxy.ask(GET))
        assert proxy.process.stop() == 0
    output = proxy.process.output
    assert output.count("api/a says drain") == output.count("api/a says nothing") == 1


def test_capacity(tmp_path: Path) -> None:
    """No more requests are under way than a backend says that it can bear; the rest waits."""
    a = Saying()
    a.words, a.kind = b'{"capacity": 2}', b"application/health+json; charset=utf-8"
    with balancer(tmp_path, Origin(a), health=JSON) as proxy:
        says(proxy, 0, {"capacity": 2})
        a.gate.clear()
        wires = [proxy.connect() for _ in range(5)]
        for wire in wires:
            wire.send(GET)
        wait(lambda: a.most == 2)
        a.gate.set()
        for wire in wires:
            assert wire.rest().startswith(b"HTTP/1.1 200 ")
            wire.socket.close()
    assert (a.requests, a.most) == (5, 2)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (b'{"drain": true}', b"text/plain"),
        (b'{"drain": "yes", "weight": 1e3}', b"application/json"),
        (b"[" * 8000, b"application/json"),
        (b'{"drain": true}' + b" " * 8192, b"application/json"),
        (b"\xff\xfe", b"application/json"),
    ],
    ids=["type", "values", "deep", "long", "bytes"],
)
def test_said_in_vain(tmp_path: Path, words: bytes, kind: bytes) -> None:
    """What cannot be heard changes nothing, and the log says so once."""
    a = Saying()
    a.words, a.kind = words, kind
    with balancer(tmp_path, Origin(a), health=JSON) as proxy:
        wait(lambda: a.probes > 3)
        told = reported(proxy)[0]
        assert (told["state"], told["says"]) == ("up", {})
        assert proxy.ask(GET).startswith(b"HTTP/1.1 200 ")
    lines = [line for line in proxy.process.output.split("\n") if "that is ignored" in line]
    assert len(lines) == len({line.partition("api/a")[2] for line in lines})
    assert bool(lines) == (kind != b"text/plain")


def test_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe of the docs, among Redis servers of which one is the master."""
    page = Path(__file__).parents[2] / "docs" / "health.md"
    source = page.read_text().partition("# twisted/plugins/shop_probes.py\n")[2]
    (tmp_path / "twisted" / "plugins").mkdir(parents=True)
    (tmp_path / "twisted" / "plugins" / "shop_probes.py").write_text(source.partition("```")[0])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def redis(role: bytes) -> Callable[[Origin, Wire], None]:
        def run(origin: Origin, wire: Wire) -> None:
            if wire.until(b"\r\n") == b"INFO replication\r\n":
                wire.send(b"$31\r\n# Replication\r\nrole:%b\r\n\r\n" % role)

        return run

    origins = Origin(redis(b"slave")), Origin(redis(b"master")), Origin(lambda origin, wire: None)
    origins[2].close()
    health = '{ check = "redis_master", interval = 60.0, rise = 1, fall = 1 }'
    with balancer(tmp_path, *origins, health=health) as proxy:
        slave, master, gone = reported(proxy)
    assert (slave["state"], slave["last_probe"]["detail"]) == ("down", "did not pass")
    assert (master["state"], master["last_probe"]["detail"]) == ("up", "passed")
    assert gone["state"] == "down"
    assert "ConnectionRefusedError: Connection was refused" in gone["last_probe"]["detail"]
