"""The two backends of the shop, started and watched over for `--with-backends`."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    Logger,
    PredicateResult,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor
from zope.interface import implementer, provider

from lbproxy.config import model
from lbproxy.errors import NotPossible

#: Name, module and port of each backend.
BACKENDS = (("klein", "backend_klein", 3001), ("flask", "backend_flask", 3002))

#: Terminal colours, one for each backend.
COLOURS = {"klein": "\x1b[36m", "flask": "\x1b[33m"}
PLAIN = "\x1b[0m"


def _name(backend: model.Backend) -> str | None:
    """Which of ours a backend is, by where it listens; `None` if it is none."""
    for name, _, port in BACKENDS:
        if backend.address in (f"127.0.0.1:{port}", f"localhost:{port}"):
            return name
    return None


@provider(ILogFilterPredicate)
def _not_blank(event: LogEvent) -> Any:
    """Leave out blank lines: `ProcessMonitor` makes one up at the end of each process."""
    return PredicateResult.no if event.get("line") == "" else PredicateResult.maybe


@implementer(ILogObserver)
class ColouredOutput:
    """Writes what a backend prints to a terminal, with the backend's name before each line."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def __call__(self, event: LogEvent) -> None:
        tag, line = event.get("tag"), event.get("line")
        if tag is not None:
            self._terminal.write(f"{COLOURS.get(tag, '')}{tag:>6} |{PLAIN} {line}\n")
            self._terminal.flush()


class Backends(ProcessMonitor):
    """Both backends as child processes, restarted when they die.

    A backend that dies within a second of its start waits half a second before the next one, and
    twice as long each time, up to ten.
    """

    killTime = 25  # They finish what runs, for which gunicorn takes up to 20 s.
    minRestartDelay = 0.5  # type: ignore[assignment]
    maxRestartDelay = 10

    def __init__(self, reactor: Any, terminal: TextIO | None) -> None:
        """Prepare to start them.

        Args:
            reactor: Provides `IReactorProcess` and `IReactorTime`.
            terminal: Where their output goes in colour; without one it goes to the log.
        """
        super().__init__(reactor)
        self._time = IReactorTime(reactor)
        self._restarts: dict[str, list[Deferred[None]]] = {}
        output = globalLogPublisher if terminal is None else ColouredOutput(terminal)
        self.log = Logger(observer=FilteringLogObserver(output, [_not_blank]))
        for name, module, port in BACKENDS:
            apart = [sys.executable, "-u", "-m", "lbproxy.control.apart"]
            command = [*apart, module, "--port", str(port)]
            self.addProcess(name, command, env=dict(os.environ))

    def supervises(self, backend: model.Backend) -> bool:
        """Whether a backend is one of ours."""
        return _name(backend) is not None

    def start_anew(self, backend: model.Backend) -> Deferred[None]:
        """Have a backend finish what runs, and start it again. Fires when it was started.

        Raises:
            NotPossible: If it is not one of ours.
        """
        name = _name(backend)
        if name is None:
            raise NotPossible(f"the balancer does not supervise what runs at {backend.address}")
        if name not in self._restarts:
            self.stopProcess(name)
        started: Deferred[None] = Deferred()
        self._restarts.setdefault(name, []).append(started)
        return started

    def startProcess(self, name: str) -> None:
        """Start one, and tell those who wait for it."""
        super().startProcess(name)
        for started in self._restarts.pop(name, ()):
            started.callback(None)

    def stopService(self) -> Deferred[None]:  # type: ignore[override]
        """Stop both. Fires when they have ended."""
        super().stopService()
        ended = LoopingCall(self._look_for_the_last)
        ended.clock = self._time
        self._watch = ended
        return ended.start(0.05).addCallback(lambda _: None)

    def _monitoredProcessExited(self, name: str, reason: Failure | None = None) -> None:
        ended = None if reason is None else reason.value
        if self.running and isinstance(ended, (ProcessDone, ProcessTerminated)):
            how = f"by signal {ended.signal}" if ended.signal else f"with code {ended.exitCode}"
            asked = ", as it was asked to" if name in self._restarts else ""
            line = f"ended {how}{asked}; it is started again"
            self.log.warn("[{tag}] {line}", tag=name, line=line)
        super()._monitoredProcessExited(name, reason)

    def _look_for_the_last(self) -> None:
        if not self.protocols:
            self._watch.stop()
