"""Which coding of a file a client gets (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

IDENTITY = b"identity"

#: Codings of files that lie compressed beside the original, the better one first, by their endings.
SUFFIXES = {b"br": b".br", b"gzip": b".gz"}

_MEMBER = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)

#: What is acceptable without being named is the last choice: less than the least weight.
_UNNAMED = 0.0005


#: Choices that are remembered: browsers send few different values, and these are short.
_REMEMBERED, _REMEMBERED_LENGTH = 256, 128


def choose(lines: list[bytes] | None, codings: Iterable[bytes]) -> bytes | None:
    """Choose the coding that a client prefers, and of several such the first.

    Args:
        lines: The values of `Accept-Encoding`, or `None` if there is none.
        codings: What there is; the original is there in any case.

    Returns:
        One of the codings, `IDENTITY`, or `None` if the client accepts none of them.
    """
    if lines is None:
        return IDENTITY
    value = b",".join(lines)
    best = _remembered_best if len(value) <= _REMEMBERED_LENGTH else _best
    return best(value, tuple(codings))


def _best(value: bytes, codings: tuple[bytes, ...]) -> bytes | None:
    weights = _weights(value)
    others = weights.get(b"*")

    def weight(coding: bytes) -> float:
        unnamed = _UNNAMED if coding == IDENTITY else 0.0
        return weights.get(coding, unnamed if others is None else others)

    best = max((*codings, IDENTITY), key=weight)
    return best if weight(best) > 0 else None


_remembered_best = lru_cache(_REMEMBERED)(_best)


def _weights(value: bytes) -> dict[bytes, float]:
    """The weight of each coding that is named; malformed members count for nothing."""
    weights: dict[bytes, float] = {}
    for item in value.split(b","):
        match = _MEMBER.fullmatch(item.strip(b" \t"))
        if match is not None:
            coding = match[1].lower()
            if coding == b"x-gzip":
                coding = b"gzip"  # They are the same (RFC 9110 section 8.4.1.3).
            weights[coding] = float(match[2] or b"1")
    return weights
