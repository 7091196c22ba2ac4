"""Which coding of a file a client gets (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Collection

IDENTITY = b"identity"

#: Codings of files that lie compressed beside the original, the better one first, by their endings.
SUFFIXES = {b"br": b".br", b"gzip": b".gz"}

_MEMBER = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)

#: What is acceptable without being named is the last choice: less than the least weight.
_UNNAMED = 0.0005


def choose(lines: list[bytes] | None, codings: Collection[bytes]) -> bytes | None:
    """Choose the coding that a client prefers, and of several such the first.

    Args:
        lines: The values of `Accept-Encoding`, or `None` if there is none.
        codings: What there is besides the original.

    Returns:
        One of the codings, `IDENTITY`, or `None` if the client accepts none of them.
    """
    if lines is None:
        return IDENTITY
    weights = _weights(lines)
    others = weights.get(b"*")

    def weight(coding: bytes) -> float:
        unnamed = _UNNAMED if coding == IDENTITY else 0.0
        return weights.get(coding, unnamed if others is None else others)

    best = max((*codings, IDENTITY), key=weight)
    return best if weight(best) > 0 else None


def _weights(lines: list[bytes]) -> dict[bytes, float]:
    """The weight of each coding that is named; malformed members count for nothing."""
    weights: dict[bytes, float] = {}
    for item in b",".join(lines).split(b","):
        match = _MEMBER.fullmatch(item.strip(b" \t"))
        if match is not None:
            coding = match[1].lower()
            if coding == b"x-gzip":
                coding = b"gzip"  # They are the same (RFC 9110 section 8.4.1.3).
            weights[coding] = float(match[2] or b"1")
    return weights
