"""One direction of two joined connections, with back-pressure."""

from __future__ import annotations

from typing import Any

from twisted.internet import main
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from lbproxy.transport.connection import READ_SIZE
from lbproxy.transport.splice import PIPES, Splice, can_splice

#: Bytes that make a large read, and how many such in a row begin a splice. Where the other side
#: sends as fast as we read, reads end where its segments do, and few are full.
LARGE, BULK = 32768, 4

#: Bytes below which a splice costs more than a copy, and how many such in a row end it.
SMALL, FEW = 16384, 8


@implementer(IPushProducer)
class Relay:
    """Gives what comes from one transport to another one.

    Between two plain connections it takes over the reading, so that no protocol is asked, and
    splices while much comes. Else the source's protocol gives it what it gets, by `take`.

    It is the sink's producer: what the sink does not take is all that is held, since the source is
    not read meanwhile. The source has to pass its end on by `end`.

    Attributes:
        clogged: Whether the sink is behind.
    """

    __slots__ = (
        "_bulk",
        "_ended",
        "_large",
        "_moved",
        "_recv",
        "_send",
        "_sink",
        "_source",
        "clogged",
    )

    def __init__(self, source: Any, sink: Any) -> None:
        """Join two transports, this way.

        Args:
            source: A transport that can be paused.
            sink: A transport that takes a producer.
        """
        self._source = source
        self._sink = sink
        self._bulk: _Bulk | None = None
        self._ended = False
        self._large = 0
        self._moved = 0
        self.clogged = False
        sink.registerProducer(self, True)
        if can_splice(source, sink):
            self._recv = source.socket.recv
            self._send = sink.socket.send
            source.intake = self

    @property
    def moved(self) -> int:
        """Bytes that have come from the source so far."""
        return self._moved if self._bulk is None else self._moved + self._bulk.moved

    def take(self, data: bytes) -> None:
        """What a source's protocol has got."""
        self._moved += len(data)
        self._sink.write(data)

    def pull(self) -> Any:
        """The source can be read; what is returned is why its connection has ended."""
        try:
            data = self._recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        size = len(data)
        if not size:
            return main.CONNECTION_DONE
        self._moved += size
        if self._sink.queued:
            self._sink.hold(memoryview(data))
            return None
        try:
            sent = self._send(data)
        except OSError:
            self._sink.write(data)  # It queues them, and hears of its loss in its own turn.
            return None
        if sent != size:
            self._sink.hold(memoryview(data)[sent:])
        elif size >= LARGE:
            self._large += 1
            if self._large == BULK:
                self._splice()
        elif self._large:
            self._large = 0
        return None

    def end(self) -> None:
        """The source has ended: so does the sink, behind what it was given."""
        self._ended = True
        self._sink.loseWriteConnection()

    def stop(self) -> None:
        """One of the two is gone: let go of what belongs to the process."""
        if self._bulk is not None:
            self._copy()

    def pauseProducing(self) -> None:
        """The sink is behind."""
        self.clogged = True
        self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """The sink has caught up."""
        self.clogged = False
        if not self._ended:
            self._source.resumeProducing()

    def stopProducing(self) -> None:
        """The sink is gone, of which its protocol is told."""

    def _splice(self) -> None:
        """Much comes: let the kernel move it."""
        pipe = PIPES.take()
        if pipe is not None:
            self._bulk = _Bulk(self, self._source, self._sink, pipe)

    def _copy(self) -> None:
        """Little comes."""
        assert self._bulk is not None
        bulk, self._bulk = self._bulk, None
        self._moved += bulk.moved
        self._large = 0
        bulk.stop()
        if not self._source.disconnected:
            self._source.intake = self


class _Bulk(Splice):
    """A relay's splice, which ends when little comes."""

    __slots__ = ("_few", "_relay")

    def __init__(self, relay: Relay, *joined: Any) -> None:
        super().__init__(*joined)
        self._relay = relay
        self._few = 0

    def pull(self) -> Any:
        before = self.moved
        why = super().pull()
        if self.moved - before >= SMALL:
            self._few = 0
        elif not why and not self.held:
            self._few += 1
            if self._few == FEW:
                self._relay._copy()
        return why
