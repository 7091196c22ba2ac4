"""Bodies each byte of which says whose it is and where it belongs."""

from __future__ import annotations

import random
from functools import lru_cache

#: Bytes after which a body repeats itself: a prime, so that no buffer's size is a multiple of it.
PERIOD = 1021


@lru_cache(maxsize=2048)
def _block(way: str, number: int) -> bytes:
    return random.Random(f"{way} {number}").randbytes(PERIOD)


def body(way: str, number: int, start: int, size: int) -> bytes:
    """A part of a body.

    Args:
        way: `request` or `answer`, which differ.
        number: The request's.
        start: Offset of the first byte.
        size: In bytes.
    """
    block = _block(way, number)
    offset = start % PERIOD
    return (block * (size // PERIOD + 2))[offset : offset + size]
