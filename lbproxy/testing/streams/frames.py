"""Frames of a WebSocket (RFC 6455 section 5), read apart from the balancer's own reading."""

from __future__ import annotations

import random
from collections.abc import Iterator

from lbproxy.testing.payload import body
from lbproxy.testing.streams.course import Course, Piece

CONTINUATION, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10

#: Codes of close frames: all is done; the server goes; the service restarts (section 7.4).
DONE, GOING_AWAY, SERVICE_RESTART = 1000, 1001, 1012

#: Where the coding of a length changes, and a few others.
_SIZES = (0, 1, 30, 30, 125, 126, 300, 300, 5000)
_LARGE = (65535, 65536, 65536)

_BETWEEN, _WITHIN = (0.0, 0.0, 0.01, 0.3, 1.5), (0.02, 0.4, 1.5, 3.0)


def frame(opcode: int, payload: bytes, key: bytes = b"", *, last: bool = True) -> bytes:
    """One frame.

    Args:
        opcode: What it is.
        payload: What is in it.
        key: Masks that, if it comes from a client: four bytes.
        last: Whether its message ends with it.
    """
    size, mask = len(payload), 0x80 if key else 0
    first = opcode | (0x80 if last else 0)
    if size < 126:
        head = bytes((first, mask | size))
    elif size < 65536:
        head = bytes((first, mask | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, mask | 127)) + size.to_bytes(8, "big")
    return head + key + (_masked(payload, key) if key else payload)


def close_frame(code: int, key: bytes = b"") -> bytes:
    """A close frame."""
    return frame(CLOSE, code.to_bytes(2, "big"), key)


def opcode_of(raw: bytes) -> int:
    """What a frame is."""
    return raw[0] & 15


def payload_of(raw: bytes) -> bytes:
    """What is in a frame, without its mask."""
    masked, length = raw[1] & 0x80, raw[1] & 0x7F
    begin = 2 + {126: 2, 127: 8}.get(length, 0)
    return _masked(raw[begin + 4 :], raw[begin : begin + 4]) if masked else raw[begin:]


def _masked(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    repeated = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return mixed.to_bytes(size, "big")


class FrameReader:
    """Takes bytes, and gives the whole frames in them."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Read what has come."""
        self.rest += data
        while True:
            size = self._size()
            if size is None or size > len(self.rest):
                return
            raw, self.rest = self.rest[:size], self.rest[size:]
            yield raw

    def _size(self) -> int | None:
        rest = self.rest
        if len(rest) < 2:
            return None
        begin, length = 2, rest[1] & 0x7F
        if length > 125:
            begin += 2 if length == 126 else 8
            if len(rest) < begin:
                return None
            length = int.from_bytes(rest[2:begin], "big")
        return begin + (4 if rest[1] & 0x80 else 0) + length


def drawn(chance: random.Random, number: int, way: str) -> Course:
    """What one side says, but for its answers to pings and to close frames.

    Args:
        chance: Draws it.
        number: The request's.
        way: `up` is from the client, and masked.
    """
    pieces = [piece for raw in _frames(chance, number, way) for piece in _pieces(chance, raw)]
    finish = chance.choice(("ends", "stays", "stays", "stays", "breaks"))
    if way == "down" and finish == "breaks" and chance.random() < 0.5:
        finish = "vanishes"
    if finish in ("breaks", "vanishes") and len(pieces[-1].data) > 1 and chance.random() < 0.5:
        last = pieces.pop()
        pieces.append(Piece(last.after, last.data[:-1], whole=False))
    return Course(tuple(pieces), finish)


def _frames(chance: random.Random, number: int, way: str) -> Iterator[bytes]:
    offset = 0
    large = chance.random() < 0.35

    def key() -> bytes:
        return chance.randbytes(4) if way == "up" else b""

    for message in range(chance.randint(1, 6)):
        parts = chance.choice((1, 1, 2, 4))
        for part in range(parts):
            size = chance.choice(_SIZES)
            if large and part == 0:
                large, size = False, chance.choice(_LARGE)
            payload = body(f"{way} frame", number, offset, size)
            offset += size
            opcode = CONTINUATION if part else BINARY
            yield frame(opcode, payload, key(), last=part == parts - 1)
            if chance.random() < 0.25:  # It may stand between the parts of a message.
                yield frame(PING, b"%b %d %d" % (way.encode(), message, part), key())


def _pieces(chance: random.Random, raw: bytes) -> Iterator[Piece]:
    """A frame, in one piece or with a pause inside."""
    after = chance.choice(_BETWEEN)
    if chance.random() < 0.25:
        cut = chance.choice((1, 2, len(raw) // 2, len(raw) - 1))
        if 0 < cut < len(raw):
            yield Piece(after, raw[:cut], whole=False)
            after, raw = chance.choice(_WITHIN), raw[cut:]
    yield Piece(after, raw)
