"""What one side of a stream says, piece by piece, and how far it has got with that."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import attrs


@attrs.frozen
class Piece:
    """What is said at once.

    Attributes:
        after: Seconds from the piece before it.
        data: Its bytes.
        whole: Whether an event, or a frame, ends with it.
    """

    after: float
    data: bytes = attrs.field(repr=lambda data: f"{len(data)} bytes")
    whole: bool = True


@attrs.frozen
class Course:
    """All that one side says.

    Attributes:
        pieces: In order.
        finish: What comes then: it `ends` in order, `breaks` by a reset, `vanishes` without a word,
            or `stays` and says nothing more.
    """

    pieces: tuple[Piece, ...]
    finish: str = "stays"

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(piece.after for piece in self.pieces)

    @property
    def units(self) -> list[bytes]:
        """The events, or the frames; the last one may be only the beginning of one."""
        units, unit = [], b""
        for piece in self.pieces:
            unit += piece.data
            if piece.whole:
                units.append(unit)
                unit = b""
        return [*units, unit] if unit else units


@attrs.frozen
class Stream:
    """What is said after the answer's head.

    Attributes:
        down: By the backend.
        up: By the client; nobody has a word to say to an event stream.
        old: Whether the client speaks HTTP/1.0, so that the end of an answer is that of its
            connection.
        mute: Whether the client answers no close frame of the balancer.
        stays: Seconds for which the client does; `inf` is to the end.
    """

    down: Course
    up: Course | None = None
    old: bool = False
    mute: bool = False
    stays: float = inf


class Speaker:
    """Says a course.

    Attributes:
        said: Bytes of it so far.
        inside: Whether these end in the middle of an event, or of a frame.
        moments: When that was said last, and whether it ended so, of each piece.
        how: How it finished, by the names of `Course.finish`; `told` if the balancer ended it,
            `struck` if something befell its process, and empty while it goes on.
        ended: When.
    """

    def __init__(
        self,
        course: Course,
        clock: Any,
        do: Callable[[Callable[[], None]], None],
        write: Callable[[bytes], None],
        finished: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            course: What to say.
            clock: Provides the time.
            do: Does something now, or when the process goes on.
            write: Sends.
            finished: Is called when all has been said, or the last word that was owed.
        """
        self.said = 0
        self.inside = False
        self.moments: list[tuple[float, bool]] = []
        self.how = ""
        self.ended = inf
        self._course = course
        self._clock = clock
        self._do = do
        self._write = write
        self._finished = finished
        self._place = 0
        self._owed: list[bytes] = []
        self._last = self._over = False

    def begin(self) -> None:
        """Say the first piece when its time has come."""
        if self._place < len(self._course.pieces):
            after = self._course.pieces[self._place].after
            self._clock.callLater(after, self._do, self._say)
        elif not self._over:
            self._finished()

    @property
    def over(self) -> bool:
        """Whether nothing more is said."""
        return self._over

    def owe(self, word: bytes, *, last: bool = False) -> None:
        """Say something else, as soon as no event and no frame is under way."""
        if self._over or self._last:
            return
        self._owed.append(word)
        self._last = last
        if not self.inside:
            self._pay()

    def end(self, how: str) -> None:
        """Say nothing more."""
        self._over = True
        if not self.how:
            self.how, self.ended = how, self._clock.seconds()

    def border_since(self, moment: float) -> float:
        """From that moment on, when what was said first ended with an event or a frame."""
        inside = False
        for at, within in self.moments:
            if at > moment:
                if not inside:
                    return moment
                if not within:
                    return at
            inside = within
        return inf if inside else moment

    def whole_between(self, begin: float, end: float) -> bool:
        """Whether all that was said ended with an event or a frame, all the time."""
        within = any(inside for at, inside in self.moments if begin < at <= end)
        return self.border_since(begin) == begin and not within

    def _say(self) -> None:
        if self._over:
            return
        piece = self._course.pieces[self._place]
        self._place += 1
        self._write(piece.data)
        if self.over:
            return
        self.said += len(piece.data)
        self.inside = not piece.whole
        self.moments.append((self._clock.seconds(), self.inside))
        if not self.inside:
            self._pay()
        if not self._over:
            self.begin()

    def _pay(self) -> None:
        owed, self._owed = self._owed, []
        for word in owed:
            self._write(word)
        if self._last:
            self._over = True
            self._finished()
