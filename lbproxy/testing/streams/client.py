"""Clients that follow streams, and note how each of them ended."""

from __future__ import annotations

from math import inf
from typing import Protocol

import attrs

from lbproxy.testing import visitor
from lbproxy.testing.backends import Delivery
from lbproxy.testing.link import Wire
from lbproxy.testing.plan import Ask, Visit
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.results import Result, judge
from lbproxy.testing.streams import frames
from lbproxy.testing.streams.course import Course, Speaker
from lbproxy.testing.streams.talk import KEY, Talk
from lbproxy.testing.visitor import Visitor

#: Seconds from the end of one stream to the next.
PAUSE = 0.05

_UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


class Surroundings(visitor.Surroundings, Protocol):
    """What such a client needs of its world."""

    deliveries: dict[int, list[Delivery]]


@attrs.define(eq=False)
class Trail:
    """What a client saw of one stream.

    Attributes:
        visit: Whose it is.
        result: Of its request: `followed` to an end in order, `cut` or `left`.
        wire: The client's connection.
        delivery: What it follows.
        began: When the answer's head had come.
        got: Bytes, or frames, of the course.
        inside: Whether these end in the middle of an event, or of a frame.
        parted: When the balancer had said that it ends: a close frame of its own; `inf` if never.
        own: What the client itself says, if it has something to say.
    """

    visit: Visit
    result: Result
    wire: Wire
    delivery: Delivery
    began: float
    got: int = 0
    inside: bool = False
    parted: float = inf
    own: Speaker | None = None


