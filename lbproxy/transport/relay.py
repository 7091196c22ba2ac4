"""One direction of two joined connections, with back-pressure."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from lbproxy.transport.transfer import Transfer, can_transfer


@implementer(IPushProducer)
class Relay:
    """Gives what comes from one transport to another one.

    From a plain connection a `Transfer` moves it, so that no protocol is asked. Else the source's
    protocol gives it what it gets, by `take`.

    It is the sink's producer: while the sink is behind, the source is not read. The source has to
    pass its end on by `end`.

    Attributes:
        clogged: Whether the sink is behind.
        moved: Bytes that the sink has got so far.
    """

    __slots__ = ("_ended", "_sink", "_source", "clogged", "moved")

    def __init__(self, source: Any, sink: Any) -> None:
        """Join two transports, this way.

        Args:
            source: A transport that can be paused.
            sink: A transport that takes a producer.
        """
        self._source = source
        self._sink = sink
        self._ended = False
        self.clogged = False
        self.moved = 0
        sink.registerProducer(self, True)
        if can_transfer(source):
            Transfer(source, sink, self)

    def take(self, data: bytes) -> None:
        """What a source's protocol has got."""
        self._sink.write(data)
        self.moved += len(data)

    def relayed(self, count: int) -> None:
        """The sink has got so much past us."""
        self.moved += count

    def end(self) -> None:
        """The source has ended: so does the sink, behind what it was given."""
        self._ended = True
        self._sink.loseWriteConnection()

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
