"""The two ends of a channel, joined in memory."""

from __future__ import annotations

import os
import socket
import tempfile
from itertools import repeat
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.standing import Standing, State
from lbproxy.config import model
from lbproxy.control import commands
from lbproxy.control.channel import WorkerLink
from lbproxy.control.link import STDOUT, Load, Whole, WorkerReport
from lbproxy.errors import ConfigError
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import Said
from lbproxy.observe.metrics import REQUESTS, Counts
from lbproxy.worker.channel import ParentLink
from tests.transport.turning import TransportCase

PROBE = ProbeOutcome(False, 0.25, "answered 503", True, 99.5)
DOWN = Standing(State.DOWN, "answered 503", 99.0, 0.0, False, True, PROBE, 3, Said(3, True, 7))
UNKNOWN = Standing(State.UNKNOWN, "", 1.5, 0.0, True, False, None, 0)
LOAD = Load(
    {("api", "b0"): 1, ("api", "b1"): 2},
    {"api": 3, "db": 0},
    4,
    {"api": "", "db": "ill"},
    {"db": "open"},
)
WHOLE = Whole(
    (WorkerReport(1, 17, "serving", 1.5, 2), WorkerReport(2, None, "idle", 2.5, 0)), LOAD.in_flight
)


A, B = ("api", "a"), ("db", "b")

CONFIG = model.Config((model.Listener("web", "tcp:0"),))


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


