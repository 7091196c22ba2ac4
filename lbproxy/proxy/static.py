"""Answers from a folder of files, read piece by piece as fast as the client takes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from lbproxy.errors import AnswerCut, ProxyError
from lbproxy.http1 import serialize
from lbproxy.http1.message import LENGTH, NO_TRAILERS, Fields
from lbproxy.static.files import FileAnswer, Span

if TYPE_CHECKING:
    from lbproxy.proxy.downstream import Downstream

#: Bytes read from a file at a time.
PIECE = 65536

#: Pieces sent to one client before the others have their turn.
TURN = 16


class StaticAnswer:
    """One answer from a file."""

    def __init__(self, clock: IReactorTime, downstream: Downstream, answer: FileAnswer) -> None:
        self._clock = clock
        self._downstream = downstream
        self._file = answer.file
        self._parts = answer.parts
        self._status = answer.status
        self._fields = answer.fields
        self._running = False
        self._next_turn: IDelayedCall | None = None

    def start(self, date: bytes) -> None:
        """Give the head, and as much of the body as the client takes at once."""
        downstream = self._downstream
        request_id = downstream.record.request_id.encode()
        lines = serialize.lines([*self._fields, (b"Date", date), (b"X-Request-Id", request_id)])
        begin = serialize.response(self._status, serialize.reason_phrase(self._status), lines)
        # The length stands in the answer's own fields, for HEAD and for GET alike.
        downstream.answer(self._status, begin, LENGTH, self._clock.seconds())
        self.resume_answer()

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
            for _ in range(TURN):
                if not self._parts or downstream.clogged:
                    break
                downstream.answer_data(self._next_piece())
                downstream.flush()
        except OSError as error:
            self._close()
            downstream.cut(AnswerCut(f"cannot read the file: {error}"))
            return
        finally:
            self._running = False
        if not self._parts:
            self._close()
            downstream.answer_end(NO_TRAILERS, self._clock.seconds())
        elif not downstream.clogged:
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

    def _next_piece(self) -> bytes:
        part = self._parts[0]
        if isinstance(part, bytes):
            del self._parts[0]
            return part
        assert self._file is not None
        data = os.pread(self._file, min(PIECE, part.length), part.offset)
        if not data:
            raise OSError("it has become shorter")
        if len(data) == part.length:
            del self._parts[0]
        else:
            self._parts[0] = Span(part.offset + len(data), part.length - len(data))
        return data
