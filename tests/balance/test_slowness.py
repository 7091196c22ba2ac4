"""Who is slow, who only looks so, and how one that was slow comes back."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.slowness import (
    CLEARLY,
    DECAY,
    FLOOR,
    LIMIT,
    MOST,
    PENALTY,
    PERIOD,
    POWER,
    Slowness,
)
from tests.balance.candidates import One, many

#: What answers take, in seconds, each with much chance in it.
TIMES: tuple[Callable[[random.Random], float], ...] = (
    lambda chance: chance.expovariate(50.0),
    lambda chance: 0.01 * chance.lognormvariate(0.0, 1.0),
    lambda chance: 0.005 * chance.paretovariate(1.5),
    lambda chance: 1.0 if chance.random() < 0.05 else 0.01,
)


class SlownessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.slowness = Slowness()

    def hear(self, times: int, taken: dict[One, float], now: float, failed: bool = False) -> None:
        """So many answers of each, all at once, and what follows from them."""
        for _ in range(times):
            for candidate, seconds in taken.items():
                self.slowness.observe(candidate, seconds, failed, now)
        self.slowness.settle(now)

    def test_forget(self) -> None:
        """Of one that has left the pool nothing is kept."""
        fast, slow = many(2)
        self.hear(10, {fast: 0.01, slow: 1.0}, 0.0)
        self.assertEqual(list(self.slowness.factors), [slow])
        self.slowness.forget(slow)
        self.slowness.settle(1.0)
        self.assertEqual(self.slowness.factors, {})

    def test_alike(self) -> None:
        """Chance makes nobody slow, whatever the times, the size of the pool and its load."""
        for taken in TIMES:
            for size, rate, seed in ((2, 2.0, 0), (3, 20.0, 1), (10, 2.0, 2), (100, 2.0, 3)):
                chance, candidates = random.Random(seed), many(size)
                slowness, now, looks, slow = Slowness(), 0.0, 0, 0
                while now < 60.0:
                    now += chance.expovariate(rate * size)
                    slowness.observe(chance.choice(candidates), taken(chance), False, now)
                    if now >= slowness.due:
                        slowness.settle(now)
                        looks += size
                        slow += len(slowness.factors)
                self.assertGreater(looks, 60.0 / PERIOD)
                self.assertLess(slow / looks, 0.04, (TIMES.index(taken), size))

    def test_slow(self) -> None:
        """Each that is slow is found in some answers, by however much it is, and nobody else."""
        for seed in range(20):
            chance = random.Random(seed)
            for times in (6.0, 10.0, 50.0):
                slowness, (slow, *others) = Slowness(), many(4)
                for number in range(100):
                    now = number / 50
                    for other in others:
                        slowness.observe(other, chance.expovariate(50.0), False, now)
                    if number > 50:
                        slowness.observe(slow, times * chance.expovariate(50.0), False, now)
                    if now >= slowness.due:
                        slowness.settle(now)
                self.assertEqual(list(slowness.factors), [slow], (seed, times))

    def test_factor(self) -> None:
        """It begins at 1 and grows with what is beyond being clearly slow, to a limit."""
        slow, fast = many(2)
        found = []
        for times in (1.0, 1.9, 3.0, 10.0, 1000.0):
            self.slowness = Slowness()
            self.hear(100, {slow: 0.01 * times, fast: 0.01}, 0.0)
            found.append(self.slowness.factors.get(slow, 1.0))
        self.assertEqual((found[:2], found[-1]), ([1.0, 1.0], LIMIT))
        self.assertTrue(1.0 < found[2] < CLEARLY**POWER < 50.0 < found[3] <= LIMIT, found)

    def test_all_slow(self) -> None:
        """Where all are slow nobody is, and so it is again if they become it together."""
        taken = dict.fromkeys(many(3), 0.01)
        self.hear(100, taken, 0.0)
        self.hear(100, dict.fromkeys(taken, 1.0), 1.0)
        self.assertEqual(self.slowness.factors, {})

    def test_few(self) -> None:
        """One answer that takes three times as long says nothing yet; ten do."""
        slow, fast = many(2)
        self.hear(100, {fast: 0.01}, 0.0)
        self.hear(1, {slow: 0.03}, 0.0)
        self.assertEqual(self.slowness.factors, {})
        self.hear(9, {slow: 0.03}, 0.0)
        self.assertIn(slow, self.slowness.factors)

    def test_at_once(self) -> None:
        """What is learned holds without waiting for `settle`: both ways."""
        slow, fast = many(2)
        self.hear(100, {slow: 0.01, fast: 0.01}, 0.0)
        heard = 0
        while slow not in self.slowness.factors:
            self.slowness.observe(slow, 0.2, False, 0.1)
            heard += 1
        self.assertLess(heard, MOST)
        while slow in self.slowness.factors:
            self.slowness.observe(slow, 0.01, False, 0.2)
            heard += 1
        self.assertLess(heard, 2 * MOST)

    def test_tried_again(self) -> None:
        """One not heard of is as usual again in some time; one slow answer then puts it back."""
        slow, fast = many(2)
        self.hear(100, {slow: 0.2, fast: 0.01}, 0.0)
        for now in count(1):
            self.hear(10, {fast: 0.01}, float(now))
            if slow not in self.slowness.factors:
                break
        self.assertTrue(DECAY < now < 6 * DECAY, now)
        self.hear(1, {slow: 0.2}, float(now))
        self.assertIn(slow, self.slowness.factors)
        self.hear(10, {fast: 0.01}, now + 0.5 * DECAY)
        self.assertIn(slow, self.slowness.factors)

    def test_failure(self) -> None:
        """What fails at once is slow; what fails now and then is not."""
        ill, well = many(2)
        self.hear(100, {well: 0.01}, 0.0)
        self.hear(10, {ill: 0.001}, 0.0, failed=True)
        self.assertIn(ill, self.slowness.factors)
        self.slowness = Slowness()
        for number in range(1000):
            now = number / 100
            self.slowness.observe(well, 0.01, False, now)
            self.slowness.observe(ill, 0.01, number % 10 == 0, now)
            if now >= self.slowness.due:
                self.slowness.settle(now)
            self.assertEqual(self.slowness.factors, {})

    def test_all_fail(self) -> None:
        """However long all fail, they are no slower for that, and the usual is as it was."""
        a, b = candidates = many(2)
        self.hear(100, {a: 0.01, b: 0.01}, 0.0)
        for now in range(1000):
            self.hear(1, dict.fromkeys(candidates, 0.0), float(now), failed=True)
        self.assertEqual(self.slowness.factors[a], self.slowness.factors[b])
        self.assertLess(self.slowness.factors[a], (PENALTY / CLEARLY) ** POWER)
        self.hear(100, {a: 0.01, b: 0.01}, 1000.0)
        self.assertEqual(self.slowness.factors, {})

    def test_floor(self) -> None:
        """Between answers of less than some milliseconds there are no differences."""
        slow, fast = many(2)
        self.hear(100, {slow: CLEARLY * FLOOR * 0.9, fast: 0.00001}, 0.0)
        self.assertEqual(self.slowness.factors, {})

    def test_clock_set_back(self) -> None:
        """A clock that is set back by a year breaks nothing."""
        slow, fast = many(2)
        self.hear(100, {slow: 0.2, fast: 0.01}, 4e7)
        self.hear(100, {slow: 0.2, fast: 0.01}, 0.0)
        self.assertIn(slow, self.slowness.factors)
