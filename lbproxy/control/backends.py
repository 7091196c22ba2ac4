"""The two backends of the shop, started and watched over for `--with-backends`."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.runner.procmon import ProcessMonitor
from zope.interface import implementer

#: Name, module and port of each backend.
BACKENDS = (("klein", "backend_klein", 3001), ("flask", "backend_flask", 3002))

#: Terminal colours, one for each backend.
COLOURS = {"klein": "\x1b[36m", "flask": "\x1b[33m"}
PLAIN = "\x1b[0m"


@implementer(ILogObserver)
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
        if terminal is not None:
            self.log = Logger(observer=ColouredOutput(terminal))
        for name, module, port in BACKENDS:
            command = [sys.executable, "-u", "-m", module, "--port", str(port)]
            self.addProcess(name, command, env=dict(os.environ))

    def stopService(self) -> Deferred[None]:  # type: ignore[override]
        """Stop both. Fires when they have ended."""
        super().stopService()
        ended = LoopingCall(self._look_for_the_last)
        ended.clock = self._time
        self._watch = ended
        return ended.start(0.05).addCallback(lambda _: None)

    def _look_for_the_last(self) -> None:
        if not self.protocols:
            self._watch.stop()
