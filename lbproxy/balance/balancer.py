"""The interface of a policy, and the policies by the names that the config gives them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from lbproxy.balance.round_robin import RoundRobin


class Candidate(Protocol):
    """What a policy sees of a backend.

    Attributes:
        share: Its weight at present, above 0.0.
        current: A number that the policy may keep here from one choice to the next.
    """

    share: float
    current: float


C = TypeVar("C", bound=Candidate)


class Balancer(Protocol):
    """A policy: which of several backends is next."""

    def choose(self, candidates: Sequence[C]) -> C:
        """The next one.

        Args:
            candidates: Those that could take the request; never empty. Where it is the same object
                as the time before, nothing has changed: neither who is in it nor their shares.
        """


_POLICIES: dict[str, Callable[[random.Random], Balancer]] = {
    "round_robin": lambda chance: RoundRobin(),
}


def balancer_named(name: str) -> Callable[[random.Random], Balancer]:
    """What makes the policy of this name, given a source of chance.

    Raises:
        KeyError: If there is none; the config refuses such a name before.
    """
    return _POLICIES[name]
