"""Two choices, by weight and by load."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.two_choices import TwoChoices
from tests.balance.candidates import chosen, filled, many, some

COUNT = 20000


class TwoChoicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = TwoChoices(random.Random(2))

    def test_idle(self) -> None:
        """In an idle pool the weights are kept."""
        for weights in ((1,), (1, 1), (1, 3), (1, 2, 3), (1,) * 10):
            found = chosen(self.policy, some(*weights), COUNT)
            for place, weight in enumerate(weights):
                part = found[chr(ord("a") + place)] / COUNT
                self.assertApproximates(part, weight / sum(weights), 0.015)

    def test_busy(self) -> None:
        """What is in flight is in proportion to the weights."""
        for weights in ((1, 1), (1, 3), (1, 2, 3), (1, 10)):
            loads = filled(self.policy, some(*weights), [None] * 600)
            for load, weight in zip(loads, weights, strict=True):
                self.assertApproximates(load, 600 * weight / sum(weights), 10)

    def test_two(self) -> None:
        """Of two the less loaded one is chosen, always."""
        for loads in ((1, 0), (5, 4), (100, 0)):
            candidates = some(1, 1)
            for candidate, load in zip(candidates, loads, strict=True):
                candidate.in_flight = load
            self.assertEqual(chosen(self.policy, candidates, 100), {"b": 100})

    def test_three(self) -> None:
        """Of three the most loaded one is never chosen."""
        candidates = some(1, 1, 1)
        candidates[1].in_flight = 1
        self.assertEqual(set(chosen(self.policy, candidates, 1000)), {"a", "c"})

    def test_fullest(self) -> None:
        """The fullest of many has hardly more than the mean; by lot alone it has a third more."""
        loads = filled(self.policy, many(100), [None] * 10000)
        self.assertLessEqual(max(loads), 104)

    def test_starting(self) -> None:
        """One that starts slowly gets its part."""
        candidates = some(1, 1, 1)
        candidates[2].share = 0.1
        found = chosen(self.policy, candidates, COUNT)
        self.assertApproximates(found["c"] / COUNT, 0.1 / 2.1, 0.01)
        loads = filled(self.policy, candidates, [None] * 210)
        self.assertApproximates(loads[2], 10, 2)
