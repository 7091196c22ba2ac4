"""The Klein backend: one process, the store asked from threads."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import STDLibLogObserver, globalLogBeginner
from twisted.python.threadpool import ThreadPool

from backend_klein.app import create_resource
from backend_klein.site import DrainingSite
from ordering.api import Api
from ordering.command import fail, listen, log_to_stdout, options_of, say_ready
from ordering.store import Store, StoreError

PROGRAM = "backend_klein"


def main() -> None:
    """Run it until it is asked to stop."""
    options = options_of(PROGRAM, "The ordering service on Klein.", 3001)
    log_to_stdout(PROGRAM)
    globalLogBeginner.beginLoggingTo([STDLibLogObserver()], redirectStandardIO=False)
    try:
        store = Store(options.url, options.threads)
    except StoreError as error:
        fail(PROGRAM, str(error))

    from twisted.internet import reactor as installed

    reactor: Any = installed
    listening = listen(PROGRAM, options)
    listening.setblocking(False)  # Else a reactor waits in accept().
    api = Api(store, "klein")
    pool = ThreadPool(options.threads, options.threads, "store")
    site = DrainingSite(create_resource(api, reactor, pool), api, reactor)
    port = reactor.adoptStreamPort(listening.fileno(), listening.family, site)
    say_ready(PROGRAM, listening, store)
    listening.close()

    def drain() -> Deferred[None]:
        stopped = port.stopListening()
        return Deferred.fromCoroutine(_after(stopped, site.drain()))

    def stop(number: int, frame: object) -> None:
        # A terminal's Ctrl-C and a supervisor's SIGTERM may both come.
        for heeded in (signal.SIGTERM, signal.SIGINT):
            signal.signal(heeded, signal.SIG_IGN)
        reactor.callFromThread(reactor.stop)

    def heed_signals() -> None:
        for heeded in (signal.SIGTERM, signal.SIGINT):
            signal.signal(heeded, stop)

    reactor.callWhenRunning(heed_signals)
    reactor.callWhenRunning(pool.start)
    reactor.addSystemEventTrigger("before", "shutdown", drain)
    reactor.addSystemEventTrigger("during", "shutdown", pool.stop)
    reactor.run()
    store.close()


async def _after(stopped: Deferred[None] | None, drained: Deferred[None]) -> None:
    if stopped is not None:
        await stopped
    await drained


if __name__ == "__main__":
    main()
