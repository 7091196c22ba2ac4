"""Kinds of values that only probes have."""

from __future__ import annotations

import re

from lbproxy.config import kinds
from lbproxy.config.kinds import Wrong, elements, expected, text
from lbproxy.health.pattern import BadPattern, Pattern

#: Fields that say how a message goes over its connection.
_FRAMING = frozenset(("connection", "content-length", "expect", "transfer-encoding", "upgrade"))

_STATUS_CLASS = re.compile(r"[2-5]xx")


def statuses(value: object) -> frozenset[int]:
    """Statuses of answers, one by one or a class at a time."""
    found: set[int] = set()
    for each in elements(value):
        if isinstance(each, str) and _STATUS_CLASS.fullmatch(each):
            found.update(range(int(each[0]) * 100, int(each[0]) * 100 + 100))
        elif isinstance(each, int) and not isinstance(each, bool) and 200 <= each <= 599:
            found.add(each)
        else:
            raise expected('a list of statuses from 200 to 599, or of "2xx" to "5xx"', each)
    if not found:
        raise Wrong("at least one is needed, or no probe would pass")
    return frozenset(found)


def pattern(value: object) -> str:
    """A regular expression that can be searched for in linear time."""
    source = text(value)
    try:
        Pattern(source)
    except BadPattern as error:
        raise Wrong(f"expected a regular expression, but {error}") from None
    return source


def path(value: object) -> str:
    """What a probe asks for."""
    path = text(value)
    if not path.startswith("/") or not path.isascii() or " " in path or "#" in path:
        raise expected('a path that begins with "/", percent-encoded', path)
    return path


def headers(value: object) -> tuple[tuple[str, str], ...]:
    """Fields of a probe's request by name, each once; how it is framed is not theirs to say."""
    fields = kinds.headers(value)
    seen: set[str] = set()
    for name, _ in fields:
        if name.lower() in _FRAMING:
            raise Wrong(f"a probe has no body, and a connection of its own: no {name} here")
        if name.lower() in seen:
            raise Wrong(f"{name} stands here twice")
        seen.add(name.lower())
    return fields
