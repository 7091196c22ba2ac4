"""What is remembered of files: the ways to them, their heads, and the contents of small ones.

Nothing of it is used before `beneath.unchanged` has said that the way still leads to the same files
and that these have not changed. So an answer from here is the one that the disk would give.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict

import attrs

from lbproxy.static.beneath import Step
from lbproxy.static.representation import Key, Representation

#: Bytes that the cache of a process takes, all counted.
LIMIT = 16 << 20

#: Bytes of a file above which its content is not kept.
FILE_LIMIT = 65536

#: Bytes of a path above which nothing is kept.
PATH_LIMIT = 1024

#: What an entry takes besides paths and contents: some 500 bytes for itself, 800 for each of up to
#: three representations with their heads, 400 for each step of its trail.
_ENTRY, _REPRESENTATION, _STEP = 500, 800, 400

#: Seconds for which a thing must have been as it is before its times can tell the next change: file
#: systems write times in steps, of 2 s at most (FAT), and of two changes in one step the second
#: would not be seen.
SETTLED = 2.0


@attrs.define
class Entry:
    """What a path leads to.

    Attributes:
        trail: What was met on the way.
        representations: By coding; the original is the last.
        kept: Whether it is in the cache.
        size: What it takes there, in bytes.
        seen_in: The batch of requests for which the trail was last found unchanged.
    """

    trail: tuple[Step, ...]
    representations: dict[bytes, Representation]
    kept: bool = False
    size: int = 0
    seen_in: object = None

    def settled(self, now: float) -> bool:
        """Whether each later change will be seen."""
        return all(was[4] <= (now - SETTLED) * 1e9 for _, was in self.trail)


class FileCache:
    """Entries by path, those that were used last.

    Attributes:
        size: What all entries take, in bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        """What is remembered of a path."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Remember."""
        self.drop(key)
        if len(key[1]) > PATH_LIMIT:
            return
        entry.kept = True
        entry.size = (
            _ENTRY
            + len(key[1])
            + _REPRESENTATION * len(entry.representations)
            + sum(_STEP + len(path) for path, _ in entry.trail)
        )
        self._entries[key] = entry
        self._grow(entry.size)

    def drop(self, key: Key) -> None:
        """Forget."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._forget(entry)

    def content(self, entry: Entry, chosen: Representation, file: int) -> bytes | None:
        """The content of a small file, which is kept if the entry is.

        Args:
            entry: What the representation is of.
            chosen: It.
            file: The open file.

        Raises:
            OSError: If it cannot be read, or is shorter than it was.
        """
        if chosen.size > FILE_LIMIT:
            return None
        content = os.pread(file, chosen.size, 0)
        if len(content) < chosen.size:
            raise OSError(errno.EIO, "it has become shorter")
        if entry.kept:
            chosen.content = content
            entry.size += chosen.size
            self._grow(chosen.size)
        return content

    def _grow(self, size: int) -> None:
        self.size += size
        while self.size > self._limit:
            self._forget(self._entries.popitem(last=False)[1])

    def _forget(self, entry: Entry) -> None:
        entry.kept = False
        self.size -= entry.size
