"""All backends of a pool failing alike, over made-up times."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.health.alike import EACH, FRESH, Alike, Symptom

ILL, SILENT = Symptom.ILL, Symptom.SILENT


class AlikeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.alike = Alike()

    def see(self, names: str, now: float = 0.0, symptom: Symptom = ILL, among: str = "ab") -> None:
        for name in names:
            self.alike.failed(name, symptom, among, now)

    def test_all(self) -> None:
        """All fail alike once each has failed as often as it takes, in whatever order."""
        self.see("a" * 9 + "b" * (EACH - 1))
        self.assertIsNone(self.alike.symptom)
        self.see("b", 1.0)
        self.assertEqual((self.alike.symptom, self.alike.since), (ILL, 1.0))
        self.see("ab", 2.0)
        self.assertEqual(self.alike.since, 1.0)

    def test_one_answers(self) -> None:
        """One good answer of anyone ends it, and that one has to fail as often again."""
        self.see("ab" * EACH)
        self.alike.passed("a")
        self.assertIsNone(self.alike.holds(0.0))
        self.see("b" + "a" * (EACH - 1))
        self.assertIsNone(self.alike.symptom)
        self.see("a")
        self.assertIs(self.alike.symptom, ILL)

    def test_two_ways(self) -> None:
        """Who fails in another way does not fail alike; a run of two kinds begins anew."""
        self.see("a" * EACH)
        self.see("b" * EACH, symptom=SILENT)
        self.assertIsNone(self.alike.symptom)
        self.see("b" * (EACH - 1))
        self.assertIsNone(self.alike.symptom)
        self.see("b")
        self.assertIs(self.alike.symptom, ILL)

    def test_one_backend(self) -> None:
        """One backend shares nothing with anybody."""
        self.see("a" * 99, among="a")
        self.assertIsNone(self.alike.symptom)

    def test_one_comes(self) -> None:
        """With a backend that has not failed yet they do not all fail."""
        self.see("ab" * EACH)
        self.see("a", among="abc")
        self.assertIsNone(self.alike.symptom)

    def test_old(self) -> None:
        """What is old is no evidence: not of one backend, and not of all."""
        self.see("b" * EACH)
        self.see("a" * EACH, FRESH + 0.1)
        self.assertIsNone(self.alike.symptom)
        self.see("b" * EACH, FRESH + 0.1)
        self.assertIs(self.alike.holds(2 * FRESH), ILL)
        self.assertIsNone(self.alike.holds(2 * FRESH + 0.2))

    def test_shares(self) -> None:
        """One failure of each other one is enough not to put a backend out."""
        self.see("aaaab")
        self.assertTrue(self.alike.shares("a", "b", 1.0))
        self.assertFalse(self.alike.shares("a", "bc", 1.0))
        self.assertFalse(self.alike.shares("a", "b", FRESH + 0.1))
        self.assertTrue(self.alike.ails("b"))
        self.alike.passed("b")
        self.assertFalse(self.alike.shares("a", "b", 1.0) or self.alike.ails("b"))
