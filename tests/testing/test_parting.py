"""What the balancer says last in a tunnel is told from bytes that nobody sent."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.parting import TO_BACKEND, TO_CLIENT, parts
from lbproxy.testing.payload import body


class PartingTests(SynchronousTestCase):
    def sent(self, before: int, words: bytes, way: str = "answer") -> tuple[bytes, bytes]:
        """So many bytes of a body and then these, and what was awaited instead."""
        data = body(way, 7, 0, before) + words
        return data, body(way, 7, 0, len(data))

    def test_words(self) -> None:
        """They may come at once, behind something, or only in part."""
        for before in (0, 1, 900):
            for words in (TO_CLIENT, TO_CLIENT[:1], TO_CLIENT[:3]):
                self.assertTrue(parts(*self.sent(before, words), TO_CLIENT), (before, words))
        self.assertTrue(parts(*self.sent(80, TO_BACKEND, "request"), TO_BACKEND))

    def test_others(self) -> None:
        """Whatever else is there was sent by nobody."""
        for words in (b"\x00", TO_BACKEND, b"x" + TO_CLIENT, TO_CLIENT[1:]):
            self.assertFalse(parts(*self.sent(80, words), TO_CLIENT), words)

    def test_by_chance(self) -> None:
        """A byte of them may be the one that was awaited."""
        begin = TO_CLIENT[:1]
        self.assertTrue(parts(begin + TO_CLIENT[1:], begin + b"\xff\xff\xff", TO_CLIENT))
