"""Tests of the lines of keys."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.lines import Path, locate


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every path in a document."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, each in pairs:
        yield (*path, key)
        yield from paths(each, (*path, key))


KEYS = st.text("ab.\"'# =\\[é", max_size=4)
STRINGS = st.text("ab\"'#=,[]{}\\\n", max_size=6)
SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), STRINGS)


def quoted(word: str) -> str:
    """A word as a basic string."""
    return json.dumps(word)


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """A value in one of the ways in which TOML writes it."""
    shape = draw(st.sampled_from(("scalar", "literal", "multi", "list", "table")))
    if shape == "literal":
        return f"'{draw(st.text('ab#=[]{},', max_size=5))}'"
    if shape == "multi":
        inside = draw(st.text("ab#\n=[", max_size=5)) + draw(st.sampled_from(('"', '""', '\\"')))
        return f'"""{inside}"""'
    if shape == "list" and depth:
        gap = draw(st.sampled_from(("", "\n", " # a comment ]\n")))
        inner = draw(st.lists(values(depth - 1), max_size=3))
        return "[" + gap + f",{gap}".join(inner) + gap + "]"
    if shape == "table" and depth:
        names = draw(st.lists(KEYS, max_size=3, unique=True))
        pairs = [f"{quoted(name)} = {draw(values(depth - 1))}" for name in names]
        return "{ " + ", ".join(pairs) + " }"
    scalar = draw(SCALARS)
    return json.dumps(scalar)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A whole file: keys, tables and lists of tables."""
    lines = []
    names = iter(draw(st.lists(KEYS, min_size=1, max_size=6, unique=True)))
    for name in names:
        header = draw(st.sampled_from(("", "[{}]", "[[{}]]", "[{}.sub]", "[[{}.'x y']]")))
        for _ in range(draw(st.integers(1, 3)) if header.startswith("[[") else 1):
            if header:
                lines.append(header.format(quoted(name)))
            else:
                lines.append(f"[top{len(lines)}]")
            lines.append(f"{quoted(name)} . b = {draw(values())}  # {name!r}")
            lines.append("")
    return "\n".join(lines)


class LocateTests(SynchronousTestCase):
    """What `locate` finds."""

    def check(self, text: str, expected: dict[Path, int]) -> None:
        """Compare, and see that the text is TOML."""
        tomllib.loads(text)
        self.assertEqual(locate(text), expected)

    def test_empty(self) -> None:
        """Nothing is in an empty file, or in comments."""
        self.check("", {})
        self.check("# a = 1\n\n  # [b]", {})

    def test_keys(self) -> None:
        """A key has its line, comments and blank lines counted."""
        self.check("a = 1\n# c = 3\n\nb = 'x' # = 4\n", {("a",): 1, ("b",): 4})

    def test_windows_lines(self) -> None:
        """A carriage return belongs to the line's end."""
        self.check('a = """x\r\ny"""\r\nb = 2\r\n', {("a",): 1, ("b",): 3})

    def test_tables(self) -> None:
        """A header names a table, and those around it if it is the first to do so."""
        self.check(
            "[a.b]\nc = 1\n[ a ]\nd = 2\n",
            {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "d"): 4},
        )

    def test_dotted(self) -> None:
        """A dotted key names each table on its way; quotes keep dots."""
        self.check(
            "a.'b.c' . \"\\u0064\" = 1",
            {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "d"): 1},
        )

    def test_tables_in_a_list(self) -> None:
        """Each header begins an element, and sub-tables belong to the latest."""
        self.check(
            "[[a]]\nx = 1\n[[a]]\n[a.y]\nz = 1\n[[a.w]]\n",
            {
                ("a",): 1,
                ("a", 0): 1,
                ("a", 0, "x"): 2,
                ("a", 1): 3,
                ("a", 1, "y"): 4,
                ("a", 1, "y", "z"): 5,
                ("a", 1, "w"): 6,
                ("a", 1, "w", 0): 6,
            },
        )

    def test_inline(self) -> None:
        """Inline tables and lists are looked into, over several lines."""
        self.check(
            "a = { b = 1, c.d = [\n  'x', # ]\n  { e = 2024-01-01 10:00:00 },\n] }\nf = 1",
            {
                ("a",): 1,
                ("a", "b"): 1,
                ("a", "c"): 1,
                ("a", "c", "d"): 1,
                ("a", "c", "d", 0): 2,
                ("a", "c", "d", 1): 3,
                ("a", "c", "d", 1, "e"): 3,
                ("f",): 5,
            },
        )

    def test_strings(self) -> None:
        """What looks like a key in a string is none."""
        self.check(
            "a = '''\nx = 1\n'''''\n"
            'b = """\\"""\\\ny = 2"""""\n'
            'c = "\\"#"\n'
            "d = ''\n"
            'e = ""',
            {("a",): 1, ("b",): 4, ("c",): 6, ("d",): 7, ("e",): 8},
        )

    @given(files())
    def test_every_path(self, text: str) -> None:
        """The paths are those that tomllib knows, and no line is beyond the file."""
        found = locate(text)
        self.assertEqual(set(found), set(paths(tomllib.loads(text))))
        self.assertTrue(all(1 <= line <= text.count("\n") + 1 for line in found.values()))
