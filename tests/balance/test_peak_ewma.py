"""Latencies that are learned, forgotten, and guessed."""

from __future__ import annotations

import random
from math import exp

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.peak_ewma import FLOOR, PENALTY, PeakEwma
from tests.balance.candidates import One, chosen, filled, some

DECAY = 10.0


class PeakEwmaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = PeakEwma(DECAY, random.Random(4))

    def know(self, *latencies: float) -> list[One]:
        """Candidates whose answers took so long at 0.0."""
        candidates = some(*[1] * len(latencies))
        for candidate, latency in zip(candidates, latencies, strict=True):
            self.policy.observe(candidate, latency, False, 0.0)
        self.policy.choose([*candidates, *some(1)], 0.0, None)  # Which finds the median.
        return candidates

    def test_peak(self) -> None:
        """A slower answer counts at once, a faster one by the time that has passed."""
        a, *_ = self.know(0.1, 0.1, 0.1)
        self.policy.observe(a, 0.5, False, 1.0)
        self.assertAlmostEqual(self.policy.latency(a, 1.0), 0.5)
        self.policy.observe(a, 0.1, False, 1.0)
        self.assertAlmostEqual(self.policy.latency(a, 1.0), 0.5)
        self.policy.observe(a, 0.1, False, 1.0 + DECAY)
        self.assertAlmostEqual(self.policy.latency(a, 1.0 + DECAY), 0.1 + 0.4 * exp(-1))

    def test_forgotten(self) -> None:
        """What no answer confirms tends to the median, from both sides."""
        slow, _, fast = self.know(0.9, 0.1, 0.01)
        for candidate, excess in ((slow, 0.8), (fast, -0.09)):
            for elapsed in (0.0, 1.0, DECAY, 10 * DECAY):
                expected = 0.1 + excess * exp(-elapsed / DECAY)
                self.assertAlmostEqual(self.policy.latency(candidate, elapsed), expected)

    def test_cold(self) -> None:
        """One that is not known starts at the median; if nobody is, at the least."""
        cold = One("cold")
        self.assertEqual(self.policy.latency(cold, 0.0), FLOOR)
        self.know(0.01, 0.1, 0.9)
        self.assertEqual(self.policy.latency(cold, 0.0), 0.1)

    def test_failure(self) -> None:
        """A failure is slow, the faster it was the more so; a slow one is as slow as it was."""
        a, b, c = self.know(0.1, 0.1, 0.1)
        self.policy.observe(a, 0.0, True, 0.0)
        self.policy.observe(b, 30.0, True, 0.0)
        self.assertAlmostEqual(self.policy.latency(a, 0.0), PENALTY * 0.1)
        self.assertAlmostEqual(self.policy.latency(b, 0.0), 30.0)
        self.assertEqual(chosen(self.policy, [a, c], 100), {"c": 100})

    def test_fails_from_the_start(self) -> None:
        """One that has only ever failed is avoided as well."""
        a, b = some(1, 1)
        self.policy.observe(a, 0.0, True, 0.0)
        self.policy.observe(b, 0.001, False, 0.0)
        self.policy.observe(a, 0.0, True, 0.1)
        candidates = [a, b]
        self.policy.choose(candidates, 0.1, None)
        self.policy.observe(a, 0.0, True, 0.2)
        self.assertEqual(self.policy.choose(candidates, 0.2, None), b)

    def test_two(self) -> None:
        """Of two a slow one tends to the fast one, and so is tried again in an idle pool."""
        slow, fast = candidates = self.know(0.2, 0.01)
        self.assertEqual(chosen(self.policy, candidates, 100), {"b": 100})
        self.assertAlmostEqual(self.policy.latency(slow, DECAY), 0.01 + 0.19 * exp(-1))
        later = 10 * DECAY
        self.policy.observe(fast, 0.01, False, later)
        fast.in_flight = 1
        self.assertIs(self.policy.choose(candidates, later, None), slow)

    def test_all_fail(self) -> None:
        """However long all fail, the next failure is no slower than the last."""
        candidates = self.know(0.1, 0.1)
        for now in range(1000):
            for candidate in candidates:
                self.policy.observe(candidate, 0.0, True, float(now))
            self.policy.choose(candidates, float(now), None)
        for candidate in candidates:
            self.assertAlmostEqual(self.policy.latency(candidate, 999.0), PENALTY * 0.1)

    def test_fast_first(self) -> None:
        """In an idle pool of two the faster one is chosen; under load by what is to be waited."""
        a, b = self.know(0.01, 0.04)
        self.assertEqual(chosen(self.policy, [a, b], 100), {"a": 100})
        loads = filled(self.policy, [a, b], [None] * 100)
        # The costs are level when 0.01**2 * (1 + a) = 0.04**2 * (1 + b).
        self.assertApproximates(loads[0], 95, 1)

    def test_tried_again(self) -> None:
        """One that was slow gets a request again when it is forgotten, and one is enough."""
        slow, *fast = self.know(0.2, 0.01, 0.01)
        candidates = [slow, *fast]
        self.assertNotIn("a", chosen(self.policy, candidates, 100))
        later = 60 * DECAY
        self.policy.observe(fast[0], 0.01, False, later)
        for _ in range(100):
            if self.policy.choose(candidates, later, None) is slow:
                break
        self.policy.observe(slow, 0.2, False, later)
        self.assertFalse(
            any(self.policy.choose(candidates, later, None) is slow for _ in range(100))
        )

    def test_weights(self) -> None:
        """Of those that are equally fast the weights are kept, idle and under load."""
        candidates = some(1, 3)
        for candidate in candidates:
            self.policy.observe(candidate, 0.01, False, 0.0)
        found = chosen(self.policy, candidates, 20000)
        self.assertApproximates(found["a"] / 20000, 0.25, 0.015)
        loads = filled(self.policy, candidates, [None] * 100)
        self.assertApproximates(loads[0], 25, 2)

    def test_scale(self) -> None:
        """Only the proportion of weights counts, not how large they are."""
        for scale in (1, 100):
            candidates = some(scale, scale)
            for candidate, latency in zip(candidates, (0.01, 0.04), strict=True):
                self.policy.observe(candidate, latency, False, 0.0)
            loads = filled(self.policy, candidates, [None] * 100)
            self.assertApproximates(loads[0], 95, 1)

    def test_starting(self) -> None:
        """One that starts slowly gets its part."""
        candidates = self.know(0.01, 0.01)
        candidates[1].share = 0.1
        loads = filled(self.policy, candidates, [None] * 110)
        self.assertApproximates(loads[1], 10, 2)

    def test_alone(self) -> None:
        """One alone is chosen, whatever it takes."""
        (only,) = self.know(9.0)
        self.assertEqual(chosen(self.policy, [only], 3), {"a": 3})
