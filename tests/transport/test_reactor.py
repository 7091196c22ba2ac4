"""The lean reactor: Twisted's own promises, kept on the shorter way."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.reactor import LeanReactor


class End:
    """One end of a socket pair, which does as it is told when something can be read."""

    def __init__(self, reactor: LeanReactor, skt: socket.socket, act: Any) -> None:
        self.fileno = skt.fileno
        self.lost: list[type] = []
        self._act = act
        reactor.addReader(self)

    def doRead(self) -> Any:
        """Act."""
        return self._act()

    def connectionLost(self, reason: Any) -> None:
        """Remember why."""
        self.lost.append(reason.type)

    def logPrefix(self) -> str:
        """For Twisted."""
        return "end"


class LeanReactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = LeanReactor()
        self.addCleanup(self.reactor.removeAll)
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def run_for(self, seconds: float) -> None:
        """Run, but not for longer than this."""
        self.reactor.callLater(seconds, self.reactor.crash)
        self.reactor.run(installSignalHandlers=False)

    def test_reads(self) -> None:
        """Who has something to read is called, and who returns a reason is told of its end."""
        self.theirs.send(b"x")
        end = End(self.reactor, self.ours, ConnectionDone)
        self.reactor.doPoll(0.0)
        self.assertEqual(end.lost, [ConnectionDone])
        self.assertEqual(
            self.reactor.getReaders(), [self.reactor.waker] if self.reactor.waker else []
        )

    def test_batch(self) -> None:
        """Events that were asked for together are of one batch, and the next ones of another."""
        seen: list[object] = []
        for ours in (self.ours, self.theirs):
            End(self.reactor, ours, lambda: seen.append(self.reactor.batch()))
        self.ours.send(b"x")
        self.theirs.send(b"x")
        self.reactor.doPoll(0.0)
        self.reactor.doPoll(0.0)  # Nothing was read, so they are told again.
        self.reactor.removeAll()
        self.assertEqual([batch is seen[0] for batch in seen], [True, True, False, False])

    def test_failure(self) -> None:
        """Who fails is closed, the failure is logged, and the others go on."""

        def fail() -> None:
            raise ZeroDivisionError

        self.theirs.send(b"x")
        end = End(self.reactor, self.ours, fail)
        self.reactor.doPoll(0.0)
        self.assertEqual(end.lost, [ZeroDivisionError])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failure_when_closed(self) -> None:
        """So is the failure of one who hears of its end; the others have their turn."""

        class Faulty(End):
            def connectionLost(self, reason: Any) -> None:
                raise ZeroDivisionError

        faulty = [socket.socketpair() for _ in range(3)]
        for ours, theirs in faulty:
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x")
            Faulty(self.reactor, ours, ConnectionDone)
        self.reactor.doPoll(0.0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_closed_by_a_neighbour(self) -> None:
        """A descriptor that is removed in a turn is not called later in that turn."""
        others = socket.socketpair()
        ends: list[End] = []

        def remove() -> None:
            called.append(1)
            for end in ends:
                self.reactor.removeReader(end)

        called: list[int] = []
        for ours, theirs in ((self.ours, self.theirs), others):
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x")
            ends.append(End(self.reactor, ours, remove))
        self.reactor.doPoll(0.0)
        self.assertEqual(called, [1])

    def test_delayed_calls(self) -> None:
        """They come in their order, those of a call included; a failing one ends nothing."""
        seen: list[int] = []

        def first() -> None:
            seen.append(1)
            self.reactor.callLater(0.0, seen.append, 2)
            raise ZeroDivisionError

        self.reactor.callLater(0.0, first)
        self.reactor.callLater(0.02, seen.append, 3)
        cancelled = self.reactor.callLater(0.01, seen.append, 4)
        cancelled.cancel()
        self.run_for(0.05)
        self.assertEqual(seen, [1, 2, 3])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_from_thread(self) -> None:
        """A call from a thread wakes it up."""
        seen: list[int] = []
        self.reactor.callWhenRunning(
            self.reactor.callInThread, self.reactor.callFromThread, seen.append, 1
        )
        self.reactor.addSystemEventTrigger("before", "shutdown", seen.append, 2)
        self.reactor.callLater(0.05, self.reactor.stop)
        self.reactor.run(installSignalHandlers=False)
        self.assertEqual(seen, [1, 2])


class PreferTests(SynchronousTestCase):
    def ask(self, before: str) -> str:
        """The reactor of a process that prefers ours after doing something else."""
        program = f"{before}\nfrom lbproxy.transport.reactor import prefer\nprefer()\n"
        program += "from twisted.internet import reactor\nprint(type(reactor).__name__)"
        return subprocess.check_output([sys.executable, "-c", program], text=True).strip()

    def test_free(self) -> None:
        """It is taken where none has been named."""
        self.assertEqual(self.ask(""), "LeanReactor")

    def test_named(self) -> None:
        """It gives way to one that has been."""
        named = "from twisted.internet import selectreactor\nselectreactor.install()"
        self.assertEqual(self.ask(named), "SelectReactor")
