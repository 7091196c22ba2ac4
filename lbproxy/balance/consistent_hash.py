"""Consistent hash: a key goes to the same backend, at every balancer, as long as that can be."""

from __future__ import annotations

import random
from collections.abc import Sequence
from heapq import nsmallest
from math import log
from typing import TYPE_CHECKING, Any

from lbproxy.balance.hashing import hash64, mix64
from lbproxy.balance.two_choices import TwoChoices

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C, Candidate

#: Keys are sorted into so many slots, and each slot has its order of backends. With n backends of
#: one weight, the part of the slots that one gets differs from 1/n by sqrt(n / SLOTS) of itself:
#: 4 % with 100 backends, 12 % with 1,000, which the bound on the load evens out.
SLOTS = 65536

#: How many backends of a slot's order are remembered, the first ones: that all of them are down
#: or at their bound is rare, and then the whole order is worked out again.
REMEMBERED = 8

#: The sum of all that is in flight is found anew with each choice for up to so many candidates;
#: with n of them, with each (n / EXACT)-th one. In between our own choices are added.
EXACT = 16


def score(slot: int, seed: int, share: float) -> float:
    """Where a backend stands in a slot's order; the lowest is first.

    The scores are a race of exponential clocks, so that each is first in proportion to its share.

    Args:
        slot: A mixed number of the slot.
        seed: The hash of the backend's name.
        share: Above 0.0.
    """
    return -log(((mix64(slot ^ seed) >> 11) + 0.5) * 2.0**-53) / share


class ConsistentHash:
    """Weighted rendezvous hashing with bounded loads.

    A key's backend is the first in an order that hangs on the key, the backends' names and their
    weights alone: so balancers that never talk agree on it, and when a backend leaves only its own
    keys move, each to the next in its order, and back again (Thaler and Ravishankar, "Using
    name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1), 1998; the
    weights by Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005).

    A backend takes no key while it has more in flight than `load_factor` times its part of all
    that is in flight (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads",
    SODA 2018); the key goes to the next in its order for that time.

    Orders are made for slots of keys when one is first asked for, which takes the longer the more
    backends there are, and kept until a name or a weight changes: from then on a choice is a digest
    of the key and a look-up. A request without the key goes by two choices.
    """

    def __init__(self, load_factor: float, chance: random.Random) -> None:
        """Build.

        Args:
            load_factor: Above 1.0; the nearer to it, the more even the load, and the more keys are
                away from their first backend.
            chance: Requests without a key are distributed by it.
        """
        self._factor = load_factor
        self._keyless = TwoChoices(chance)
        self._seeds: dict[str, int] = {}
        self._weights: dict[str, float] = {}
        self._orders: dict[int, tuple[str, ...]] = {}
        self._seen: Sequence[Candidate] = ()
        self._here: dict[str, Any] = {}
        self._shares = 1.0
        self._total = 0
        self._counted = 0

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        if not key:
            return self._keyless.choose(candidates, now, key)
        if candidates is not self._seen:
            self._see(candidates)
        slot = hash64(key) % SLOTS
        order = self._orders.get(slot)
        if order is None:
            order = self._orders[slot] = self._first(slot)
        per_share = self._allowance()
        self._total += 1
        for name in order:
            candidate: C | None = self._here.get(name)
            if candidate is None:
                continue
            if candidate.share != candidate.weight:
                break  # It starts slowly, so its place is further behind.
            if candidate.in_flight < per_share * candidate.share:
                return candidate
        whole = self._order(slot, candidates)
        for candidate in whole:
            if candidate.in_flight < per_share * candidate.share:
                return candidate
        return whole[0]  # The sum is behind: by its rule there is always one with room.

    def forget(self, candidate: Candidate) -> None:
        """A candidate has left the pool: its name is in no order any more."""
        self._weights.pop(candidate.name, None)
        self._seeds.pop(candidate.name, None)
        self._orders.clear()

    def _see(self, candidates: Sequence[Candidate]) -> None:
        """Take note of who is there, and forget all orders if a name or a weight is new."""
        self._seen = candidates
        self._here = {candidate.name: candidate for candidate in candidates}
        self._shares = sum(candidate.share for candidate in candidates)
        self._counted = 0
        weights = {name: candidate.weight for name, candidate in self._here.items()}
        if not weights.items() <= self._weights.items():
            self._weights |= weights
            self._seeds |= {name: hash64(name.encode()) for name in weights}
            self._orders.clear()

    def _first(self, slot: int) -> tuple[str, ...]:
        """The first few of a slot's order, of all backends that ever were there."""
        mixed, weights = mix64(slot + 1), self._weights
        scores = [(score(mixed, seed, weights[name]), name) for name, seed in self._seeds.items()]
        return tuple(name for _, name in nsmallest(REMEMBERED, scores))

    def _order(self, slot: int, candidates: Sequence[C]) -> list[C]:
        """The whole order of a slot, by present shares."""
        mixed, seeds = mix64(slot + 1), self._seeds
        return sorted(
            candidates,
            key=lambda candidate: score(mixed, seeds[candidate.name], candidate.share),
        )

    def _allowance(self) -> float:
        """How much may be in flight, for each unit of share; one more request included."""
        if self._counted:
            self._counted -= 1
        else:
            self._counted = len(self._seen) // EXACT
            self._total = sum(candidate.in_flight for candidate in self._seen)
        return self._factor * (self._total + 1) / self._shares
