"""What may happen again and again, and is to be in the log now and then."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.seldom import Seldom, since


class SeldomTests(SynchronousTestCase):
    def test_told(self) -> None:
        """The first time, and then again when it was quiet for long enough, with what was not."""
        seldom = Seldom(10.0)
        told = [seldom.tell(now) for now in (0.0, 1.0, 9.9, 10.0, 10.1, 25.0, 40.0)]
        self.assertEqual(told, [0, None, None, 2, None, 1, 0])

    def test_since(self) -> None:
        """In words, this time is one of them."""
        self.assertEqual(since(0), "")
        self.assertEqual(since(2), "; 3 times since that was last said")
