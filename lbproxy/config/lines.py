"""On which line of a TOML file each key stands, which `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib

#: Where a value is: keys of tables, indices of lists.
Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_STRING = re.compile(
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'''
    r"""|'''(?:[^']|'{1,2}(?!'))*'{3,5}"""
    r'''|"(?:[^"\\]|\\.)*"'''
    r"""|'[^']*'""",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}#\n]*")


def locate(text: str) -> dict[Path, int]:
    """Find the keys of a file that `tomllib` has read without complaint.

    Args:
        text: The whole file.

    Returns:
        The line of each table, key and element, counted from 1. A table that several headers or
        dotted keys share has the line where it is first named.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.file()
    return scanner.lines


class _Scanner:
    """Reads a valid file from front to back."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._counts: dict[Path, int] = {}

    def file(self) -> None:
        """Everything: headers, and keys below them."""
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        self._line += found[0].count("\n")
        return found[0]

    def _sees(self, mark: str) -> bool:
        """Whether the mark is next; if so it is passed."""
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _header(self) -> Path:
        is_list = self._sees("[[")
        self._at += not is_list
        *parents, last = self._dotted()
        self._at += 1 + is_list
        path = self._named((), parents)
        if not is_list:
            return self._named(path, [last])
        path = (*path, last)
        self.lines.setdefault(path, self._line)
        self._counts[path] = self._counts.get(path, 0) + 1
        return self._named((), [*parents, last])

    def _named(self, path: Path, keys: list[str]) -> Path:
        """Go down by keys; in a list of tables, to its latest."""
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, self._line)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self.lines.setdefault(path, self._line)
        return path

    def _dotted(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            key = self._skip(_KEY)
            # The key itself is left to tomllib, which knows the escapes.
            keys.append(next(iter(tomllib.loads(f"{key} = 0"))))
            self._skip(_SPACE)
            if not self._sees("."):
                return keys

    def _pair(self, table: Path) -> None:
        path = self._named(table, self._dotted())
        self._at += len("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        if self._sees("["):
            self._elements(path)
        elif self._sees("{"):
            self._inline(path)
        elif self._text[self._at] in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_BARE)

    def _elements(self, path: Path) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._sees("]"):
            self.lines[*path, index] = self._line
            self._value((*path, index))
            self._skip(_BLANK)
            self._sees(",")
            self._skip(_BLANK)
            index += 1

    def _inline(self, path: Path) -> None:
        self._skip(_BLANK)
        while not self._sees("}"):
            self._pair(path)
            self._skip(_BLANK)
            self._sees(",")
            self._skip(_BLANK)
