"""Verdict, ejection and slow start, over made-up times."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.health.ejection import FIRST, IN_ROW, MOST, REMEMBERED, Ejection
from lbproxy.health.slow_start import share
from lbproxy.health.verdict import Verdict


class VerdictTests(SynchronousTestCase):
    def test_first_outcome_counts(self) -> None:
        """Before the first outcome nothing was known, so it decides alone."""
        self.assertTrue(Verdict(2, 3).observe(False))
        verdict = Verdict(2, 3)
        self.assertFalse(verdict.observe(True))
        self.assertTrue(verdict.up and verdict.known)

    def test_fall_and_rise(self) -> None:
        """It takes three failures in a row to go down, and two passes to come up."""
        verdict = Verdict(rise=2, fall=3)
        outcomes = [True, False, False, True, False, False, False, True, False, True, True]
        turned = [verdict.observe(outcome) for outcome in outcomes]
        self.assertEqual([place for place, turn in enumerate(turned) if turn], [6, 10])
        self.assertTrue(verdict.up)

    def test_changing(self) -> None:
        """It is changing while outcomes speak against it and have not turned it."""
        verdict = Verdict(rise=2, fall=2)
        seen = []
        for outcome in (True, False, False, True, True):
            verdict.observe(outcome)
            seen.append(verdict.changing)
        self.assertEqual(seen, [False, True, False, True, False])


class EjectionTests(SynchronousTestCase):
    def test_in_a_row(self) -> None:
        """Five failures in a row eject; a pass between them starts the count anew."""
        ejection = Ejection()
        for _ in range(IN_ROW - 1):
            self.assertFalse(ejection.observe(False, 0.0))
        self.assertFalse(ejection.observe(True, 0.0))
        outcomes = [ejection.observe(False, 20.0) for _ in range(IN_ROW)]
        self.assertEqual(outcomes, [False, False, False, False, True])

    def test_share(self) -> None:
        """Half of ten outcomes within ten seconds eject."""
        ejection = Ejection()
        outcomes = [ejection.observe(passed, 1.0) for passed in (False, True) * 5]
        self.assertNotIn(True, outcomes)
        self.assertTrue(ejection.observe(False, 2.0))

    def test_window(self) -> None:
        """Failures of more than ten seconds ago count no more."""
        ejection = Ejection()
        for passed in (False, True) * 4:
            ejection.observe(passed, 0.0)
        self.assertFalse(any(ejection.observe(passed, 11.0) for passed in (False, True, False)))

    def test_busy(self) -> None:
        """Rare failures of a busy backend eject never, and what is remembered is bounded."""
        ejection = Ejection()
        for count in range(5 * REMEMBERED):
            self.assertFalse(ejection.observe(count % 50 != 0, count / 1000.0), count)

    def test_longer_each_time(self) -> None:
        """Each ejection is longer than the one before, up to a limit; health makes it forget."""
        ejection = Ejection()
        seconds = [ejection.eject(0.0) for _ in range(40)]
        self.assertEqual(seconds[:3], [FIRST, 2 * FIRST, 3 * FIRST])
        self.assertEqual(seconds[-1], MOST)
        self.assertEqual(ejection.eject(ejection.until + MOST + 1.0), FIRST)


class SlowStartTests(SynchronousTestCase):
    def test_share(self) -> None:
        """From a tenth to the whole in a straight line; 0 turns it off."""
        shares = [share(100.0, 100.0 + seconds, 10.0) for seconds in (0.0, 5.0, 10.0, 99.0)]
        self.assertEqual(shares, [0.1, 0.55, 1.0, 1.0])
        self.assertEqual(share(100.0, 100.0, 0.0), 1.0)
