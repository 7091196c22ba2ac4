"""The parent's end of the channel to a worker that has a process of its own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.amp import AMP, BinaryBoxProtocol, Command
from twisted.python.failure import Failure

from lbproxy.balance.standing import Standing
from lbproxy.config.model import Config
from lbproxy.control import commands
from lbproxy.control.commands import PART
from lbproxy.control.link import STDOUT, Names, ParentEnd, Whole

log = Logger()


def quiet(failure: Failure) -> None:
    """The other end is gone, which is told elsewhere; all else is a fault of ours."""
    if failure.check(ConnectionClosed) is None:
        log.failure("a command was not carried out", failure)


class Channel(AMP):
    """AMP that does not log when it begins and ends: who started and who ended is logged."""

    def makeConnection(self, transport: Any) -> None:
        BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        BinaryBoxProtocol.connectionLost(self, reason)


class WorkerLink(Channel):
    """Speaks with one worker, most of it on behalf of `Child`.

    What is told of a state is told one command at a time, and meanwhile only the latest is kept: so
    what waits for a worker that is behind is bounded by the number of backends.

    Attributes:
        parent: Hears what the worker tells.
    """

    def __init__(self, parent: ParentEnd) -> None:
        super().__init__()
        self.parent = parent
        self._standings: dict[Names, Standing] = {}
        self._queues: frozenset[int] | None = None
        self._whole: Whole | None = None
        self._telling = False

    # What the parent asks for.

    def learn(self, names: Names, standing: Standing) -> None:
        """A backend's standing has changed."""
        self._standings[names] = standing
        self._tell()

    def serve(
        self,
        config: Config,
        standings: Mapping[Names, Standing],
        doors: Mapping[str, Iterable[int]],
    ) -> None:
        """Serve by another config; sockets of endpoints that are new to the worker go before.

        That can be long, and is pickled: it goes in a file that no name leads to.
        """
        self._standings.clear()  # These are newer.
        for endpoint, descriptors in doors.items():
            for descriptor in descriptors:
                self._pass(commands.Inherit, descriptor, endpoint=endpoint)
        file = os.memfd_create("config", os.MFD_CLOEXEC)
        with open(file, "wb", closefd=False) as written:
            pickle.dump((config, dict(standings)), written)
        passed = self._pass(commands.Serve, file)
        passed.addBoth(lambda _: os.close(file))

    def reopen(self, access_log: int | None) -> None:
        """Write the access log to a new file, if it goes to one that we have opened."""
        if access_log is None or access_log == STDOUT:
            self.ask(commands.Reopen).addErrback(quiet)
        else:
            self._pass(commands.ReopenFile, access_log)

    def accept(self, queues: frozenset[int]) -> None:
        """Accept clients from these workers' queues, and from no others."""
        self._queues = queues
        self._tell()

    def hear(self, whole: Whole) -> None:
        """What there is to report of the others."""
        self._whole = whole
        self._tell()

    def count(self) -> Deferred[Any]:
        """Tell what has been counted, by the standings of now: they go before. Fires when done."""
        while self._standings:
            self._send_standings()
        return self.ask(commands.Count)

    def ask(self, command: type[Command]) -> Deferred[Any]:
        """A command of nothing but its name. Fires when it was carried out."""
        asked: Deferred[Any] = self.callRemote(command)
        return asked

    # What the worker tells.

    @commands.Ready.responder
    def ready(self, addresses: dict[str, str]) -> dict[str, Any]:
        self.parent.ready(addresses)
        return {}

    @commands.Listening.responder
    def listening(self, addresses: dict[str, str]) -> dict[str, Any]:
        self.parent.listening(addresses)
        return {}

    @commands.Suspect.responder
    def suspect(self, names: list[str]) -> dict[str, Any]:
        self.parent.suspect((names[0], names[1]))
        return {}

    @commands.Outlier.responder
    def outlier(self, names: list[str]) -> dict[str, Any]:
        self.parent.outlier((names[0], names[1]))
        return {}

    @commands.Counted.responder
    def counted(self, series: Any, load: Any) -> dict[str, Any]:
        self.parent.counted(commands.counts_in(series), commands.load_in(load))
        return {}

    @commands.Leaving.responder
    def leaving(self) -> dict[str, Any]:
        self.parent.leaving()
        return {}

    # The rest is ours.

    def _pass(self, command: type[Command], descriptor: int, **arguments: Any) -> Deferred[Any]:
        """Have the worker get a descriptor of ours, which is to stay open until this fires."""
        passed: Deferred[Any] = self.callRemote(command, descriptor=descriptor, **arguments)
        return passed.addErrback(quiet)

    def _tell(self) -> None:
        if self._telling:
            return
        if self._standings:  # First, so that it never accepts before it knows whom to ask.
            self._send_standings()
        elif self._queues is not None:
            queues, self._queues = self._queues, None
            self._send(commands.Accept, queues=sorted(queues))
        elif self._whole is not None:
            whole, self._whole = self._whole, None
            self._send(commands.Hear, whole=commands.whole_out(whole))

    def _send_standings(self) -> None:
        told = dict(list(self._standings.items())[:PART])
        for names in told:
            del self._standings[names]
        self._send(commands.Learn, standings=commands.standings_out(told))

    def _send(self, command: type[Command], **arguments: Any) -> None:
        self._telling = True
        sent: Deferred[Any] = self.callRemote(command, **arguments)
        sent.addCallbacks(self._told, self._not_told)

    def _told(self, _: object) -> None:
        self._telling = False
        self._tell()

    def _not_told(self, failure: Failure) -> None:
        quiet(failure)
        if failure.check(ConnectionClosed) is None:
            self._told(None)
