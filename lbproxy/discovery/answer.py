"""What is asked of DNS, and what comes of it, as values."""

from __future__ import annotations

from typing import Protocol

import attrs
from twisted.internet.defer import Deferred


@attrs.frozen
class Question:
    """A name that is looked up.

    Attributes:
        name: As in the config, in lower case.
        service: Whether its SRV records are wanted (RFC 2782), not its addresses.
    """

    name: str
    service: bool = False


@attrs.frozen
class Place:
    """Where something listens, as far as DNS says.

    Attributes:
        address: An IP address.
        target: The host that a service's record names; empty if addresses were asked for, and so
            are the others left as they are.
        port: Of the service.
        priority: Those with the lowest are used first.
        weight: Its part of the load among those of one priority; 0 is next to nothing.
    """

    address: str
    target: str = ""
    port: int = 0
    priority: int = 0
    weight: int = 1

    @property
    def family(self) -> tuple[str, int]:
        """The host that has the address, and the version of IP: what is asked for at once."""
        return self.target, 6 if ":" in self.address else 4


@attrs.frozen
class Answer:
    """What a name stands for.

    Attributes:
        places: In no order: servers rotate what they answer.
        ttl: Seconds for which that holds, by the shortest-lived record on the way to it.
        unanswered: Families of which nothing is known, since that question alone failed.
    """

    places: frozenset[Place]
    ttl: float
    unanswered: frozenset[tuple[str, int]] = frozenset()

    def after(self, before: Answer | None) -> Answer:
        """The same with the last that was known of what is unanswered."""
        if before is None or not self.unanswered:
            return self
        kept = {place for place in before.places if place.family in self.unanswered}
        return attrs.evolve(self, places=self.places | kept)


class Resolver(Protocol):
    """Looks names up."""

    def resolve(self, question: Question) -> Deferred[Answer]:
        """Look a name up.

        Returns:
            What has at least one place; or it fails with `Unresolved`. It can be cancelled.
        """
