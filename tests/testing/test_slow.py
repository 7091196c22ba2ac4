"""One who reads slowly."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.clients import SLOW_FOR
from lbproxy.testing.draw import plan_of
from lbproxy.testing.flow import Shape
from lbproxy.testing.plan import Ask, Visit
from lbproxy.testing.simulate import live


class SlowTests(SynchronousTestCase):
    def test_not_for_ever(self) -> None:
        """Who would read one answer for minutes reads on as others do when enough was seen."""
        ask = Ask(1, size=500_000)
        visit = Visit(1, 2.0, "slow", (ask,), Shape(capacity=4000), patience=1.5)
        plan = attrs.evolve(plan_of(1), visits=(visit,), faults=(), changes=(), reloads=())
        outcome = live(plan)
        self.assertEqual(outcome.violations, ())
        (answered,) = (at for at, _, *what in outcome.trace if what[:2] == ["answered", 1])
        self.assertTrue(SLOW_FOR < answered - visit.start < SLOW_FOR + 2.0, answered)
