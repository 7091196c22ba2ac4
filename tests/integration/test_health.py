"""What `GET /health` tells, over the wire, while a backend stops answering and comes back."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer, script
from tests.processes import PATIENCE

END = b" /health HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
WELL, ILL = OK, b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

PROBES = "{ interval = 1.0, timeout = 1.0, rise = 2, fall = 3 }"
BACK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Patient:
    """A backend whose probes end as the test says.

    Attributes:
        answer: What it answers at present.
        probes: The answers given, in order.
    """

    def __init__(self) -> None:
        self.answer = WELL
        self.probes: list[bytes] = []

    def __call__(self, origin: Origin, wire: Wire) -> None:
        """Answer what comes on one connection."""
        while origin.request(wire):
            answer = self.answer
            self.probes.append(answer)
            wire.send(answer)


def report(of: Balancer) -> dict[str, Any]:
    """The balancer's report."""
    document: dict[str, Any] = json.loads(of.ask(b"GET" + END).partition(b"\r\n\r\n")[2])
    return document


def backend(of: Balancer) -> dict[str, Any]:
    """What the report says of the only backend."""
    told: dict[str, Any] = report(of)["pools"][0]["backends"][0]
    return told


def test_fields(tmp_path: Path) -> None:
    """State, since when, the last probe's outcome and latency, and what is in flight."""
    begun, go_on = threading.Event(), threading.Event()

    def act(origin: Origin, wire: Wire) -> None:
        while head := origin.request(wire):
            if not head.startswith(b"GET /health "):
                begun.set()
                assert go_on.wait(PATIENCE)
            wire.send(WELL)

    origin = Origin(act)
    with balancer(tmp_path, origin, health=PROBES) as proxy:
        proxy.process.wait_for_line("api/a is up: ")
        client = proxy.connect()
        with client.socket:
            client.send(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert begun.wait(PATIENCE)
            told = backend(proxy)
            go_on.set()
            client.head()
        assert (told["name"], told["address"]) == ("a", f"127.0.0.1:{origin.port}")
        assert told["in_flight"] == 1
        probe = told["last_probe"]
        assert (probe["passed"], probe["detail"]) == (True, "answered 200")
        assert 0 < probe["latency"] < 1.0
        since, at = datetime.fromisoformat(told["since"]), datetime.fromisoformat(probe["at"])
        assert since <= at
        assert backend(proxy)["in_flight"] == 0
        assert report(proxy)["status"] == "ok"


def test_methods(tmp_path: Path) -> None:
    """HEAD answers as GET does, without the body; what would write is refused."""
    with balancer(tmp_path, Origin(Patient())) as proxy:
        got, _, body = proxy.ask(b"GET" + END).partition(b"\r\n\r\n")
        head, _, nothing = proxy.ask(b"HEAD" + END).partition(b"\r\n\r\n")
        posted = proxy.ask(b"POST" + END)
    for answer in (got, head):
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nContent-Type: application/json" in answer
        assert b"\r\nCache-Control: no-store" in answer
        assert b"\r\nContent-Length: " in answer
    assert json.loads(body)["status"] == "ok" and nothing == b""
    assert posted.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in posted


def test_down_and_up(tmp_path: Path) -> None:
    """It goes down after `fall` failed probes in a row, and comes up after `rise` that passed."""
    patient = Patient()
    with balancer(tmp_path, Origin(patient), health=PROBES) as proxy:
        proxy.process.wait_for_line("api/a is up: ")
        patient.answer = ILL
        proxy.process.wait_for_line("api/a is down: answered 500")
        failed = patient.probes.count(ILL)
        told = backend(proxy)
        assert told["last_probe"]["passed"] is False
        assert told["last_probe"]["detail"] == "answered 500"
        assert report(proxy)["status"] == "degraded"
        patient.probes.clear()
        patient.answer = BACK
        proxy.process.wait_for_line("api/a is up: answered 204")
        passed = patient.probes.count(BACK)
        assert backend(proxy)["since"] > told["since"]
    # A probe more may have ended between the turn and the look at it.
    assert 3 <= failed <= 4
    assert 2 <= passed <= 3


def test_draining(tmp_path: Path) -> None:
    """While it finishes what runs, the report says so with 503, on connections that are open."""
    begun, go_on = threading.Event(), threading.Event()

    def act(wire: Wire) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        wire.send(OK)

    with balancer(tmp_path, Origin(script(act))) as proxy:
        client = proxy.connect()
        with client.socket:
            client.send(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            watcher = proxy.connect()
            with watcher.socket:
                assert begun.wait(PATIENCE)
                # Half a head keeps the connection from being closed as idle.
                watcher.send(b"GET")
                report(proxy)
                proxy.process.signal(15)
                proxy.process.wait_for_line(r"Port \d+ Closed")
                watcher.send(END)
                answer = watcher.rest()
            go_on.set()
            assert client.head().startswith(b"HTTP/1.1 200 ")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == "draining"
        assert proxy.process.wait() == 0
