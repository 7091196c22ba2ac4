"""How many retries a pool may make."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.forward.budget import FLOOR, RetryBudget
from lbproxy.health.window import WINDOW


def spent(budget: RetryBudget, now: float) -> int:
    """How many retries the budget gives in a row."""
    count = 0
    while budget.spend(now):
        count += 1
    return count


class RetryBudgetTests(SynchronousTestCase):
    def test_floor(self) -> None:
        """With little traffic there are still some."""
        self.assertEqual(spent(RetryBudget(0.0), 5.0), FLOOR)

    def test_divided(self) -> None:
        """Of what little traffic may retry each of several processes has its part."""
        self.assertEqual(spent(RetryBudget(0.0, 4), 5.0), -(-FLOOR // 4))

    def test_share(self) -> None:
        """With more, there is a share of the requests."""
        budget = RetryBudget(0.2)
        for number in range(1000):
            budget.request(100.0 + number // 200)
        self.assertEqual(spent(budget, 104.5), FLOOR + 200)

    def test_window(self) -> None:
        """Requests count for ten seconds, and so do retries."""
        budget = RetryBudget(0.5)
        for _ in range(100):
            budget.request(1000.0)
        self.assertEqual(spent(budget, 1000.0 + WINDOW - 1), FLOOR + 50)
        self.assertEqual(spent(budget, 1000.0 + WINDOW), 0)
        self.assertEqual(spent(budget, 1000.0 + 2 * WINDOW - 1), FLOOR)

    def test_long_silence(self) -> None:
        """After a silence of any length nothing of before counts."""
        budget = RetryBudget(1.0)
        for _ in range(100):
            budget.request(3.0)
        self.assertEqual(spent(budget, 1_700_000_000.5), FLOOR)
