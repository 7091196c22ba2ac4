"""Conditional requests (RFC 9110 section 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lbproxy.static import dates

#: A member of a list of entity tags, the commas around it included (RFC 9110 section 8.8.3).
_TAG = re.compile(rb'[ \t,]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)')

Values = Mapping[bytes, list[bytes]]


def judge(values: Values, etag: bytes, modified: int, now: float) -> int:
    """Evaluate the preconditions of a GET or HEAD in their order (RFC 9110 section 13.2.2).

    Args:
        values: The request's fields by lower-case name.
        etag: The strong entity tag of the selected representation.
        modified: Its time of modification, in seconds since 1970.
        now: Seconds since 1970.

    Returns:
        The status to answer with: 412, 304, or 200 for what would be answered without them.
    """
    if b"if-match" in values:
        if not _listed(values[b"if-match"], etag, weakly=False):
            return 412
    elif b"if-unmodified-since" in values:
        since = _date(values[b"if-unmodified-since"], now)
        if since is not None and modified > since:
            return 412
    if b"if-none-match" in values:
        if _listed(values[b"if-none-match"], etag, weakly=True):
            return 304
    elif b"if-modified-since" in values:
        since = _date(values[b"if-modified-since"], now)
        if since is not None and modified <= since:
            return 304
    return 200


def range_applies(values: Values, etag: bytes) -> bool:
    """Whether `If-Range` lets `Range` count (RFC 9110 section 13.1.5).

    Only a strong validator may join parts. A date is one only where the file is known not to have
    changed twice within its second, which we never know. Nobody needs it: a client that was given
    an entity tag has to use that.
    """
    return values.get(b"if-range", [etag]) == [etag]


def _listed(lines: list[bytes], etag: bytes, *, weakly: bool) -> bool:
    """Whether a list of entity tags, or `*`, matches; a malformed list matches nothing."""
    value = b",".join(lines)
    if value in (b"*", etag):
        return True
    tags: list[bytes] = []
    place = 0
    while place < len(value):
        match = _TAG.match(value, place)
        if match is None:
            return False
        tags.append(match[1].removeprefix(b"W/") if weakly else match[1])
        place = match.end()
    return etag in tags


def _date(lines: list[bytes], now: float) -> int | None:
    """The date of a field, which is ignored where it is none or several."""
    return dates.parse(lines[0], now) if len(lines) == 1 else None
