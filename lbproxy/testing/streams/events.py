"""Events of an event stream (the HTML Standard, section 9.2), byte by byte."""

from __future__ import annotations

import random
from collections.abc import Iterator

from lbproxy.testing.payload import body
from lbproxy.testing.streams.course import Course, Piece

#: How lines may end.
LINE_ENDS = {b"\n": "lf", b"\r\n": "crlf", b"\r": "cr"}

#: Seconds from one event to the next, and those for which a backend stops inside one.
_BETWEEN, _WITHIN = (0.0, 0.01, 0.3, 1.0, 2.5), (0.02, 0.4, 2.5, 4.0)


def drawn(chance: random.Random, number: int) -> Course:
    """What a backend says to the request of a number."""
    ends = chance.choice((*((end,) for end in LINE_ENDS), tuple(LINE_ENDS)))
    events = [_event(chance, number, place, ends) for place in range(chance.randint(1, 16))]
    pieces = [piece for event in events for piece in _pieces(chance, event)]
    finish = chance.choice(("ends", "ends", "breaks", "vanishes", "stays"))
    if chance.random() < 0.3 and len(pieces[-1].data) > 1:  # In the middle of the last one.
        last = pieces.pop()
        pieces.append(Piece(last.after, last.data[:-1], whole=False))
    return Course(tuple(pieces), finish)


def _event(chance: random.Random, number: int, place: int, ends: tuple[bytes, ...]) -> bytes:
    end = chance.choice(ends)
    lines = [b": %d" % place] if chance.random() < 0.3 else []
    if not lines or chance.random() < 0.7:  # Else it only shows that somebody is still there.
        lines.append(b"id: %d.%d" % (number, place))
        data = body("event", number, place, chance.choice((0, 1, 30, 700))).hex().encode()
        size = chance.choice((9, 100, 2000))
        lines += [b"data: " + data[at : at + size] for at in range(0, max(len(data), 1), size)]
    return end.join(lines) + end + end


def _pieces(chance: random.Random, event: bytes) -> Iterator[Piece]:
    """An event, in one piece or with a pause inside."""
    after = chance.choice(_BETWEEN)
    if chance.random() < 0.4:
        cut = chance.choice((1, len(event) // 2, len(event) - 1))
        yield Piece(after, event[:cut], whole=False)
        after, event = chance.choice(_WITHIN), event[cut:]
    yield Piece(after, event)
