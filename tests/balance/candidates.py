"""Candidates for policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from lbproxy.balance.balancer import Balancer


@attrs.define(eq=False)
class One:
    """A candidate, as a policy sees it."""

    name: str
    weight: int = 1
    share: float = 0.0
    current: float = 0.0
    in_flight: int = 0

    def __attrs_post_init__(self) -> None:
        self.share = self.share or float(self.weight)


def some(*weights: int) -> list[One]:
    """Candidates named a, b, c ... with these weights."""
    return [One(chr(ord("a") + place), weight) for place, weight in enumerate(weights)]


def many(count: int, weight: int = 1) -> list[One]:
    """As many candidates of one weight."""
    return [One(f"backend-{number}", weight) for number in range(count)]


def chosen(
    policy: Balancer, candidates: Sequence[One], count: int, key: bytes | None = None
) -> Counter[str]:
    """How often each is chosen while nothing is under way."""
    return Counter(policy.choose(candidates, 0.0, key).name for _ in range(count))


def filled(policy: Balancer, candidates: Sequence[One], keys: Iterable[bytes | None]) -> list[int]:
    """What each has in flight when a request of each key has come and none has ended."""
    for key in keys:
        policy.choose(candidates, 0.0, key).in_flight += 1
    return [candidate.in_flight for candidate in candidates]
