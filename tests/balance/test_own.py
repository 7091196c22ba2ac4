"""A user's own policy that does what it should not: somebody is chosen, and somebody is told."""

from __future__ import annotations

import random
from typing import Any
from unittest.mock import ANY

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.own import QUIET, OwnBalancer
from lbproxy.balance.registry import balancer_for
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import model
from lbproxy.plugins import BalancerMaker
from tests.balance.candidates import chosen, some


class Own:
    """Does as the test says."""

    def __init__(self, does: Any) -> None:
        self.choose = does


def fails(*_: object) -> Any:
    """Raise what has two lines."""
    raise RuntimeError("oops\nand so on")


class OwnBalancerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.candidates = some(1, 1, 1)

    def own(self, policy: Any) -> OwnBalancer:
        """A user's policy, as the config names it."""
        return OwnBalancer("pools.api.balancer mine", policy, random.Random(1), self.said.append)

    def assert_chooses(self, does: Any, *said: str) -> None:
        """All get something although the policy does this, which is told once."""
        self.assertEqual(set(chosen(self.own(Own(does)), self.candidates, 100)), {*"abc"})
        self.assertEqual(len(self.said), 1)
        (told,) = self.said
        for each in ("pools.api.balancer mine: choose ", *said):
            self.assertIn(each, told)
        self.assertNotIn("\n", told)
        self.said.clear()

    def test_good(self) -> None:
        """What it chooses is chosen, and nothing is said."""
        policy = self.own(RoundRobin())
        self.assertEqual(chosen(policy, self.candidates, 30), dict.fromkeys("abc", 10))
        self.assertEqual(self.said, [])

    def test_raises(self) -> None:
        """What it raises is told in one line, with the place."""
        self.assert_chooses(fails, "raised RuntimeError: oops and so on (", "test_own.py, line ")

    def test_not_called(self) -> None:
        """It may take other arguments, or have no such method."""
        self.assert_chooses(lambda candidates: candidates[0], "raised TypeError: ")
        policy = self.own(object())
        self.assertIn(policy.choose(self.candidates, 0.0, None), self.candidates)
        self.assertIn("raised AttributeError: 'object' object has no attribute", self.said[0])

    def test_stranger(self) -> None:
        """What it returns may be anything, also what is equal to all or was never one of them."""
        self.assert_chooses(lambda *_: None, "returned None, which is none of its candidates")
        self.assert_chooses(lambda *_: "klein", "returned 'klein', which is none of its candidates")
        self.assert_chooses(lambda candidates, *_: candidates, "returned (")
        self.assert_chooses(lambda *_: ANY, "returned <ANY>")
        (other,) = some(1)
        self.assert_chooses(lambda *_: other, "returned One(")

    def test_who_has_left(self) -> None:
        """One that was a candidate a moment ago is none."""
        a, b, _ = self.candidates
        policy = self.own(Own(lambda *_: a))
        self.assertIs(policy.choose([a, b], 0.0, None), a)
        self.assertIs(policy.choose([b], 0.0, None), b)
        self.assertEqual(len(self.said), 1)

    def test_changes_candidates(self) -> None:
        """The pool's list is not theirs to change."""
        self.assert_chooses(lambda candidates, *_: candidates.pop(), "raised AttributeError")
        self.assertEqual(len(self.candidates), 3)

    def test_same_candidates(self) -> None:
        """What it has worked out for them holds while they are the same."""
        seen: list[Any] = []

        def choose(candidates: Any, now: float, key: bytes | None) -> Any:
            seen.append(candidates)
            return candidates[0]

        policy = self.own(Own(choose))
        for candidates in (self.candidates, self.candidates, [*self.candidates]):
            policy.choose(candidates, 0.0, None)
        self.assertIs(seen[0], seen[1])
        self.assertIsNot(seen[1], seen[2])

    def test_told_again(self) -> None:
        """After a while it is told again, with how often it was."""
        policy = self.own(Own(fails))
        for now in (0.0, 1.0, QUIET - 1.0, QUIET, QUIET + 1.0):
            policy.choose(self.candidates, now, None)
        self.assertEqual(len(self.said), 2)
        self.assertTrue(self.said[1].endswith("; 3 times since that was last said"), self.said)

    def test_observer(self) -> None:
        """It is told how attempts end, and who has left, only if it wants to; that may fail too."""
        plain: Any = self.own(Own(fails))
        self.assertFalse(hasattr(plain, "observe") or hasattr(plain, "forget"))
        told: list[Any] = []
        own: Any = Own(fails)
        own.observe = own.forget = lambda *heard: told.append(heard)
        policy: Any = self.own(own)
        policy.observe(self.candidates[0], 0.1, False, 1.0)
        policy.forget(self.candidates[0])
        self.assertEqual([len(heard) for heard in told], [4, 1])
        self.assertEqual(self.said, [])
        own.observe = own.forget = fails
        for _ in range(2):
            policy.observe(self.candidates[0], 0.1, False, 1.0)
        policy.forget(self.candidates[0])
        self.assertEqual(
            [said.partition("mine: ")[2].partition(" (")[0] for said in self.said],
            [f"{method} raised RuntimeError: oops and so on" for method in ("observe", "forget")],
        )

    def test_registry(self) -> None:
        """Complaints begin with the key in the config."""
        config = model.Pool("api", (model.Backend("a", "h:1"),), balancer="mine")
        maker = BalancerMaker("mine", lambda config, chance: Own(fails))
        policy = balancer_for(config, random.Random(1), {"mine": maker}.get, self.said.append)
        chosen(policy, self.candidates, 1)
        self.assertIn("pools.api.balancer mine: choose raised RuntimeError", self.said[0])
