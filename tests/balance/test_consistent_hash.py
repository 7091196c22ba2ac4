"""Keys stay where they are, weights are kept, and nobody has too much."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product
from math import ceil

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.consistent_hash import EXACT, REMEMBERED, SLOTS, ConsistentHash
from lbproxy.balance.hashing import hash64, mix64
from tests.balance.candidates import One, filled, many, some

KEYS = [b"key-%d" % number for number in range(4000)]


def policy(load_factor: float = 1.25) -> ConsistentHash:
    """A policy that has seen nobody."""
    return ConsistentHash(load_factor, random.Random(5))


def homes(made: ConsistentHash, candidates: list[One]) -> dict[bytes, str]:
    """Where each key goes while nothing is in flight."""
    return {key: made.choose(candidates, 0.0, key).name for key in KEYS}


class AgreementTests(SynchronousTestCase):
    def test_replicas(self) -> None:
        """Two balancers agree, in whatever order they know the backends, and whoever was there."""
        candidates = many(20)
        here = homes(policy(), candidates)
        self.assertEqual(homes(policy(), candidates[::-1]), here)
        late = policy()
        for count in (3, 7, 19, 20):
            found = homes(late, candidates[:count])
        self.assertEqual(found, here)

    def test_known(self) -> None:
        """The hashes are the same in each version, so that an update moves no key."""
        self.assertEqual(hash64(b"shop"), 0x542C46701C3C3706)
        self.assertEqual(mix64(1), 0x5692161D100B05E5)
        found = Counter(homes(policy(), some(1, 1, 1)).values())
        self.assertEqual(found, {"a": 1321, "b": 1373, "c": 1306})

    def test_few(self) -> None:
        """Pools of one, two and three: each subset sends a key to its first in the order."""
        made, candidates = policy(), some(1, 2, 1)
        whole = homes(made, candidates)
        for there in product((False, True), repeat=3):
            left = [one for one, is_there in zip(candidates, there, strict=True) if is_there]
            if left:
                found = homes(made, left)
                names = {one.name for one in left}
                for key in KEYS:
                    self.assertIn(found[key], names)
                    if whole[key] in names:
                        self.assertEqual(found[key], whole[key])


class MovementTests(SynchronousTestCase):
    def test_leaves(self) -> None:
        """When a backend leaves, its own keys move and no others; they come back with it."""
        for count in (2, 3, 10, 30):
            made, candidates = policy(), many(count)
            before = homes(made, candidates)
            after = homes(made, candidates[1:])
            moved = {key for key in KEYS if before[key] != after[key]}
            self.assertEqual(moved, {key for key in KEYS if before[key] == "backend-0"})
            self.assertEqual(homes(made, list(candidates)), before)

    def test_spread(self) -> None:
        """The keys of one that has left are spread over all others."""
        made, candidates = policy(), many(5)
        before, after = homes(made, candidates), homes(made, candidates[1:])
        moved = Counter(after[key] for key in KEYS if before[key] == "backend-0")
        self.assertEqual(len(moved), 4)
        for count in moved.values():
            self.assertApproximates(count / sum(moved.values()), 0.25, 0.06)

    def test_joins(self) -> None:
        """Keys move to one that joins, and between no others."""
        made, candidates = policy(), many(10)
        before = homes(made, candidates[:9])
        after = homes(made, candidates)
        moved = {after[key] for key in KEYS if before[key] != after[key]}
        self.assertEqual(moved, {"backend-9"})

    def test_weight(self) -> None:
        """Keys move only to one that gets a greater weight."""
        made, candidates = policy(), many(5, weight=2)
        before = homes(made, candidates)
        candidates[3].weight, candidates[3].share = 4, 4.0
        after = homes(made, list(candidates))
        self.assertEqual({after[key] for key in KEYS if before[key] != after[key]}, {"backend-3"})

    def test_most_gone(self) -> None:
        """A key whose remembered backends are all gone goes to the next of the whole order."""
        made, candidates = policy(), many(4 * REMEMBERED)
        homes(made, candidates)
        left = candidates[:: 2 * REMEMBERED]
        self.assertEqual(homes(made, left), homes(policy(), left))


class ShareTests(SynchronousTestCase):
    def test_weights(self) -> None:
        """Keys go by weight."""
        for weights in ((1,), (1, 1), (1, 3), (1, 2, 3), (1, 1000), (0, 1)[1:]):
            found = Counter(homes(policy(), some(*weights)).values())
            for place, weight in enumerate(weights):
                part = found[chr(ord("a") + place)] / len(KEYS)
                self.assertApproximates(part, weight / sum(weights), 0.025)

    def test_starting(self) -> None:
        """One that starts slowly has its part of the keys, and all of them are its own."""
        made, candidates = policy(), many(10)
        whole = homes(made, candidates)
        part = 0
        for share in (0.1, 0.5, 0.9):
            candidates[2].share = share
            found = homes(made, list(candidates))
            its = {key for key in KEYS if found[key] == "backend-2"}
            self.assertTrue(its <= {key for key in KEYS if whole[key] == "backend-2"})
            others = {key for key in KEYS if found[key] != whole[key]}
            self.assertEqual({whole[key] for key in others}, {"backend-2"})
            self.assertApproximates(len(its) / len(KEYS), share / (9 + share), 0.02)
            self.assertGreater(len(its), part)
            part = len(its)

    def test_slots(self) -> None:
        """With many backends each has about its part of the slots."""
        made, candidates = policy(), many(50)
        found = Counter(
            made.choose(candidates, 0.0, b"%d" % number).name for number in range(20000)
        )
        self.assertLess(max(found.values()), 1.3 * 20000 / 50)
        self.assertGreater(SLOTS, 50 * 1000)


class BoundTests(SynchronousTestCase):
    def test_bound(self) -> None:
        """Even if there is but one key nobody has more than its bound, at any time."""
        for factor, weights in product((1.05, 1.25, 2.0), ((1, 1), (1, 1, 1), (1, 2, 5), (1,) * 9)):
            made, candidates = policy(factor), some(*weights)
            for total in range(1, 200):
                filled(made, candidates, [b"celebrity"])
                for one in candidates:
                    bound = ceil(factor * total * one.share / sum(weights))
                    self.assertLessEqual(one.in_flight, bound, (factor, weights, total))

    def test_many(self) -> None:
        """With many backends the bound holds too, though the sum is not found for each choice."""
        count = 10 * EXACT
        made, candidates = policy(), many(count)
        filled(made, candidates, [b"celebrity"] * (20 * count))
        self.assertLessEqual(max(one.in_flight for one in candidates), ceil(1.25 * 20) + 1)
        for one in candidates:
            one.in_flight = 0
        filled(made, candidates, [b"%d" % number for number in range(20 * count)])
        self.assertLessEqual(max(one.in_flight for one in candidates), ceil(1.25 * 20) + 1)

    def test_home_again(self) -> None:
        """A key is back at its first backend when that has room."""
        made, candidates = policy(), some(1, 1, 1)
        home = made.choose(candidates, 0.0, b"key")
        home.in_flight = 10
        self.assertIsNot(made.choose(candidates, 0.0, b"key"), home)
        home.in_flight = 0
        self.assertIs(made.choose(candidates, 0.0, b"key"), home)

    def test_behind(self) -> None:
        """If more is in flight than was counted, somebody is chosen all the same."""
        made, candidates = policy(), many(2 * EXACT)
        made.choose(candidates, 0.0, b"key")
        for one in candidates:
            one.in_flight = 100
        self.assertIn(made.choose(candidates, 0.0, b"key"), candidates)


class KeylessTests(SynchronousTestCase):
    def test_keyless(self) -> None:
        """Requests without a key are not heaped on one backend."""
        for nothing in (None, b""):
            loads = filled(policy(), some(1, 1, 1), [nothing] * 300)
            self.assertTrue(all(abs(load - 100) < 5 for load in loads), loads)
