"""Least loaded, turns where all are level, and what is under way at slow ones."""

from __future__ import annotations

import random
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.least_loaded import LeastLoaded
from tests.balance.candidates import One, chosen, filled, many, some


class LeastLoadedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = LeastLoaded(random.Random(3))

    def test_least(self) -> None:
        """Nobody has less to do than who is chosen: all pools of one to three, all small loads."""
        for size in (1, 2, 3):
            for weights, loads in product(
                product((1, 2, 5), repeat=size), product(range(4), repeat=size)
            ):
                candidates = some(*weights)
                for candidate, load in zip(candidates, loads, strict=True):
                    candidate.in_flight = load
                best = self.policy.choose(candidates, 0.0, None)
                least = min(each.in_flight / each.share for each in candidates)
                self.assertEqual(best.in_flight / best.share, least, (weights, loads))

    def test_turns(self) -> None:
        """Those that are level take turns, whether they have nothing to do or something."""
        for load in (0, 1, 7):
            for size in (1, 2, 3, 10):
                candidates = many(size)
                for candidate in candidates:
                    candidate.in_flight = load
                found = chosen(self.policy, candidates, 20 * size)
                self.assertEqual(set(found.values()), {20})

    def test_weights(self) -> None:
        """An idle pool keeps its weights, and so does what is in flight."""
        found = chosen(self.policy, some(1, 3), 20000)
        self.assertApproximates(found["a"] / 20000, 0.25, 0.015)
        self.assertEqual(filled(self.policy, some(1, 3, 6), [None] * 100), [10, 30, 60])

    def test_even(self) -> None:
        """However many requests have come, no two differ by more than one."""
        loads = filled(self.policy, many(7), [None] * 100)
        self.assertLessEqual(max(loads) - min(loads), 1)

    def test_starting(self) -> None:
        """One that starts slowly gets its part."""
        candidates = some(1, 1)
        candidates[1].share = 0.1
        self.assertApproximates(chosen(self.policy, candidates, 20000)["b"] / 20000, 1 / 11, 0.01)
        self.assertEqual(filled(self.policy, candidates, [None] * 110), [100, 10])

    def test_fewer(self) -> None:
        """The turns go on when one has left."""
        candidates = some(1, 1, 1)
        chosen(self.policy, candidates, 3)
        self.assertEqual(chosen(self.policy, candidates[:1], 2), {"a": 2})

    def hear(self, taken: dict[One, float]) -> None:
        """Enough answers of each for the policy to know them."""
        for candidate, seconds in taken.items():
            for _ in range(100):
                self.policy.observe(candidate, seconds, False, 0.0)

    def test_idle_and_slow(self) -> None:
        """One that is slow is not chosen for being idle, but when the others have much to do."""
        slow, fast = candidates = some(1, 1)
        self.hear({slow: 0.1, fast: 0.01})
        self.assertEqual(chosen(self.policy, candidates, 10), {"b": 10})
        fast.in_flight = 1
        self.assertIs(self.policy.choose(candidates, 0.0, None), fast)
        fast.in_flight = 1000
        self.assertIs(self.policy.choose(candidates, 0.0, None), slow)

    def test_slow_share(self) -> None:
        """What is under way at one ten times as slow is a small part, at any weights."""
        for weights in ((1, 1), (3, 1), (1, 5)):
            slow, fast = candidates = some(*weights)
            self.policy = LeastLoaded(random.Random(5))
            self.hear({slow: 0.1, fast: 0.01})
            loads = filled(self.policy, candidates, [None] * 1000)
            self.assertGreater(loads[0], 0)
            self.assertLess(loads[0] / weights[0], 0.03 * loads[1] / weights[1])

    def test_turns_beside_a_slow_one(self) -> None:
        """The others take turns as before, idle or not."""
        for load in (0, 1, 7):
            slow, *others = candidates = many(4)
            self.policy = LeastLoaded(random.Random(6))
            self.hear({slow: 0.3, **dict.fromkeys(others, 0.01)})
            for candidate in candidates:
                candidate.in_flight = load
            found = chosen(self.policy, candidates, 60)
            self.assertEqual(found, {other.name: 20 for other in others})

    def test_only_slow_ones_left(self) -> None:
        """Among slow ones alone it is the least loaded of them."""
        slow, slower, fast = some(1, 1, 1)
        self.hear({slow: 0.1, slower: 0.1, fast: 0.01})
        self.policy.choose([slow, slower, fast], 0.0, None)
        self.assertEqual(filled(self.policy, [slow, slower], [None] * 10), [5, 5])
