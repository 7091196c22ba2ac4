"""What DNS has of a name, how that changes, and the members that have to come of it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lbproxy.config import model
from lbproxy.discovery.answer import Place
from lbproxy.discovery.members import question_of

#: What DNS says of a name that it knows may change in these ways.
CHANGES = (
    "dns_joined",
    "dns_left",
    "dns_replaced",
    "dns_rotated",
    "dns_reweighted",
    "dns_holds",
)

#: Why there is nothing to be found, for a while, and what is said of it. The last one is not said
#: at all, and so takes until nobody waits for it any more.
TROUBLES = {
    "dns_empty": "it has no address",
    "dns_no_name": "there is no such name",
    "dns_fails": "10.0.0.53 port 53 says SERVFAIL",
    "dns_silent": "10.0.0.53 port 53 does not answer within 1 s",
}

#: For a while one target of a service is not found, and the others are.
HALF = "dns_half"

#: All that can happen to a name.
KINDS = (*CHANGES, *TROUBLES, HALF)


@attrs.frozen
class Zone:
    """What DNS has of a name.

    Attributes:
        places: Where something listens, in the order in which it is told.
        ttl: Seconds for which an answer holds, by what it says itself.
    """

    places: tuple[Place, ...]
    ttl: float


@attrs.frozen
class NameChange:
    """A change of what DNS has, or a time for which it does not say.

    Attributes:
        kind: One of `KINDS`.
        at: Seconds from the beginning.
        places: Those that join, or replace all.
        which: The one that leaves, is not found, or is changed, by its place in the zone.
        ttl: Seconds for which answers hold from now on.
        seconds: How long a trouble lasts.
        weight: Of the record that is changed, and so is `priority`.
    """

    kind: str
    at: float
    places: tuple[Place, ...] = ()
    which: int = 0
    ttl: float = 1.0
    seconds: float = 0.0
    weight: int = 1
    priority: int = 0


def changed(zone: Zone, change: NameChange) -> Zone:
    """The zone after a change; the last place never leaves."""
    places = zone.places
    which = change.which % len(places)
    if change.kind == "dns_holds":
        return attrs.evolve(zone, ttl=change.ttl)
    if change.kind == "dns_joined":
        places = (*places, *change.places)
    elif change.kind == "dns_left":
        places = (*places[:which], *places[which + 1 :]) or places
    elif change.kind == "dns_replaced":
        places = change.places
    elif change.kind == "dns_rotated":
        places = (*places[1:], places[0])
    elif change.kind == "dns_reweighted":
        place = attrs.evolve(places[which], weight=change.weight, priority=change.priority)
        places = (*places[:which], place, *places[which + 1 :])
    return attrs.evolve(zone, places=places)


def named_in(config: model.Config) -> model.Backend | None:
    """The backend of the first pool that has a name in the place of an address, if one has."""
    backends = config.pools[0].backends
    return next((each for each in backends if question_of(each.address) is not None), None)


def members(backend: model.Backend, places: Iterable[Place]) -> tuple[model.Backend, ...]:
    """What a backend becomes by what is known of its name, worked out anew."""
    places = tuple(places)
    best = min((place.priority for place in places), default=0)
    found = []
    for place in places:
        port = place.port or int(backend.address.rpartition(":")[2])
        share = max(place.weight, 1)
        found.append(
            attrs.evolve(
                backend,
                name=f"{backend.name}@{place.target or place.address}:{port}",
                address=f"{place.address}:{port}",
                weight=backend.weight * share,
                record_weight=share,
                backup=backend.backup or place.priority > best,
            )
        )
    return tuple(found)


def expected(config: model.Config, known: Iterable[Place] | None) -> tuple[model.Backend, ...]:
    """The backends that the first pool has to have, given what is known of its name.

    Args:
        config: As it was read.
        known: `None` if nothing is.
    """
    backend = named_in(config)
    others = tuple(each for each in config.pools[0].backends if each is not backend)
    if backend is None:
        return others
    return (*others, *((backend,) if known is None else members(backend, known)))


def ever(
    named: model.Backend, zone: Zone, changes: Iterable[NameChange]
) -> tuple[model.Backend, ...]:
    """All members that a backend has at some time, by what is planned."""
    joining = (place for change in changes for place in change.places)
    found = {each.name: each for each in members(named, (*zone.places, *joining))}
    return tuple(found.values())
