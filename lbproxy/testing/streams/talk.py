"""One end of a WebSocket: says its course, and judges each frame of the other one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from lbproxy.testing.streams import frames
from lbproxy.testing.streams.course import Course, Speaker

#: Masks what a client answers.
KEY = b"\x5a\xa5\x0f\x01"


class Talk:
    """The client, or the backend.

    Attributes:
        speaker: Says the course.
        closed: Whether a close frame of ours has been sent, or is to be behind the present frame.
        heard: The code of the close frame that has come; 0 if none has.
        heard_at: When.
        got: Frames of the other one's course so far.
        pongs: Answers to pings that have come.
    """

    def __init__(
        self,
        course: Course,
        other: Course,
        key: bytes,
        clock: Any,
        do: Callable[[Callable[[], None]], None],
        write: Callable[[bytes], None],
        finished: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Prepare; the speaker begins when it is told to.

        Args:
            course: What is said here.
            other: What is said there.
            key: Masks what is said here besides; empty for a backend.
            clock: Provides the time.
            do: Does something now, or when the process goes on.
            write: Sends.
            finished: Is called when all has been said.
            tell: Is told what must not be.
        """
        self.speaker = Speaker(course, clock, do, write, finished)
        self.closed = False
        self.heard = 0
        self.heard_at = 0.0
        self.got = self.pongs = 0
        self._key = key
        self._clock = clock
        self._tell = tell
        self._awaited = other.units
        self._pings = deque(_pings_in(course))
        self._reader = frames.FrameReader()

    @property
    def inside(self) -> bool:
        """Whether what has come ends in the middle of a frame."""
        return bool(self._reader.rest)

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        for raw in self._reader.feed(data):
            self._take(raw)

    def close(self, code: int) -> None:
        """Say that this is the end, behind the present frame."""
        if not self.closed:
            self.closed = True
            self.speaker.owe(frames.close_frame(code, self._key), last=True)

    def judge_rest(self) -> None:
        """No more will come: what came last has to be the beginning of what was awaited."""
        rest = self._reader.rest
        awaited = self._awaited[self.got] if self.got < len(self._awaited) else b""
        # Of an answer to a ping or of a close frame there may be a part as well.
        if rest and not awaited.startswith(rest) and frames.opcode_of(rest) < frames.CLOSE:
            self._tell("got a part of a frame that nobody sent")

    def _take(self, raw: bytes) -> None:
        if self.heard:
            self._tell(f"got a frame behind the close frame with {self.heard}")
        elif self.got < len(self._awaited) and raw == self._awaited[self.got]:
            self.got += 1
            if frames.opcode_of(raw) == frames.PING:
                self.speaker.owe(frames.frame(frames.PONG, frames.payload_of(raw), self._key))
        elif bool(raw[1] & 0x80) is bool(self._key):
            self._tell("got a frame that is masked, or is not, as no frame of the other one is")
        elif frames.opcode_of(raw) == frames.CLOSE:
            self.heard = int.from_bytes(frames.payload_of(raw)[:2], "big")
            self.heard_at = self._clock.seconds()
        elif self._pings and raw == self._pong_to(self._pings.popleft()):
            self.pongs += 1
        else:
            self._tell("got a frame that nobody sent")

    def _pong_to(self, payload: bytes) -> bytes:
        """How the other one answers."""
        return frames.frame(frames.PONG, payload, b"" if self._key else KEY)


def _pings_in(course: Course) -> list[bytes]:
    return [
        frames.payload_of(unit)
        for unit in course.units
        if frames.opcode_of(unit) == frames.PING and len(unit) > 2
    ]
