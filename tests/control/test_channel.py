"""The two ends of a channel, joined in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.standing import Standing, State
from lbproxy.control import commands
from lbproxy.control.channel import WorkerLink
from lbproxy.control.link import Load, Whole, WorkerReport
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import Said
from lbproxy.observe.metrics import REQUESTS, Counts
from lbproxy.worker.channel import ParentLink

PROBE = ProbeOutcome(False, 0.25, "answered 503", True, 99.5)
DOWN = Standing(State.DOWN, "answered 503", 99.0, 0.0, False, True, PROBE, 3, Said(3, True, 7))
UNKNOWN = Standing(State.UNKNOWN, "", 1.5, 0.0, True, False, None, 0)
LOAD = Load({("api", "b0"): 1, ("api", "b1"): 2}, {"api": 3, "db": 0}, 4, {"api": "", "db": "ill"})
WHOLE = Whole(
    (WorkerReport(1, 17, "serving", 1.5, 2), WorkerReport(2, None, "idle", 2.5, 0)), LOAD.in_flight
)


A, B = ("api", "a"), ("db", "b")


class Worker:
    """Notes what the parent asks for."""

    pid = 17

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.link: Any = None

    def __getattr__(self, name: str) -> Any:
        return lambda *told: self.asked.append((name, *told))

    def count(self) -> Deferred[Any]:
        counts = Counts()
        for number in range(100):  # Too many for one command.
            counts.of((REQUESTS, "/", None, f"b{number}", 2, "answered"))[0] = number
        counted: Deferred[Any] = self.link.counted(counts, LOAD)
        return counted


class Parent:
    """Notes what the worker tells."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.counts = Counts()

    def __getattr__(self, name: str) -> Any:
        return lambda *told: self.told.append((name, *told))

    def counted(self, counts: Counts, load: Load) -> Deferred[Any]:
        self.counts.add(counts)
        self.told.append(load)
        return succeed(None)


class LinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.worker, self.parent = Worker(), Parent()
        self.lost: list[bool] = []
        self.down: Any = WorkerLink(self.parent)
        self.up = ParentLink(self.worker, lambda: self.lost.append(True))
        self.worker.link = self.up
        self.wires = StringTransport(), StringTransport()
        self.down.makeConnection(self.wires[0])
        self.up.makeConnection(self.wires[1])
        self.worker.asked.clear()

    def flush(self) -> None:
        """Carry over what each end has sent, until both are silent."""
        while any(wire.value() for wire in self.wires):
            for wire, other in zip(self.wires, (self.up, self.down), strict=True):
                data = wire.value()
                wire.clear()
                if data:
                    other.dataReceived(data)

    def close(self) -> None:
        """The channel ends."""
        for end in (self.down, self.up):
            end.connectionLost(Failure(ConnectionDone()))


class LinkTests(LinkCase):
    def test_learn(self) -> None:
        """Standings arrive whole."""
        self.down.learn(A, DOWN)
        self.down.learn(B, UNKNOWN)
        self.flush()
        self.assertEqual(self.worker.asked, [("learn", A, DOWN), ("learn", B, UNKNOWN)])

    def test_latest(self) -> None:
        """While the worker is behind only the latest is kept, and it accepts last of all."""
        self.down.learn(A, UNKNOWN)
        self.down.accept(frozenset({5}))
        self.down.hear(WHOLE)
        for backend in range(commands.PART + 1):
            for standing in (UNKNOWN, DOWN):
                self.down.learn(("api", f"b{backend}"), standing)
        self.down.accept(frozenset({1, 0}))
        self.flush()
        learned = [("learn", ("api", f"b{backend}"), DOWN) for backend in range(commands.PART + 1)]
        self.assertEqual(
            self.worker.asked,
            [
                ("learn", A, UNKNOWN),
                *learned,
                ("accept", frozenset({0, 1})),
                ("hear", WHOLE),
            ],
        )

    def test_long_detail(self) -> None:
        """What other programs say is shortened, whatever it is written in."""
        long = Standing(State.DOWN, "Ω" * 70000, 0.0, 0.0, False, True, PROBE, 1)
        for backend in range(commands.PART * 2):
            self.down.learn(("api", f"b{backend}"), long)
        self.flush()
        self.assertEqual(len(self.worker.asked), commands.PART * 2)
        self.assertEqual(len(self.worker.asked[0][2].detail), commands.DETAIL)

    def test_count(self) -> None:
        """When the answer is there, so is all that was counted."""
        asked = self.down.ask(commands.Count)
        self.flush()
        self.successResultOf(asked)
        self.assertEqual(len(self.parent.counts.series), 100)
        key = (REQUESTS, "/", None, "b99", 2, "answered")
        self.assertEqual(self.parent.counts.series[key][0], 99)
        self.assertEqual(self.parent.told[-1], LOAD)

    def test_count_behind_standings(self) -> None:
        """Who tells what it has under way has heard before of all that was decided."""
        for backend in range(commands.PART * 2 + 1):
            self.down.learn(("api", f"b{backend}"), UNKNOWN)
            self.down.learn(("api", f"b{backend}"), DOWN)
        heard: list[int] = []
        asked = self.down.count()
        asked.addCallback(lambda _: heard.append(len(self.worker.asked)))
        self.down.learn(A, UNKNOWN)
        self.flush()
        self.successResultOf(asked)
        self.assertGreaterEqual(heard[0], commands.PART * 2 + 1)
        self.assertEqual(self.worker.asked[-1], ("learn", A, UNKNOWN))

    def test_told_once(self) -> None:
        """What many requests see at once is told once, until it was heard."""
        for _ in range(100):
            self.up.suspect(A)
            self.up.outlier(A)
        self.flush()
        self.assertEqual(self.parent.told, [("suspect", A), ("outlier", A)])
        self.up.suspect(A)
        self.flush()
        self.assertEqual(self.parent.told[2:], [("suspect", A)])

    def test_others(self) -> None:
        """The rest of what they say."""
        self.up.ready({"web": "http://x/"})
        self.up.leaving()
        for command in (commands.Drain, commands.End):
            self.down.ask(command)
        self.flush()
        self.assertEqual(self.parent.told, [("ready", {"web": "http://x/"}), ("leaving",)])
        self.assertEqual(self.worker.asked, [("drain",), ("end",)])

    def test_closed(self) -> None:
        """At the end the worker hears of it, and nothing that is said later fails."""
        self.down.learn(A, DOWN)
        self.up.suspect(A)
        self.close()
        self.assertEqual(self.lost, [True])
        self.down.learn(A, UNKNOWN)
        self.down.hear(WHOLE)
        self.up.suspect(A)
        self.up.leaving()
        self.failureResultOf(self.worker.count())
        self.failureResultOf(self.down.ask(commands.Count))
