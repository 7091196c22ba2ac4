"""Workers in processes of their own, and all that they inherit.

The parent binds and opens while it may, and keeps what it has: a worker that is made after the
privileges were dropped inherits the same descriptors, and clients that wait on a socket are not
lost with the process that was to accept them.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.balance.standing import Standing
from lbproxy.config.model import Config
from lbproxy.control import commands
from lbproxy.control.channel import WorkerLink, quiet
from lbproxy.control.link import (
    DUTY,
    FREE,
    LINK,
    STDERR,
    STDIN,
    STDOUT,
    Duty,
    Load,
    Names,
    share,
)
from lbproxy.control.seat import Occupant
from lbproxy.errors import ConfigError
from lbproxy.observe.accesslog import cannot_write
from lbproxy.observe.metrics import Counts
from lbproxy.transport.listen import Sockets
from lbproxy.transport.output import open_file

#: Bytes of a line of a worker's log.
LINE = 8192

#: Seconds from the making of a worker to that of the next reserve: the worker comes first.
REFILL = 1.0

#: The same, after a reserve has ended before it was needed.
REFILL_AFTER_EXIT = 30.0


class Children:
    """Makes the workers of one balancer, and one that is ready to take the place of any.

    A worker needs a third of a second of CPU before it can serve, which is long when the others are
    at work (`docs/decisions/0009-workers-and-their-sockets.md`).
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Config) -> None:
        """Prepare; nothing is bound yet.

        Args:
            reactor: Network, time and processes.
            config: What to serve.
        """
        self._reactor = reactor
        self._config = config
        self._started = reactor.seconds()
        self._sockets: dict[str, Sockets] = {}
        self._opened: dict[str, Sockets] = {}
        self._log: int | None = None
        self._reserve: Child | None = None
        self._refill: IDelayedCall | None = None
        self._closed = False

    def bind(self) -> None:
        """Bind the ports and open the log.

        Raises:
            ConfigError: If a port cannot be listened on, or the log not be written.
        """
        try:
            self._log = _open_log(self._config)
        except OSError as error:
            raise cannot_write(self._config.access_log or "", error) from None
        self._sockets = self._open(self._config)

    def prepare(self, config: Config) -> None:
        """Bind what is new in a config (`Workers`)."""
        self._opened = self._open(config)

    def adopt(self, config: Config) -> None:
        """Make workers for a config from now on (`Workers`)."""
        opened, self._opened = self._opened, {}
        before = self._sockets | opened
        self._config = config
        self._sockets = {each.endpoint: before.pop(each.endpoint) for each in config.listeners}
        if self._reserve is not None:
            self._reserve.serve(config, {})
        for each in before.values():
            each.close()

    def give_up(self) -> None:
        """Close what `prepare` has bound."""
        while self._opened:
            self._opened.popitem()[1].close()

    def reopen(self) -> None:
        """Open the log anew: workers that are made from now on have this one.

        Raises:
            OSError: If it cannot be written; then they have the one before.
        """
        before, self._log = self._log, _open_log(self._config)
        if self._reserve is not None:
            self._reserve.reopen()
        if before not in (None, STDOUT):
            os.close(before)

    def spawn(self, number: int, occupant: Occupant) -> Child:
        """The worker in reserve, or one that is still to be made."""
        child, self._reserve = self._reserve or self._prepare(), None
        child.take(number, occupant)
        self._refill_in(REFILL)
        return child

    def close(self) -> None:
        """Refuse new clients, as far as this process is concerned; and no reserve any more."""
        self._closed = True
        if self._refill is not None and self._refill.active():
            self._refill.cancel()
        if self._reserve is not None:
            self._reserve.kill()
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()

    # What its children ask for.

    @property
    def access_log(self) -> int | None:
        """The descriptor of the access log."""
        return self._log

    def share(self, config: Config) -> Config:
        """A worker's part of a config."""
        return share(config, config.workers)

    def doors(self, config: Config) -> dict[str, list[int]]:
        """The descriptors of all listening sockets, by endpoint."""
        return {
            each.endpoint: [skt.fileno() for skt in self._sockets[each.endpoint].sockets]
            for each in config.listeners
        }

    # The rest is ours.

    def _open(self, config: Config) -> dict[str, Sockets]:
        """Bind what of a config is not bound yet, all or nothing."""
        opened: dict[str, Sockets] = {}
        try:
            for each in config.listeners:
                if each.endpoint not in self._sockets:
                    knob = f"listeners.{each.name}.endpoint"
                    opened[each.endpoint] = Sockets(
                        self._reactor, knob, each.endpoint, config.workers
                    )
        except ConfigError:
            for bound in opened.values():
                bound.close()
            raise
        return opened

    def _prepare(self) -> Child:
        inherited = {STDOUT: STDOUT}
        log = self._log
        if log is not None and log != STDOUT:
            inherited[FREE] = log
            log = FREE
        queues = []
        for descriptors in self.doors(self._config).values():
            first = max(*inherited, FREE) + 1
            queues.append(tuple(range(first, first + len(descriptors))))
            inherited |= {first + place: number for place, number in enumerate(descriptors)}
        config = self.share(self._config)
        duty = Duty(config, self._config.workers, self._started, tuple(queues), log)
        return Child(self._reactor, duty, inherited, self, self._reserve_exited)

    def _refill_in(self, seconds: float) -> None:
        if self._refill is None or not self._refill.active():
            self._refill = self._reactor.callLater(seconds, self._refill_now)

    def _refill_now(self) -> None:
        if self._reserve is None:
            self._reserve = self._prepare()
            self._reserve.start()

    def _reserve_exited(self, how: str) -> None:
        self._reserve = None
        if not self._closed:
            self.log.warn("the worker in reserve ended {how}", how=how)
            self._refill_in(REFILL_AFTER_EXIT)


