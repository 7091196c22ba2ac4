"""What is told of two runs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.compare import moved
from benchmarks.macro.results import Run
from tests.benchmarks.runs import ELSEWHERE, HERE, SMALL, run


def told(before: Run, after: Run) -> list[str]:
    """The lines on lbproxy."""
    return moved(before, after, [SMALL], "lbproxy")


class MovedTests(SynchronousTestCase):
    def test_cheaper(self) -> None:
        """The ratio is told before and after."""
        self.assertEqual(
            told(run([40.0, 40.0], [10.0, 10.0]), run([20.0, 20.0], [10.0, 10.0])),
            ["small: 4 -> 2 (-50 %) times haproxy"],
        )

    def test_slower_machine(self) -> None:
        """A machine on which all is slower is no change."""
        before = run([40.0], [10.0])
        self.assertEqual(told(before, run([80.0], [20.0], machine=ELSEWHERE)), [])

    def test_noise(self) -> None:
        """Neither is what lies within the rounds, or is small."""
        wide = run([20.0, 40.0], [10.0, 10.0])
        self.assertEqual(told(wide, run([39.0, 41.0], [10.0, 10.0])), [])
        self.assertEqual(told(run([20.0], [10.0]), run([20.5], [10.0])), [])

    def test_no_reference(self) -> None:
        """Without HAProxy the cost itself is compared, but only on the same machine."""
        before = run([20.0], [])
        self.assertEqual(told(before, run([40.0], [])), ["small: 20 -> 40 (+100 %) µs/request"])
        self.assertEqual(told(before, run([40.0], [], machine=ELSEWHERE)), [])
        self.assertEqual(before.machine, HERE)

    def test_support(self) -> None:
        """What can be measured for the first time is told, and what no longer can."""
        none, one = run([], [10.0]), run([20.0], [10.0])
        self.assertEqual(told(none, one), ["small: can be measured now"])
        self.assertEqual(
            told(one, none), ["small: cannot be measured any more: not supported: <tls>"]
        )
        self.assertEqual(told(none, none), [])

    def test_errors(self) -> None:
        """Errors where there were none are told."""
        self.assertEqual(
            told(run([20.0], [10.0]), run([20.0], [10.0], errors=3)),
            ["small: 3 errors, where there were none"],
        )
