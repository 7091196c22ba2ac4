"""A temporary folder with an outside, and answers from it read whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.http1.message import Fields
from lbproxy.static.files import FileAnswer, Folder, Span

#: The time at which tests ask: Tue, 24 Nov 2026 12:00:00 GMT.
NOW = 1_795_521_600

#: When the files of the tests were modified, unless they say otherwise: an hour before.
MODIFIED = NOW - 3600


@attrs.frozen
class Got:
    """An answer, read whole."""

    status: int
    fields: Fields
    body: bytes

    def field(self, name: bytes) -> bytes | None:
        """The only value of a field, or `None`."""
        values = [value for found, value in self.fields if found == name]
        assert len(values) < 2, values
        return values[0] if values else None


def fields_of(answer: FileAnswer) -> Fields:
    """The fields in an answer's head, whose status line is the answer's own."""
    line, *lines, rest = answer.head.split(b"\r\n")
    assert line.startswith(b"HTTP/1.1 %d " % answer.status) and not rest, answer.head
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def read_whole(answer: FileAnswer) -> bytes:
    """The body of an answer, whose file is closed."""
    pieces = []
    for part in answer.parts:
        if isinstance(part, Span):
            assert answer.file is not None
            assert part.length > 0
            part = os.pread(answer.file, part.length, part.offset)
        pieces.append(part)
    if answer.file is not None:
        os.close(answer.file)
    return b"".join(pieces)


class FolderCase(SynchronousTestCase):
    """Has `self.root`, which is served, and `self.outside`, which is not."""

    def setUp(self) -> None:
        """Make both folders, with a secret in the one outside."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name, "root")
        self.outside = Path(temporary.name, "outside")
        self.root.mkdir()
        self.outside.mkdir()
        self.outside.joinpath("secret.txt").write_bytes(b"secret")
        self.folder = Folder(self.root, lambda: NOW + 0.5)

    def write(self, name: str, content: bytes, modified: float = MODIFIED) -> Path:
        """Write a file into the served folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (modified, modified))
        return path

    def ask(self, path: bytes, method: bytes = b"GET", **values: bytes | list[bytes]) -> Got:
        """Ask for a path; fields are named with underscores."""
        fields = {
            name.replace("_", "-").encode(): value if isinstance(value, list) else [value]
            for name, value in values.items()
        }
        answer = self.folder.answer(method, path, fields)
        return Got(answer.status, fields_of(answer), read_whole(answer))
