"""Regular expressions whose search takes no more than time in proportion to the text.

Python's `re` tries one way after the other, and a body can be such that `(a+)+b` has more ways than
there are seconds: a probe's pattern comes from the config, what it meets from a backend. Here all
ways are gone at once (Thompson, "Regular Expression Search Algorithm", CACM 1968), so each
character costs at most a look at each node, of which there are `MOST_NODES`: 0.3 s for 8 KiB with
the worst pattern and the worst body, and mostly a thousandth of that.

The syntax is that of `re` without what needs memory (back-references) or a second look
(look-around, word borders). Single characters and classes of them are left to `re` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

#: Nodes of a pattern at most; `x{50}` has fifty.
MOST_NODES = 128

#: Groups in groups at most.
MOST_DEPTH = 20

#: Steps that are remembered, a few KiB each at most; then it begins to learn anew.
_MOST_LEARNED = 1024

_TOKEN = re.compile(
    r"""(?P<one> \\[dDwWsSnrtfv] | \\[^0-9A-Za-z] | \[\^?\]?(?:\\.|[^\]\\])*\] | [^\\()|*+?{^$[] )
    | (?P<repeat> [*+?] | \{[0-9]{1,4}(?:,[0-9]{0,4})?\} ) \??
    | (?P<open> \((?:\?:)? (?!\?) ) | (?P<close> \) ) | (?P<either> \| )
    | (?P<start> \^ ) | (?P<end> \$ )""",
    re.VERBOSE | re.DOTALL,
)
_FLAGS = re.compile(r"\(\?([is]{1,2})\)")

# What a node does: it reads a character that its pattern matches, goes on in two places, goes on
# at the start of the text or at its end, or has found what is looked for.
_READ, _SPLIT, _START, _END, _FOUND = range(5)


class BadPattern(ValueError):
    """A pattern that is none, or has what is not spoken here; the text says what."""


class Pattern:
    """A pattern, ready to be looked for."""

    def __init__(self, source: str) -> None:
        """Read a pattern.

        Args:
            source: As in `re`; `(?i)`, `(?s)` or both may begin it.

        Raises:
            BadPattern: With the reason.
        """
        flags = _FLAGS.match(source)
        self._nodes: list[tuple[int, Any, int]] = [(_FOUND, None, 0)]
        self._learned: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        tree = _Reader(source, flags).read()
        self._first = self._add(tree, 0)

    def found_in(self, text: str, whole: bool = True) -> bool:
        """Whether it is anywhere in a text.

        Args:
            text: Where.
            whole: Whether that is all of it; else `$` is nowhere.
        """
        states = self._closure((self._first,), start=True)
        for char in text:
            if 0 in states:
                return True
            after = self._learned.get((states, char))
            if after is None:
                after = self._learn(states, char)
            states = after
        return 0 in (self._closure(states, end=True) if whole else states)

    def _learn(self, states: frozenset[int], char: str) -> frozenset[int]:
        """Where a character leads from some nodes; what begins with the next one is there too."""
        led = [self._first]
        for state in states:
            kind, reads, after = self._nodes[state]
            if kind == _READ and reads(char):
                led.append(after)
        if len(self._learned) >= _MOST_LEARNED:
            self._learned.clear()
        self._learned[states, char] = closure = self._closure(led)
        return closure

    def _closure(
        self, states: Iterable[int], *, start: bool = False, end: bool = False
    ) -> frozenset[int]:
        """The nodes that are reached from some without reading."""
        seen: set[int] = set()
        ahead = list(states)
        while ahead:
            state = ahead.pop()
            if state in seen:
                continue
            seen.add(state)
            kind, other, after = self._nodes[state]
            if kind == _SPLIT:
                ahead += (other, after)
            elif (kind == _START and start) or (kind == _END and end):
                ahead.append(after)
        return frozenset(seen)

    def _node(self, kind: int, other: Any, after: int) -> int:
        if len(self._nodes) >= MOST_NODES:
            raise BadPattern(f"it has more than {MOST_NODES} steps, repeats counted")
        self._nodes.append((kind, other, after))
        return len(self._nodes) - 1

    def _add(self, tree: Any, after: int) -> int:
        """Add a part of the pattern before a node; the node with which it begins."""
        match tree:
            case ("read", reads):
                return self._node(_READ, reads, after)
            case ("start" | "end" as border,):
                return self._node(_START if border == "start" else _END, None, after)
            case ("row", parts):
                for part in reversed(parts):
                    after = self._add(part, after)
                return after
            case ("either", parts):
                first = self._add(parts[-1], after)
                for part in reversed(parts[:-1]):
                    first = self._node(_SPLIT, self._add(part, after), first)
                return first
            case ("repeat", part, least, most):
                return self._add_repeat(part, least, most, after)
        raise AssertionError(tree)

    def _add_repeat(self, part: Any, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self._node(_SPLIT, None, after)
            self._nodes[loop] = (_SPLIT, self._add(part, loop), after)
            first = loop
        else:
            first = after
            for _ in range(most - least):
                first = self._node(_SPLIT, self._add(part, first), after)
        for _ in range(least):
            begins = self._add(part, first)
            if begins == first:  # It is empty, and so are all the others.
                break
            first = begins
        return first


class _Reader:
    """Reads a pattern into a tree of tuples."""

    def __init__(self, source: str, flags: re.Match[str] | None) -> None:
        self._source = source
        self._place = 0 if flags is None else flags.end()
        self._flags = 0
        for letter in "" if flags is None else flags[1]:
            self._flags |= re.IGNORECASE if letter == "i" else re.DOTALL
        self._depth = 0

    def read(self) -> Any:
        tree = self._either()
        if self._place < len(self._source):
            raise BadPattern("it has a ) too many")
        return tree

    def _either(self) -> Any:
        parts = [self._row()]
        while self._source.startswith("|", self._place):
            self._place += 1
            parts.append(self._row())
        return parts[0] if len(parts) == 1 else ("either", parts)

    def _row(self) -> Any:
        parts: list[Any] = []
        while self._place < len(self._source):
            token = _TOKEN.match(self._source, self._place)
            if token is None:
                raise BadPattern(f"{self._source[self._place :][:10]} is not spoken here")
            if token.lastgroup in ("either", "close"):
                break
            self._place = token.end()
            if token.lastgroup == "repeat":
                if not parts or parts[-1][0] in ("repeat", "start", "end"):
                    raise BadPattern(f"there is nothing that {token[0]} could repeat")
                parts[-1] = ("repeat", parts[-1], *_times(token["repeat"]))
            else:
                parts.append(self._part(token))
        return ("row", parts)

    def _part(self, token: re.Match[str]) -> Any:
        if token.lastgroup == "one":
            try:
                return ("read", re.compile(token[0], self._flags).fullmatch)
            except re.error as error:
                raise BadPattern(f"{token[0]}: {error.msg}") from None
        if token.lastgroup != "open":
            return (token.lastgroup,)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise BadPattern(f"its groups are more than {MOST_DEPTH} deep")
        tree = self._either()
        if not self._source.startswith(")", self._place):
            raise BadPattern("it lacks a )")
        self._place += 1
        self._depth -= 1
        return tree


def _times(repeat: str) -> tuple[int, int | None]:
    """The least and the most times of a repeat; `None` is any number."""
    if repeat in "*+?":
        return int(repeat == "+"), 1 if repeat == "?" else None
    least, comma, most = repeat[1:-1].partition(",")
    if not comma:
        return int(least), int(least)
    if most and int(most) < int(least):
        raise BadPattern(f"{repeat} is empty")
    return int(least), int(most) if most else None
