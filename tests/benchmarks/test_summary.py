"""Medians, spreads, and ratios between neighbours."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.summary import Spread, neighbours, ratios, spread
from tests.benchmarks.runs import sample


class SpreadTests(SynchronousTestCase):
    def test_spread(self) -> None:
        """The median stands between the least and the most."""
        self.assertEqual(spread([3.0, 1.0, 9.0]), Spread(1.0, 3.0, 9.0))
        self.assertEqual(spread([4.0]), Spread(4.0, 4.0, 4.0))
        self.assertEqual(spread(iter([1.0, 2.0])).middle, 1.5)

    def test_overlaps(self) -> None:
        """Two spreads overlap if they share a value, be it their border."""
        self.assertTrue(Spread(1, 2, 3).overlaps(Spread(3, 4, 5)))
        self.assertTrue(Spread(3, 4, 5).overlaps(Spread(1, 2, 3)))
        self.assertTrue(Spread(1, 5, 9).overlaps(Spread(4, 4, 4)))
        self.assertFalse(Spread(1, 2, 3).overlaps(Spread(4, 5, 6)))


class RatioTests(SynchronousTestCase):
    def test_neighbours(self) -> None:
        """One before and one after, or the only one there is on one side."""
        reference = [sample(turn, 1.0) for turn in (1, 5, 7)]
        turns = {
            turn: [one.turn for one in neighbours(turn, reference)] for turn in (0, 1, 3, 6, 9)
        }
        self.assertEqual(turns, {0: [1], 1: [1], 3: [1, 5], 6: [5, 7], 9: [7]})

    def test_slow_machine(self) -> None:
        """A machine that gets slower by half leaves the ratios as they are."""
        ours = [sample(0, 20.0), sample(2, 30.0)]
        self.assertEqual(ratios(ours, [sample(1, 10.0), sample(3, 20.0)]), [2.0, 2.0])

    def test_to_itself(self) -> None:
        """The reference costs once what it costs."""
        reference = [sample(0, 10.0), sample(3, 40.0)]
        self.assertEqual(ratios(reference, reference), [1.0, 1.0])

    def test_reference_without_cost(self) -> None:
        """Where the reference cost nothing that could be measured, there is no ratio."""
        ours, free = sample(0, 1.0), attrs.evolve(sample(1, 1.0), cost=0.0)
        self.assertEqual(ratios([ours], [free]), [])
