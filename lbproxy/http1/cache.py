"""Heads that were read before: clients and backends repeat themselves.

A head is taken apart once and never changed, so the next message with the same bytes may have the
same object, with all that has been worked out of it since.
"""

from __future__ import annotations

from typing import Generic, TypeVar

H = TypeVar("H")

#: Heads that are remembered, and the bytes that one may have for that.
MOST, LONGEST = 512, 2048

#: Heads of which it is known that they came once.
SEEN = 4096


class HeadCache(Generic[H]):
    """Whole heads by their bytes, the empty line included, from the second time on.

    What comes once is not worth its memory: heads that never repeat would take turns in megabytes,
    which the processor then has to fetch. So of the first time only the hash is kept. When either
    is full it begins anew: what is asked for often is there again at once, and nothing pays for
    bookkeeping.

    Attributes:
        heads: For look-up.
    """

    __slots__ = ("_last", "_seen", "heads")

    def __init__(self) -> None:
        self.heads: dict[bytes, H] = {}
        self._seen: set[int] = set()
        self._last: tuple[bytes, H] | None = None

    def clear(self) -> None:
        """Forget all."""
        self.heads.clear()
        self._seen.clear()
        self._last = None

    def find(self, data: bytes) -> H | None:
        """A head that is remembered, or that has just been put."""
        head = self.heads.get(data)
        if head is None and self._last is not None and self._last[0] == data:
            head = self._last[1]
        return head

    def put(self, data: bytes, head: H) -> None:
        """Remember a head for long if it has come before, else until the next."""
        self._last = data, head
        if len(data) > LONGEST:
            return
        mark, seen = hash(data), self._seen
        if mark not in seen:
            if len(seen) >= SEEN:
                seen.clear()
            seen.add(mark)
            return
        if len(self.heads) >= MOST:
            self.heads.clear()
        self.heads[data] = head