def _open_log(config: Config) -> int | None:
    """The descriptor of the access log, for processes that did not open it themselves."""
    if config.access_log is None:
        return None
    if config.access_log == "-":
        return STDOUT
    return open_file(config.access_log)


class _One(Factory):
    """Makes the one protocol that it is given."""

    noisy = False

    def __init__(self, protocol: WorkerLink) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> WorkerLink:
        return self._protocol


class _Nobody:
    """Who hears of a worker in reserve (`ParentEnd`).

    Attributes:
        addresses: Where the worker would accept clients, once it could.
    """

    def __init__(self, exited: Callable[[str], None]) -> None:
        self.addresses: Mapping[str, str] | None = None
        self.exited = exited

    def ready(self, addresses: Mapping[str, str]) -> None:
        """It could accept clients."""
        self.addresses = addresses

    def listening(self, addresses: Mapping[str, str]) -> None:
        """It could do so elsewhere."""
        if self.addresses is not None:
            self.addresses = addresses

    def suspect(self, names: Names) -> None:
        """It has no clients."""

    def outlier(self, names: Names) -> None:
        """It has no clients."""

    def counted(self, counts: Counts, load: Load) -> Deferred[Any]:
        """It has nothing to count."""
        return succeed(None)

    def leaving(self) -> None:
        """Its exit says the same."""


class Child(ProcessProtocol):
    """A worker in a process of its own (`WorkerEnd`).

    Attributes:
        pid: Of the process; 0 if it could not be made.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        duty: Duty,
        inherited: dict[int, int],
        maker: Children,
        exited: Callable[[str], None],
    ) -> None:
        """Prepare; nothing starts yet.

        Args:
            reactor: Makes the process.
            duty: What the worker is to do.
            inherited: Its descriptors, each by its number there, with its number here.
            maker: Has what it will inherit later.
            exited: Hears that it has ended while it was in reserve.
        """
        self._reactor = reactor
        self._duty = duty
        self._inherited = inherited
        self._maker = maker
        self._has = {each.endpoint for each in duty.config.listeners}
        self._nobody = _Nobody(exited)
        self._parent: Occupant | _Nobody = self._nobody
        self._link = WorkerLink(self._nobody)
        self._process: Any = None
        self._name = "in reserve"
        self._line = b""
        self.pid = 0
        self.learn = self._link.learn
        self.accept = self._link.accept
        self.hear = self._link.hear

    def take(self, number: int, occupant: Occupant) -> None:
        """Take a place: from now on its occupant hears of this worker."""
        self._name = str(number + 1)
        self._parent = self._link.parent = occupant

    def start(self) -> None:
        """Make the process, unless it was in reserve: then say whether it is ready already."""
        if self._nobody.addresses is not None:
            self._parent.ready(self._nobody.addresses)
        if self._process is not None:
            return
        try:
            self._spawn()
        except OSError as error:
            reason = error.strerror or str(error)
            self._reactor.callLater(0, self._parent.exited, f"before its start: {reason}")

    def serve(self, config: Config, standings: Mapping[Names, Standing]) -> None:
        """Serve by another config."""
        doors = self._maker.doors(config)
        new = {endpoint: doors[endpoint] for endpoint in doors if endpoint not in self._has}
        self._has = set(doors)
        self._link.serve(self._maker.share(config), standings, new)

    def reopen(self) -> None:
        """Write the access log to a new file."""
        self._link.reopen(self._maker.access_log)

    def count(self) -> Deferred[Any]:
        """Tell what has been counted now."""
        return self._link.count()

    def drain(self) -> None:
        """Finish what runs, then end."""
        self._link.ask(commands.Drain).addErrback(quiet)

    def end(self) -> None:
        """End what runs now, whole or not, and then itself."""
        self._link.ask(commands.End).addErrback(quiet)

    def kill(self) -> None:
        """End, even if it does not listen any more."""
        if self._process is not None:
            try:
                self._process.signalProcess("KILL")
            except ProcessExitedAlready:
                return

    # What Twisted tells.

    def errReceived(self, data: bytes) -> None:
        """What it logs, and what Python says when it breaks."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > LINE:
            lines.append(self._line)
            self._line = b""
        for line in lines:
            self._say(line)

    def processExited(self, reason: Failure) -> None:
        """It has ended, however."""
        ended = reason.value
        how = "in order"
        if isinstance(ended, ProcessTerminated):
            number = ended.signal
            name = "" if number is None else f" ({signal.Signals(number).name})"
            how = (
                f"with exit status {ended.exitCode}"
                if number is None
                else f"by signal {number}{name}"
            )
        elif not isinstance(ended, ProcessDone):
            how = str(ended)
        self._parent.exited(how)

    def processEnded(self, reason: Failure) -> None:
        """Nothing more will be read of it."""
        if self._line:
            self._say(self._line)

    # The rest is ours.

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self.log.info("[worker {name}] {line}", name=self._name, line=text)

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        duty = os.memfd_create("duty", os.MFD_CLOEXEC)
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            # Its parent is the only one who could write what is unpickled there.
            with open(duty, "wb", closefd=False) as file:
                pickle.dump(self._duty, file)
            ours.setblocking(False)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _One(self._link))
            self._process = self._reactor.spawnProcess(
                self,
                sys.executable,
                [sys.executable, "-m", "lbproxy.worker.main"],
                env=dict(os.environ),
                childFDs={
                    **self._inherited,
                    STDIN: nothing,
                    STDERR: "r",
                    LINK: theirs.fileno(),
                    DUTY: duty,
                },
            )
            self.pid = self._process.pid
        finally:
            ours.close()
            theirs.close()
            os.close(duty)
            os.close(nothing)
