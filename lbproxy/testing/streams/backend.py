"""A backend's side of a stream: takes the connection over when the answer begins."""

from __future__ import annotations

from typing import Any

from lbproxy.testing.backends import Backend, Delivery, Surroundings
from lbproxy.testing.link import Wire
from lbproxy.testing.streams import frames
from lbproxy.testing.streams.course import Speaker, Stream
from lbproxy.testing.streams.talk import Talk

#: How a head says that events follow.
_TYPES = (b"text/event-stream", b"text/event-stream; charset=utf-8")


def take_over(wire: Wire, delivery: Delivery, backend: Backend, world: Surroundings) -> None:
    """Answer with a stream; the connection is for that alone from now on."""
    stream = delivery.ask.stream
    assert stream is not None
    side = _Events if stream.up is None else _Frames
    side(stream, wire, delivery, backend, world).begin()


class _Side:
    """What both kinds have in common."""

    speaker: Speaker

    def __init__(
        self, stream: Stream, wire: Wire, delivery: Delivery, backend: Backend, world: Surroundings
    ) -> None:
        self._stream = stream
        self._wire = wire
        self._delivery = delivery
        self._backend = backend
        self._world = world
        wire.receiver = self

    def begin(self) -> None:
        """Give the head, and the rest as it comes."""
        number = self._delivery.ask.number
        place = self._world.deliveries[number].index(self._delivery)
        self._delivery.speaker = self.speaker
        self._wire.write(
            b"%b\r\nX-Ask: %d\r\nX-Delivery: %d\r\n\r\n" % (self._head(), number, place)
        )
        self.speaker.begin()

    def on_data(self, data: bytes) -> None:
        self._backend.do(lambda: self._take(data))

    def on_end(self) -> None:
        """The balancer has gone, as its client has, or as it wanted."""
        self._backend.do(self._told)

    def on_reset(self) -> None:
        self._over("told")

    def _told(self) -> None:
        self._wire.close()
        self._over("told")

    def _head(self) -> bytes:
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        if self._wire.writable:
            self._wire.write(data)
        else:
            self._over("struck")

    def _over(self, how: str) -> None:
        self.speaker.end(how)
        if self._delivery.answered is None:
            self._delivery.answered = self._world.clock.seconds()

    def _finished(self) -> None:
        """All is said: do as the course has it."""
        finish = self._stream.down.finish
        if finish == "stays" or self._wire.closed:
            return
        self._world.happened(f"stream_{finish}")
        self._over(finish)
        if finish == "breaks" or (finish == "vanishes" and self._wire.ends_body):
            self._wire.reset()
        else:
            self._wire.close()


class _Events(_Side):
    """Events, framed by chunks or by the end of the connection."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._chunked = self._delivery.ask.framing == "chunked"
        self._wire.ends_body = not self._chunked
        self.speaker = Speaker(
            self._stream.down,
            self._world.clock,
            self._backend.do,
            self._write,
            self._finished,
        )

    def _head(self) -> bytes:
        framing = b"Transfer-Encoding: chunked" if self._chunked else b"Connection: close"
        kind = _TYPES[self._delivery.ask.number % len(_TYPES)]
        return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b" % (kind, framing)

    def _take(self, data: bytes) -> None:
        self._world.violation(f"{self._delivery.ask.number} has no body, and one came")

    def _write(self, data: bytes) -> None:
        super()._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _finished(self) -> None:
        if self._stream.down.finish == "ends" and self._chunked:
            self._wire.write(b"0\r\n\r\n")
        super()._finished()


class _Frames(_Side):
    """A WebSocket."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        assert self._stream.up is not None
        self._talk = Talk(
            self._stream.down,
            self._stream.up,
            b"",
            self._world.clock,
            self._backend.do,
            self._write,
            self._finished,
            self._tell,
        )
        self.speaker = self._talk.speaker
        self._delivery.talk = self._talk

    def _head(self) -> bytes:
        return b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade"

    def _take(self, data: bytes) -> None:
        if self._wire.closed:
            return
        before = self._talk.heard
        self._talk.feed(data)
        heard = self._talk.heard
        if not heard or before:
            return
        if heard == frames.SERVICE_RESTART:
            self._tell("was told that the service restarts, which clients are told")
        if self._talk.closed:  # That was the answer: the server closes first (section 7.1.1).
            self._finished()
        else:
            self._talk.close(heard)

    def _tell(self, what: str) -> None:
        self._world.violation(f"{self._delivery.ask.number} at its backend: {what}")

    def _finished(self) -> None:
        """All is said: one's own course, or the close frame behind it."""
        if self._talk.heard:
            self._over("told" if self._talk.heard == frames.GOING_AWAY else "ends")
            self._wire.close()
        elif self._talk.closed:
            return  # The answer to it is awaited.
        elif self._stream.down.finish == "ends":
            self._world.happened("backend_closes")
            self._talk.close(frames.DONE)
        else:
            super()._finished()
