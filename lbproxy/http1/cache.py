"""Heads that were read before: clients and backends repeat themselves.

A head is taken apart once and never changed, so the next message with the same bytes may have the
same object, with all that has been worked out of it since.
"""

from __future__ import annotations

from typing import Generic, TypeVar

H = TypeVar("H")

#: Heads that are remembered, and the bytes that one may have for that.
MOST, LONGEST = 512, 2048


class HeadCache(Generic[H]):
    """Whole heads by their bytes, the empty line included.

    When it is full it begins anew: what is asked for often is there again at once, and traffic that
    never repeats itself pays for no bookkeeping.

    Attributes:
        heads: For look-up.
    """

    __slots__ = ("heads",)

    def __init__(self) -> None:
        self.heads: dict[bytes, H] = {}

    def put(self, data: bytes, head: H) -> None:
        """Remember a head."""
        if len(data) > LONGEST:
            return
        if len(self.heads) >= MOST:
            self.heads.clear()
        self.heads[data] = head
