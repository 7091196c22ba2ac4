"""A reactor on epoll that calls its descriptors directly.

Twisted's runs each `doRead` and `doWrite` in a logging context, so that a message says whose it
is. That takes about 2 microseconds an event. Here only what fails is logged, and a turn in which
no delayed call is due does not look for one. Everything else is Twisted's own, so any program of
Twisted's runs on it.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import main
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger

#: EPOLLIN and EPOLLOUT (`epoll_ctl(2)`): alone they are nearly all that happens.
_READ, _WRITE = 1, 4

#: Events that are taken at a time.
BATCH = 1024

#: Seconds to sleep at most; epoll counts milliseconds in 31 bits.
LONGEST = 2147483.0


class LeanReactor(EPollReactor):
    """Twisted's epoll reactor with a shorter way from an event to its descriptor."""

    log = Logger()

    _batch: object = None

    def batch(self) -> object:
        """Something that is the same for all events that were asked for together."""
        return self._batch

    def mainLoop(self) -> None:
        """Run until stopped."""
        base: Any = self
        while base._started:
            try:
                self._run()
            except Exception:
                self.log.failure("a delayed call, or one from a thread, failed")
        self.log.info("Main loop terminated.")

    def _run(self) -> None:
        base: Any = self
        seconds, poll = base.seconds, self.doPoll
        while base._started:
            pending = base._pendingTimedCalls
            wait: float | None = None
            if pending:
                wait = pending[0].time - seconds()
            due = wait is not None and wait <= 0.0
            if due or base.threadCallQueue or base._newTimedCalls or base._justStopped:
                base.runUntilCurrent()
                wait = base.timeout()
            elif wait is not None and wait > LONGEST:
                wait = LONGEST
            poll(wait if base.running else 0.0)

    def doPoll(self, timeout: float | None) -> None:
        """Wait, and call those for whom something has happened.

        Args:
            timeout: Seconds; `None` waits for as long as it takes.
        """
        base: Any = self
        try:
            events = base._poller.poll(-1 if timeout is None else timeout, BATCH)
        except InterruptedError:
            return
        self._batch = object()
        selectables = base._selectables
        for descriptor, event in events:
            selectable = selectables.get(descriptor)
            if selectable is None:  # Its neighbour in this batch has closed it.
                continue
            try:
                if event == _READ:
                    why = selectable.doRead()
                elif event == _WRITE:
                    why = selectable.doWrite()
                else:
                    base._doReadOrWrite(selectable, descriptor, event)
                    continue
            except BaseException:
                why = sys.exc_info()[1]
                self.log.failure("a descriptor failed, and is closed")
            if why:
                try:
                    base._disconnectSelectable(selectable, why, event == _READ)
                except Exception:
                    self.log.failure("a descriptor failed when it was closed")

    doIteration = doPoll


def install() -> None:
    """Make it the process's reactor, as `twistd --reactor=` does.

    Raises:
        ReactorAlreadyInstalledError: If there is one already.
    """
    main.installReactor(LeanReactor())


def prefer() -> None:
    """Make it the process's reactor unless there is one, as after `twistd --reactor=`."""
    if "twisted.internet.reactor" not in sys.modules:
        install()
