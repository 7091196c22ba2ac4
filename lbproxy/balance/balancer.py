"""The interface of a policy: which of several backends is next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What a policy sees of a backend.

    Attributes:
        share: Its weight at present, above 0.0; below `weight` while it starts slowly.
        current: A number that the policy may keep here from one choice to the next.
    """

    share: float
    current: float

    @property
    def name(self) -> str:
        """As in the config; no other backend of the pool has it."""

    @property
    def weight(self) -> int:
        """As in the config, or as it was set since; above 0."""

    @property
    def in_flight(self) -> int:
        """Attempts under way at it, of this process."""


C = TypeVar("C", bound=Candidate)


class Balancer(Protocol):
    """A policy: which of several backends is next."""

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one.

        Args:
            candidates: Those that could take the request; never empty. While it is the same
                object, it has the same members with the same shares, so that what was worked out
                for it holds.
            now: The present time, in the clock's seconds.
            key: What the pool's `hash` names of the request; `None` if the pool has no `hash`, or
                the request no such thing.
        """


class Forgetful(Protocol):
    """What a policy has besides if it keeps something of each candidate."""

    def forget(self, candidate: Candidate) -> None:
        """A candidate has left the pool, and will not be one again."""


class Observer(Protocol):
    """What a policy has besides if it wants to know how attempts end."""

    def observe(self, candidate: Candidate, seconds: float, failed: bool, now: float) -> None:
        """An attempt has ended in an answer's head, or has failed, or was outrun by a hedge.

        Args:
            candidate: Where.
            seconds: From when the request was whole to the head, or the time of the connection in
                TCP mode; for a failure it may be 0.0. If it was outrun, for how long there was no
                answer: so a candidate that hangs is seen, though nobody waits for it.
            failed: Whether it failed, or the answer says so: 502, 503 and 504.
            now: The present time, in the clock's seconds.
        """
