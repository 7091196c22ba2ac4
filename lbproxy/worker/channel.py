"""A worker's end of the channel to its parent, for a worker that has a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import connectionDone
from twisted.protocols.amp import Command
from twisted.python.failure import Failure

from lbproxy.control import commands
from lbproxy.control.channel import Channel, quiet
from lbproxy.control.link import Load, Names, WorkerEnd
from lbproxy.observe.metrics import Counts


class ParentLink(Channel):
    """Speaks with the parent, and is the parent to the worker (`ParentEnd`)."""

    def __init__(self, worker: WorkerEnd, lost: Callable[[], None]) -> None:
        """Prepare.

        Args:
            worker: Does what the parent asks for.
            lost: Is called when there is no parent any more.
        """
        super().__init__()
        self._worker = worker
        self._lost = lost
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

    def ready(self, addresses: list[str]) -> None:
        """It could accept clients."""
        self._ask(commands.Ready, addresses=addresses)

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
