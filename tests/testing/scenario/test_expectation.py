"""Tests of expectations."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.kinds import Wrong
from lbproxy.testing.scenario.expectation import expectation


class ExpectationTests(SynchronousTestCase):
    """How they are read."""

    def test_parts(self) -> None:
        """Each part is found, with or without spaces."""
        read = expectation("share.api/klein>=30 % from 2.5 to 10")
        self.assertEqual(
            (read.metric, read.backend, read.comparison, read.bound, read.start, read.end),
            ("share", "api/klein", ">=", 0.3, 2.5, 10.0),
        )
        read = expectation("p99 < 0.5")
        self.assertEqual(
            (read.metric, read.backend, read.comparison, read.bound, read.start, read.end),
            ("p99", None, "<", 0.5, None, None),
        )
        self.assertEqual(expectation("failed == 0 to 3").end, 3.0)

    def test_holds(self) -> None:
        """Each comparison; what was not measured never holds."""
        for line, below, equal, above in (
            ("failed == 5", False, True, False),
            ("failed <= 5", True, True, False),
            ("failed < 5", True, False, False),
            ("failed >= 5", False, True, True),
            ("failed > 5", False, False, True),
        ):
            read = expectation(line)
            self.assertEqual([read.holds(each) for each in (4, 5, 6)], [below, equal, above])
            self.assertFalse(read.holds(None))

    def test_wrong(self) -> None:
        """What is wrong with those that are none."""
        for line, said in (
            ("faild == 0", "did you mean failed?"),
            ("latency < 1", "latency is not measured; there are requests, answered"),
            ("share > 0", "of which backend? write share.NAME"),
            ("failed.klein == 0", "write it without .klein"),
            ("failed = 0", 'expected an expectation such as "failed == 0"'),
            ("failed == 0 from 3 to 2", "nothing lies from 3 to 2"),
            ("failed == -1", "expected an expectation"),
        ):
            self.assertIn(said, str(self.assertRaises(Wrong, expectation, line)), line)