class StreamClient(Visitor):
    """One visit, with a connection of its own for each request.

    Attributes:
        trails: Of those that were answered with a stream.
    """

    _world: Surroundings

    def __init__(self, world: Surroundings, visit: Visit) -> None:
        super().__init__(world, visit)
        self.trails: list[Trail] = []
        self._trail: Trail | None = None
        self._head: Head | None = None
        self._got = 0
        self._document = b""

    # What the network tells.

    def on_data(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Unreadable as error:
            self._world.violation(f"stream client {self.visit.number} got no answer: {error}")
            self._over("cut")

    def on_end(self) -> None:
        self._reader.end()
        self._over("cut")

    def on_reset(self) -> None:
        self._over("cut" if self._trail is None else self._reset(self._trail))

    # What is read.

    def on_head(self, head: Head) -> bool:
        if head.status < 200 and head.status != 101:
            return False
        result, self._head = self._result, head
        result.status = head.status
        result.backend = head.fields.get(b"x-served-by", b"").decode()
        if b"x-delivery" in head.fields and self._wire is not None:
            place = int(head.fields[b"x-delivery"])
            delivery = self._world.deliveries[self._ask.number][place]
            now = self._world.clock.seconds()
            self._trail = Trail(self.visit, result, self._wire, delivery, now)
            self.trails.append(self._trail)
            self._follow(self._trail)
            self._stay(result)
        return True

    def on_body(self, data: bytes) -> None:
        self._got += len(data)
        if self._trail is None:
            self._document += data
        elif self._wire is not None:
            self._take(self._trail, data)

    def on_whole(self) -> None:
        head, result = self._head, self._result
        if head is None:
            return
        if self._trail is not None:
            self._over(self._whole(self._trail))
            return
        for wrong in judge(result, head, self._got, self._document, killed=False):
            self._world.violation(f"{result.ask.number} {wrong}")
        self._over(result.how)

    # What differs.

    def _follow(self, trail: Trail) -> None:
        """The stream has begun."""
        raise NotImplementedError

    def _take(self, trail: Trail, data: bytes) -> None:
        """A piece of it has come."""
        raise NotImplementedError

    def _whole(self, trail: Trail) -> str:
        """It has ended in order, as far as its framing shows; how that is called."""
        raise NotImplementedError

    def _reset(self, trail: Trail) -> str:
        """It has ended by a reset; how that is called."""
        return "cut"

    # The rest is ours.

    def _dial(self) -> None:
        self._trail = self._head = None
        self._got, self._document = 0, b""
        self._reader = MessageReader(self, until_close=True)
        self._world.dial(self.visit, self, lambda: self._over("refused"))

    def _speak(self, wire: Wire, ask: Ask) -> None:
        assert ask.stream is not None
        self._world.tell("streams", self.visit.number, ask.number)
        upgrade = "" if ask.stream.up is None else _UPGRADE
        version = 0 if ask.stream.old else 1
        self._look(wire)
        wire.write(f"GET /r/{ask.number} HTTP/1.{version}\r\nHost: a\r\n{upgrade}\r\n".encode())

    def _wrong(self, what: str) -> None:
        self._world.violation(f"{self._ask.number} {what}")

    def _look(self, wire: Wire) -> None:
        """One who reads slowly reads what has come, and looks away again."""
        if self.visit.patience and not wire.closed:
            wire.resume()
            if not wire.closed:
                wire.pause()
                self._world.clock.callLater(self.visit.patience, self._look, wire)

    def _stay(self, result: Result) -> None:
        stream = result.ask.stream
        assert stream is not None
        if stream.stays < inf:
            self._world.clock.callLater(stream.stays, self._leave, result)

    def _leave(self, result: Result) -> None:
        if result.ended is None:
            self._world.happened("stream_left")
            self._over("left")

    def _over(self, how: str) -> None:
        """Note what came of it; once."""
        result = self._result
        if result.ended is not None:
            return
        result.ended, result.how = self._world.clock.seconds(), how
        self._world.tell("stream ends", result.ask.number, how, self._got)
        self._close()
        self._world.clock.callLater(PAUSE, self.begin)


class Follower(StreamClient):
    """Follows events."""

    def _follow(self, trail: Trail) -> None:
        self._world.happened("follows")
        assert self._ask.stream is not None
        units = self._ask.stream.down.units
        self._content = b"".join(units)
        whole = units if not units or _is_whole(self._ask.stream.down) else units[:-1]
        self._borders = {0}
        for unit in whole:
            self._borders.add(max(self._borders) + len(unit))

    def _take(self, trail: Trail, data: bytes) -> None:
        if data != self._content[trail.got : trail.got + len(data)]:
            self._wrong(f"got other bytes of its events than its backend sent, from {trail.got} on")
        trail.got += len(data)
        trail.inside = trail.got not in self._borders

    def _whole(self, trail: Trail) -> str:
        return "followed"


class Talker(StreamClient):
    """Has a WebSocket."""

    def _follow(self, trail: Trail) -> None:
        self._world.happened("talks")
        stream, wire = self._ask.stream, trail.wire
        assert stream is not None and stream.up is not None
        self._talk = Talk(
            stream.up,
            stream.down,
            KEY,
            self._world.clock,
            lambda act: act(),
            wire.write,
            lambda: self._finished(trail),
            self._wrong,
        )
        trail.own = self._talk.speaker
        trail.own.begin()

    def _take(self, trail: Trail, data: bytes) -> None:
        before = self._talk.heard
        self._talk.feed(data)
        trail.got, trail.inside = self._talk.got, self._talk.inside
        heard = self._talk.heard
        if not heard or before:
            return
        if heard == frames.GOING_AWAY:
            self._wrong("was told that the client goes away, which backends are told")
        mute = False
        if heard == frames.SERVICE_RESTART:
            trail.parted = self._talk.heard_at
            assert self._ask.stream is not None
            mute = self._ask.stream.mute
        if not mute:
            self._talk.close(heard)

    def _whole(self, trail: Trail) -> str:
        self._talk.speaker.end("told")
        self._talk.judge_rest()
        if self._talk.heard and self._talk.inside:
            self._wrong("got a part of a frame behind a close frame")
        return "followed" if self._talk.heard else "cut"

    def _reset(self, trail: Trail) -> str:
        return self._whole(trail)  # Who has heard the close frame has heard all.

    def _finished(self, trail: Trail) -> None:
        stream = self._ask.stream
        assert stream is not None and stream.up is not None
        if self._talk.closed or trail.result.ended is not None:
            return
        if stream.up.finish == "ends":
            self._world.happened("client_closes")
            self._talk.close(frames.DONE)
        elif stream.up.finish == "breaks":
            self._world.happened("stream_left")
            trail.wire.reset()
            self._over("left")


def _is_whole(course: Course) -> bool:
    return course.pieces[-1].whole
