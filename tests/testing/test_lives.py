"""Lives of the balancer among failures, and the mistakes that they find."""

from __future__ import annotations

import os
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing import batch
from lbproxy.testing.draw import plan_of
from lbproxy.testing.mutations import MUTATIONS, mutated
from lbproxy.testing.shrink import kind_of, shrink
from lbproxy.testing.simulate import run
from tests.testing.found import FOUND

#: Those of every run of the tests; `make simulate` takes any number.
SEEDS = range(1, 201)

#: Lives that have shown a mistake, which none of the others did.
KEPT = (17211, 1232, 50442)

#: Seeds that are tried for each mistake that the one in `FOUND` does not find.
MOST = 300


class LivesTests(SynchronousTestCase):
    def test_seeds(self) -> None:
        """Whatever befalls it, the balancer keeps its promises; a life can be repeated exactly."""
        counts: Counter[str] = Counter()
        for verdict in batch.judge_all(SEEDS, os.cpu_count() or 1, batch.judge_twice):
            said = f"make simulate SEED={verdict.seed}"
            self.assertEqual(verdict.violations, (), said)
            counts += verdict.counts
        self.assertEqual(batch.missing(counts), [])

    def test_kept(self) -> None:
        """What was mended once stays so."""
        for seed in KEPT:
            self.assertEqual(run(seed).violations, (), f"make simulate SEED={seed}")

    def test_plans_are_drawn_alike(self) -> None:
        """A seed stands for one plan."""
        self.assertEqual(plan_of(7), plan_of(7))
        self.assertNotEqual(plan_of(7).visits, plan_of(8).visits)


class MutationTests(SynchronousTestCase):
    def test_found(self) -> None:
        """Each mistake breaks a life, and is undone afterwards."""
        for mutation, verdict in batch.find_all(MOST, os.cpu_count() or 1, FOUND):
            self.assertIsNotNone(verdict, f"{mutation} was not found by {MOST} seeds")

    def test_known(self) -> None:
        """A seed is noted for nothing that is no mistake any more."""
        self.assertEqual(FOUND.keys() - MUTATIONS.keys(), set())

    def test_undone(self) -> None:
        """A mistake lasts as long as it is asked for."""
        for mutation in MUTATIONS:
            with mutated(mutation):
                pass
        self.assertEqual(run(3).violations, ())

    def test_shrinks(self) -> None:
        """A life that fails is made smaller, and fails in the same way."""
        with mutated("requests_are_crossed"):
            outcome = run(2)
            smaller = shrink(outcome)
        self.assertIn(
            kind_of(outcome.violations[0]), [kind_of(each) for each in smaller.violations]
        )
        self.assertLess(smaller.plan.asks, outcome.plan.asks)
        self.flushLoggedErrors()