class DescriptorTests(TransportCase):
    """What only a socket between two processes can carry."""

    def setUp(self) -> None:
        super().setUp()
        self.worker, self.parent = Worker(), Parent()
        self.lost: list[bool] = []
        self.down: Any = WorkerLink(self.parent)
        self.up: Any = ParentLink(self.worker, lambda: self.lost.append(True))
        self.worker.link = self.up
        for end, link in zip(socket.socketpair(), (self.down, self.up), strict=True):
            end.setblocking(False)
            factory: Any = Factory.forProtocol(repeat(link).__next__)
            factory.noisy = False
            self.reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)
            end.close()
        self.worker.asked.clear()
        self.addCleanup(self.close)

    def close(self) -> None:
        """The channel ends."""
        self.down.transport.loseConnection()
        self.reactor.until(lambda: self.lost)
        self.reactor.settle()

    def heard(self, count: int = 1) -> list[Any]:
        """What the worker was asked for, once that is so much."""
        self.reactor.until(lambda: len(self.worker.asked) >= count)
        self.reactor.settle()
        return self.worker.asked

    def opened(self) -> set[str]:
        """The descriptors that are open in this process."""
        return set(os.listdir("/proc/self/fd"))

    def test_serve(self) -> None:
        """A config and all standings arrive whole, however long they are."""
        standings = {("api", f"b{number}"): DOWN for number in range(1000)}
        before = self.opened()
        self.down.serve(CONFIG, standings, {})
        ((what, config, told, doors),) = self.heard()
        self.assertEqual((what, config, told, doors), ("serve", CONFIG, standings, {}))
        self.assertEqual(self.opened(), before)

    def test_doors(self) -> None:
        """The sockets of new endpoints come with it, each as a descriptor of the worker's own."""
        listening = [self.listening() for _ in range(3)]
        numbers = [each.fileno() for each in listening]
        self.down.serve(CONFIG, {}, {"tcp:1": numbers[:2], "tcp:2": numbers[2:]})
        ((_, _, _, doors),) = self.heard()
        self.assertEqual(list(doors), ["tcp:1", "tcp:2"])
        given = [*doors["tcp:1"], *doors["tcp:2"]]
        self.assertEqual(set(given) & set(numbers), set())
        for number, there in zip(given, listening, strict=True):
            with socket.socket(fileno=number) as here:
                self.assertEqual(here.getsockname(), there.getsockname())
        self.down.serve(CONFIG, {}, {})
        self.assertEqual(self.heard(2)[1][3], {})

    def test_closed_at_once(self) -> None:
        """What is closed here as soon as it was said is there all the same."""
        first, second = self.listening(), self.listening()
        name = first.getsockname()
        self.down.serve(CONFIG, {}, {"tcp:1": [first.fileno()]})
        first.close()
        self.down.serve(CONFIG, {}, {"tcp:2": [second.fileno()]})
        (_, _, _, doors), (_, _, _, others) = self.heard(2)
        with socket.socket(fileno=doors["tcp:1"][0]) as here:
            self.assertEqual(here.getsockname(), name)
        os.close(others["tcp:2"][0])
        self.assertEqual(self.lost, [])

    def test_newer_standings(self) -> None:
        """What waited to be told is older than what comes with a config, and is told no more."""
        self.down.learn(A, UNKNOWN)
        self.down.learn(A, DOWN)
        self.down.learn(B, DOWN)
        self.down.serve(CONFIG, {A: UNKNOWN}, {})
        self.down.learn(B, UNKNOWN)
        (first, (what, _, told, _), last) = self.heard(3)
        self.assertEqual((first, last), (("learn", A, UNKNOWN), ("learn", B, UNKNOWN)))
        self.assertEqual((what, told), ("serve", {A: UNKNOWN}))

    def test_reopen(self) -> None:
        """The file that was opened here is the worker's; without one it looks for itself."""
        before = self.opened()
        with tempfile.TemporaryFile() as file:
            self.down.reopen(file.fileno())
        for none in (None, STDOUT):
            self.down.reopen(none)
        (_, number), *others = self.heard(3)
        os.write(number, b"line")
        self.assertEqual(os.fstat(number).st_size, 4)
        os.close(number)
        self.assertEqual(others, [("reopen", STDOUT)] * 2)
        self.assertEqual(self.opened(), before)

    def test_listening(self) -> None:
        """Where the worker then accepts clients is told."""
        self.up.listening({"web": "http://x/", "other": "http://y/"})
        self.reactor.until(lambda: self.parent.told)
        self.assertEqual(
            self.parent.told, [("listening", {"web": "http://x/", "other": "http://y/"})]
        )

    def test_not_served(self) -> None:
        """A worker that cannot serve a config, or not write its log, leaves that to another one."""
        for error in (ConfigError("cannot serve the folder"), OSError("no more files")):

            def fails(*_: object, error: Exception = error) -> None:
                raise error

            self.worker.asked.clear()
            for ask in ("serve", "reopen"):
                setattr(self.worker, ask, fails)
            with capturedLogs() as logged:
                self.down.serve(CONFIG, {}, {})
                self.down.reopen(None)
                self.assertEqual(self.heard(2), [("leave",), ("leave",)])
            lines = [formatEvent(event) for event in logged]
            self.assertEqual(lines, [f"{error}: leaving it to another worker"] * 2)

    def test_gone(self) -> None:
        """A worker that is gone gets nothing, nothing stays open for it, and nobody fails."""
        listening = self.listening()
        before = self.opened()
        self.up.transport.loseConnection()
        self.reactor.until(lambda: self.lost)
        self.reactor.settle()
        ends = 2
        self.down.serve(CONFIG, {}, {"tcp:1": [listening.fileno()]})
        self.down.reopen(listening.fileno())
        self.down.reopen(None)
        self.reactor.settle()
        self.assertEqual(self.worker.asked, [])
        self.assertEqual(len(self.opened()), len(before) - ends)

    def test_going(self) -> None:
        """The same for what was on its way."""
        listening = self.listening()
        before = self.opened()
        self.down.serve(CONFIG, {}, {"tcp:1": [listening.fileno()]})
        self.down.transport.abortConnection()
        self.reactor.until(lambda: self.lost)
        self.reactor.settle()
        self.assertEqual(len(self.opened()), len(before) - 2)
