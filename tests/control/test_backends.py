"""The backends as child processes."""

from __future__ import annotations

import io
from typing import Any

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config import model
from lbproxy.control.backends import BACKENDS, Backends
from lbproxy.errors import NotPossible


def backend(name: str) -> model.Backend:
    """As the config has it."""
    return next(each for each in model.default_config().pools[0].backends if each.name == name)


class Reactor(MemoryReactorClock):
    """Remembers the processes that it should start, and starts none."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[Any, list[str]]] = []

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], **_: Any) -> Any:
        """Remember it."""
        transport = Child()
        self.started.append((protocol, args))
        protocol.makeConnection(transport)
        return transport


class Child:
    """A process that ends when it is asked to."""

    pid = 1

    def __init__(self) -> None:
        self.signals: list[str] = []

    def signalProcess(self, name: str) -> None:
        """Remember it."""
        self.signals.append(name)


class BackendsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.terminal = io.StringIO()
        self.backends = Backends(self.reactor, self.terminal)
        self.backends.startService()

    def end(self, place: int, reason: Exception) -> None:
        """A process ends."""
        self.reactor.started[place][0].processEnded(Failure(reason))

    def test_started(self) -> None:
        """Both are started, each on its port."""
        ports = [arguments[-1] for _, arguments in self.reactor.started]
        self.assertEqual(ports, [str(port) for _, _, port in BACKENDS])

    def test_output(self) -> None:
        """What they print stands behind their name in its colour, without blank lines."""
        self.reactor.started[0][0].childDataReceived(1, b"hello\n\nbye\n")
        lines = self.terminal.getvalue().splitlines()
        self.assertEqual([line.rpartition(" ")[2] for line in lines], ["hello", "bye"])
        self.assertTrue(all(line.startswith("\x1b[36m klein |") for line in lines))

    def test_restarted(self) -> None:
        """One that dies is named with the cause, and started again."""
        self.reactor.advance(5.0)
        self.end(1, ProcessTerminated(None, 9))
        self.assertIn("ended by signal 9", self.terminal.getvalue())
        self.reactor.advance(0.6)
        self.assertEqual(len(self.reactor.started), 3)
        self.assertEqual(self.reactor.started[2][1], self.reactor.started[1][1])

    def test_start_anew(self) -> None:
        """One is asked to end, and started again; whoever wanted it hears when it was."""
        self.reactor.advance(5.0)
        wanted = [self.backends.start_anew(backend("flask")) for _ in range(2)]
        self.assertEqual(self.reactor.started[1][0].transport.signals, ["TERM"])
        self.assertEqual(self.reactor.started[0][0].transport.signals, [])
        self.end(1, ProcessDone(None))
        self.assertIn("ended with code 0, as it was asked to", self.terminal.getvalue())
        for each in wanted:
            self.assertNoResult(each)
        self.reactor.advance(0.0)
        for each in wanted:
            self.successResultOf(each)
        self.assertEqual(self.reactor.started[2][1], self.reactor.started[1][1])

    def test_not_ours(self) -> None:
        """What listens elsewhere is not ours, whatever its name."""
        for address in ("127.0.0.1:1", "10.0.0.1:3001", "unix:/klein.sock"):
            with self.assertRaises(NotPossible):
                self.backends.start_anew(model.Backend("klein", address))
            self.assertFalse(self.backends.supervises(model.Backend("klein", address)))
        self.assertTrue(self.backends.supervises(backend("klein")))

    def test_crash_loop(self) -> None:
        """One that dies at once waits longer each time."""
        gaps = []
        for _ in range(5):
            self.end(-1, ProcessTerminated(1))
            before, count = self.reactor.seconds(), len(self.reactor.started)
            while len(self.reactor.started) == count:
                self.reactor.advance(0.1)
            gaps.append(self.reactor.seconds() - before)
        self.assertEqual(gaps, sorted(gaps))
        self.assertGreater(gaps[-1], 2 * gaps[0])
        self.assertLess(gaps[-1], 10.2)

    def test_stop(self) -> None:
        """Stopping asks both to end, waits for them, and starts none again."""
        stopped = self.backends.stopService()
        for protocol, _ in self.reactor.started:
            self.assertEqual(protocol.transport.signals, ["TERM"])
        self.end(0, ProcessDone(None))
        self.reactor.advance(0.1)
        self.assertNoResult(stopped)
        self.end(1, ProcessDone(None))
        self.reactor.advance(0.1)
        self.successResultOf(stopped)
        self.reactor.advance(60.0)
        self.assertEqual(len(self.reactor.started), 2)
