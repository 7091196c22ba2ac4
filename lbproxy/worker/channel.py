"""A worker's end of the channel to its parent, for a worker that has a process of its own."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import connectionDone
from twisted.protocols.amp import Command
from twisted.python.failure import Failure

from lbproxy.balance.standing import Standing
from lbproxy.config.model import Config
from lbproxy.control import commands
from lbproxy.control.channel import Channel, log, quiet
from lbproxy.control.link import Load, Names, WorkerEnd
from lbproxy.errors import ConfigError
from lbproxy.observe.metrics import Counts


class Serves(WorkerEnd, Protocol):
    """A worker here, which is given what comes over the channel."""

    def serve(
        self,
        config: Config,
        standings: Mapping[Names, Standing],
        doors: Mapping[str, Sequence[int]] = ...,
    ) -> None:
        """Serve by another config, with these sockets of endpoints that are new in it."""

    def reopen(self, access_log: int | None = None) -> None:
        """Write the access log to this descriptor, or to where the config says."""

    def leave(self) -> None:
        """Finish what runs, then end; another worker takes the place."""


class ParentLink(Channel):
    """Speaks with the parent, and is the parent to the worker (`ParentEnd`)."""

    def __init__(self, worker: Serves, lost: Callable[[], None]) -> None:
        """Prepare.

        Args:
            worker: Does what the parent asks for.
            lost: Is called when there is no parent any more.
        """
        super().__init__()
        self._worker = worker
        self._lost = lost
        self._doors: dict[str, list[int]] = {}
        self._unanswered: set[tuple[type[Command], Names]] = set()

    def connectionMade(self) -> None:
        """Begin: what the parent needs to know comes first."""
        super().connectionMade()
        self._worker.start()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The parent is gone."""
        super().connectionLost(reason)
        self._lost()

    # What the worker tells.

    def ready(self, addresses: Mapping[str, str]) -> None:
        """It could accept clients."""
        self._ask(commands.Ready, addresses=addresses)

    def listening(self, addresses: Mapping[str, str]) -> None:
        """It could accept clients elsewhere than before."""
        self._ask(commands.Listening, addresses=addresses)

    def suspect(self, names: Names) -> None:
        """A backend has refused a connection of live traffic."""
        self._tell_once(commands.Suspect, names)

    def outlier(self, names: Names) -> None:
        """Live traffic speaks against a backend."""
        self._tell_once(commands.Outlier, names)

    def counted(self, counts: Counts, load: Load) -> Deferred[Any]:
        """What has been counted since the last time. Fires when the parent has it."""
        told = commands.load_out(load)
        return gatherResults(
            [
                self.callRemote(commands.Counted, series=series, load=told)
                for series in commands.counts_out(counts)
            ],
            consumeErrors=True,
        )

    def leaving(self) -> None:
        """Somebody else has asked the worker to end."""
        self._ask(commands.Leaving)

    # What the parent asks for.

    @commands.Inherit.responder
    def inherit(self, endpoint: str, descriptor: int) -> dict[str, Any]:
        self._doors.setdefault(endpoint, []).append(descriptor)
        return {}

    @commands.Serve.responder
    def serve(self, descriptor: int) -> dict[str, Any]:
        # The parent is the only one who could write what is unpickled here.
        with open(descriptor, "rb") as file:
            file.seek(0)
            config, standings = pickle.load(file)
        doors, self._doors = self._doors, {}
        with self._or_leave():
            self._worker.serve(config, standings, doors)
        return {}

    @commands.Reopen.responder
    def reopen(self) -> dict[str, Any]:
        return self.reopen_file(None)

    @commands.ReopenFile.responder
    def reopen_file(self, descriptor: int | None) -> dict[str, Any]:
        with self._or_leave():
            self._worker.reopen(descriptor)
        return {}

    @commands.Learn.responder
    def learn(self, standings: Any) -> dict[str, Any]:
        for names, standing in commands.standings_in(standings):
            self._worker.learn(names, standing)
        return {}

    @commands.Accept.responder
    def accept(self, queues: list[int]) -> dict[str, Any]:
        self._worker.accept(frozenset(queues))
        return {}

    @commands.Hear.responder
    def hear(self, whole: Any) -> dict[str, Any]:
        self._worker.hear(commands.whole_in(whole))
        return {}

    @commands.Count.responder
    def count(self) -> Deferred[dict[str, Any]]:
        return self._worker.count().addCallback(lambda _: {})

    @commands.Drain.responder
    def drain(self) -> dict[str, Any]:
        self._worker.drain()
        return {}

    @commands.End.responder
    def end(self) -> dict[str, Any]:
        self._worker.end()
        return {}

    # The rest is ours.

    @contextmanager
    def _or_leave(self) -> Iterator[None]:
        """What cannot be taken over, a worker that is made anew has from its beginning."""
        try:
            yield
        except (ConfigError, OSError) as error:
            log.error("{error}: leaving it to another worker", error=error)
            self._worker.leave()

    def _ask(self, command: type[Command], **arguments: Any) -> None:
        asked: Deferred[Any] = self.callRemote(command, **arguments)
        asked.addErrback(quiet)

    def _tell_once(self, command: type[Command], names: Names) -> None:
        """Under load each of many requests sees the same: the parent needs to hear it once."""
        told = (command, names)
        if told in self._unanswered:
            return
        self._unanswered.add(told)
        asked: Deferred[Any] = self.callRemote(command, names=names)
        asked.addErrback(quiet).addCallback(lambda _: self._unanswered.discard(told))
