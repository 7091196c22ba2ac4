"""Answers from a folder of files, sent piece by piece as fast as the client takes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from lbproxy.errors import AnswerCut, ProxyError
from lbproxy.http1.message import LENGTH, NO_TRAILERS, Fields
from lbproxy.static.files import FileAnswer, Span

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream

#: Bytes read from a file at a time.
PIECE = 65536

#: Bytes of a file that the kernel is asked to send at a time. Less costs more turns of the reactor:
#: of 10 MiB, 1.9 ms at a quarter of this, and 1.6 at all of it.
SPAN = 1 << 20

#: Bytes sent to one client before the others have their turn.
TURN = 1 << 20


def answer(
    clock: IReactorTime, downstream: Downstream, answer: FileAnswer, date: bytes, now: float
) -> None:
    """Give an answer: at once, unless it has to be read from an open file.

    Args:
        clock: Provides the turns in which a file is sent.
        downstream: Who asked.
        answer: What is given.
        date: For `Date`.
        now: The present time, in the clock's seconds.
    """
    own = b"Date: %b\r\nX-Request-Id: %b\r\n" % (date, downstream.record.request_id.encode())
    if answer.file is None:
        body = b"".join(cast(list[bytes], answer.parts))  # Of a single one this makes no copy.
        downstream.answer_whole(answer.status, answer.head + own, body, now)
        return
    sending = StaticAnswer(clock, downstream, answer)
    downstream.begin_answerer(sending)
    downstream.answer(answer.status, answer.head + own, LENGTH, now)
    sending.resume_answer()


class StaticAnswer:
    """One answer from an open file.

    The kernel sends what is longer than a piece by itself, where the transport can ask it to;
    else all is read and written.
    """

    def __init__(self, clock: IReactorTime, downstream: Downstream, answer: FileAnswer) -> None:
        self._clock = clock
        self._downstream = downstream
        self._file = answer.file
        self._parts = answer.parts
        self._sends = downstream.sends_files
        self._running = False
        self._next_turn: IDelayedCall | None = None

    # What the client's side tells.

    def request_data(self, data: bytes) -> None:
        """A body means nothing to a file."""

    def request_sink(self) -> None:
        """Nothing is written past us."""

    def request_relayed(self) -> None:
        """Nothing is written past us."""

    def request_end(self, trailers: Fields) -> None:
        """Nothing was waiting for it."""

    def abandon(self, error: ProxyError) -> None:
        """The client has gone."""
        self._close()

    def pause_answer(self) -> None:
        """`resume_answer` looks at this by itself, piece by piece."""

    def resume_answer(self) -> None:
        """Send until the client is behind, or the end."""
        if self._running or self._next_turn is not None:
            return  # A write that empties the queue resumes us from inside.
        self._running = True
        downstream = self._downstream
        try:
            given = 0
            while self._parts and given < TURN and not downstream.clogged:
                given += self._give_piece()
        except OSError as error:
            self._close()
            downstream.cut(AnswerCut(f"cannot read the file: {error}"))
            return
        finally:
            self._running = False
        if downstream.clogged:
            return  # Also behind the last piece: the file is open until it is sent.
        if not self._parts:
            self._close()
            downstream.answer_end(NO_TRAILERS, self._clock.seconds())
        else:
            self._next_turn = self._clock.callLater(0.0, self._take_turn)

    # The rest is ours.

    def _take_turn(self) -> None:
        self._next_turn = None
        self.resume_answer()

    def _close(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _give_piece(self) -> int:
        """Give the next bytes; how many."""
        part = self._parts.pop(0)
        if isinstance(part, bytes):
            self._downstream.answer_data(part)
            return len(part)
        assert self._file is not None
        length = min(part.length, SPAN if self._sends else PIECE)
        if part.length > length:
            self._parts.insert(0, Span(part.offset + length, part.length - length))
        if self._sends and length > PIECE:
            # The transport could only end the connection, without a word in the log.
            if os.fstat(self._file).st_size < part.offset + length:
                raise _shorter()
            self._downstream.answer_file(self._file, part.offset, length)
        else:
            data = os.pread(self._file, length, part.offset)
            if len(data) < length:
                raise _shorter()
            self._downstream.answer_data(data)
            self._downstream.flush()
        return length


def _shorter() -> OSError:
    return OSError("it has become shorter")
