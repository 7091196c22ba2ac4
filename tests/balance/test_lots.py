"""Lots fall as the shares are."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.lots import Lots
from tests.balance.candidates import many, some

DRAWS = 20000


class LotsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lots = Lots(random.Random(1))

    def test_one(self) -> None:
        """Each is drawn in proportion to its share."""
        for weights in ((1,), (1, 1), (1, 3), (5, 1, 2), (1, 1, 1000)):
            candidates = some(*weights)
            drawn = Counter(self.lots.one(candidates) for _ in range(DRAWS))
            for place, weight in enumerate(weights):
                expected = weight / sum(weights)
                self.assertApproximates(drawn[place] / DRAWS, expected, 0.015)

    def test_two(self) -> None:
        """The second one is drawn like the first, of the rest."""
        for weights in ((1, 1), (1, 3), (1, 1, 1), (4, 2, 1), (1, 1, 1000)):
            candidates, whole = some(*weights), sum(weights)
            drawn = Counter(self.lots.two(candidates) for _ in range(DRAWS))
            for first, second in permutations(range(len(weights)), 2):
                rest = whole - weights[first]
                expected = weights[first] / whole * weights[second] / rest
                self.assertApproximates(drawn[first, second] / DRAWS, expected, 0.015)
            self.assertEqual([pair for pair in drawn if pair[0] == pair[1]], [])

    def test_seen_anew(self) -> None:
        """What was worked out for one sequence does not hold for another one."""
        three, two = some(1, 1, 1), some(1, 1)
        self.assertEqual({self.lots.one(three) for _ in range(100)}, {0, 1, 2})
        self.assertEqual({self.lots.one(two) for _ in range(100)}, {0, 1})
        two[0].share = 1e-9
        self.assertEqual({self.lots.one(list(two)) for _ in range(100)}, {1})

    def test_ends(self) -> None:
        """The least and the greatest number of the source of chance are places too."""

        class Fixed(random.Random):
            number = 0.0

            def random(self) -> float:
                return self.number

        chance = Fixed()
        lots = Lots(chance)
        shares = [[1.0] * 5, [0.1 * place for place in range(1, 6)], [1e9, 1e-9, 1e-9, 1e-9, 1e9]]
        for each in shares:
            candidates = many(5)
            for candidate, share in zip(candidates, each, strict=True):
                candidate.share = share
            for chance.number in (0.0, 0.5, 1.0 - 2.0**-53):
                first, second = lots.two(candidates)
                self.assertIn(first, range(5))
                self.assertIn(second, set(range(5)) - {first})
