"""`python -m lbproxy.worker.main`: a worker's process, which only its parent starts."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    globalLogBeginner,
)
from zope.interface import provider

from lbproxy.control.link import DUTY, LINK, STDERR, Duty
from lbproxy.errors import ConfigError
from lbproxy.transport.heap import keep_freed

#: Bytes of a line of the log.
LINE = 4096


def _reactor() -> Any:
    """The reactor, which is chosen here, before its first import."""
    keep_freed()
    with suppress(ImportError):  # There is a platform without epoll.
        from lbproxy.transport.reactor import prefer

        prefer()
    from twisted.internet import reactor

    return reactor


@provider(ILogObserver)
def _log(event: LogEvent) -> None:
    """Hand a line to the parent. One that has no time to read does not hold us up."""
    text = eventAsText(event, includeTimestamp=False)
    with suppress(OSError):
        os.write(STDERR, text.encode()[:LINE] + b"\n")


def _begin_log() -> None:
    os.set_blocking(STDERR, False)
    levels = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    levels.setLogLevelForNamespace("lbproxy", LogLevel.info)
    levels.setLogLevelForNamespace("lbproxy.transport.reactor", LogLevel.warn)
    observer = FilteringLogObserver(_log, [levels])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)


def _duty() -> Duty:
    with open(DUTY, "rb") as file:
        file.seek(0)
        duty = pickle.load(file)
    assert isinstance(duty, Duty)
    return duty


def main() -> None:
    """Serve until the parent asks for the end, or is gone."""
    # A terminal sends Ctrl-C to the parent too, which ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # It is for the parent, who tells us.
    _begin_log()
    reactor = _reactor()
    # These import what the reactor must come before.
    import random

    from lbproxy.worker.channel import ParentLink
    from lbproxy.worker.serve import Worker

    try:
        worker = Worker(reactor, _duty(), random.Random())
        link = ParentLink(worker, worker.drain)
        worker.link = link
        worker.privilegedStartService()
    except (ConfigError, OSError) as error:
        raise SystemExit(f"lbproxy: {error}") from None
    worker.startService()
    worker.drained.addBoth(lambda _: reactor.stop())
    factory = Factory.forProtocol(lambda: link)
    factory.noisy = False
    reactor.adoptStreamConnection(LINK, socket.AF_UNIX, factory)
    os.close(LINK)
    seen = False

    def leave(number: int, frame: object) -> None:
        nonlocal seen
        reactor.callFromThread(worker.end if seen else worker.leave)
        seen = True

    # Twisted puts up its own handlers when it starts: ours come after.
    reactor.callWhenRunning(signal.signal, signal.SIGTERM, leave)
    reactor.run()
    sys.exit(0)


if __name__ == "__main__":
    main()
