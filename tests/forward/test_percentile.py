"""A percentile of what was measured last."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.forward.percentile import BETWEEN, KEPT, Percentile


class PercentileTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """Before there is enough to tell there is none."""
        p95 = Percentile(95)
        for number in range(BETWEEN - 1):
            p95.measure(float(number))
        self.assertIsNone(p95.value)
        p95.measure(0.0)
        self.assertIsNotNone(p95.value)

    def test_exact(self) -> None:
        """It is that of the measurements that are kept."""
        chance = random.Random(1)
        numbers = [chance.expovariate(10.0) for _ in range(KEPT)]
        for percent in (50, 95, 99):
            kept = Percentile(percent)
            for number in numbers:
                kept.measure(number)
            assert kept.value is not None
            below = sum(number < kept.value for number in numbers)
            self.assertLessEqual(abs(below / KEPT - percent / 100), 1 / KEPT)

    def test_forgets(self) -> None:
        """What was long ago counts no more, and no more than that is kept."""
        p95 = Percentile(95)
        for number in [9.0] * KEPT + [1.0] * KEPT:
            p95.measure(number)
        self.assertEqual((p95.value, len(p95._ring)), (1.0, KEPT))
