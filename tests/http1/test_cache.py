"""Which heads are remembered."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.http1.cache import LONGEST, MOST, SEEN, HeadCache


class HeadCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cache: HeadCache[str] = HeadCache()

    def test_second_time(self) -> None:
        """What comes once is there until the next; what comes again stays."""
        self.cache.put(b"a", "A")
        self.assertEqual((self.cache.find(b"a"), self.cache.heads), ("A", {}))
        self.cache.put(b"b", "B")
        self.assertIsNone(self.cache.find(b"a"))
        self.cache.put(b"a", "A")
        self.cache.put(b"c", "C")
        self.assertEqual((self.cache.find(b"a"), self.cache.heads), ("A", {b"a": "A"}))

    def test_bounds(self) -> None:
        """Neither many nor long heads take more than their share."""
        for number in range(2 * SEEN):
            self.cache.put(b"%d" % number, "once")
        self.assertLessEqual(len(self.cache._seen), SEEN)
        for number in range(2 * MOST):
            for _ in range(2):
                self.cache.put(b"%d" % number, "again")
        self.assertLessEqual(len(self.cache.heads), MOST)
        for _ in range(2):
            self.cache.put(bytes(LONGEST + 1), "long")
        self.assertNotIn(bytes(LONGEST + 1), self.cache.heads)

    def test_clear(self) -> None:
        """Afterwards nothing is known, not even that it came once."""
        for _ in range(2):
            self.cache.put(b"a", "A")
        self.cache.put(b"b", "B")
        self.cache.clear()
        self.assertEqual([self.cache.find(data) for data in (b"a", b"b")], [None, None])
        self.cache.put(b"a", "other")
        self.cache.put(b"b", "B")
        self.assertIsNone(self.cache.find(b"a"))
