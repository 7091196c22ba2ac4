"""Drawing a name for the first pool: what DNS has of it, and what becomes of that.

All of it comes from a stream of chance of its own, so a life without names does not hang on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from lbproxy.config import model
from lbproxy.discovery.answer import Place
from lbproxy.testing.changes import ALL
from lbproxy.testing.plan import Fault, Plan
from lbproxy.testing.reloads import Reload, with_first
from lbproxy.testing.zone import CHANGES, HALF, TROUBLES, NameChange, Zone

#: The part of the lives that have a name.
PART = 0.25

#: The backend's name, and what DNS is asked for.
NAME = "n"
ADDRESS = "n.internal:80"
SERVICE = "srv:_http._tcp.n.internal"

#: Seconds for which answers hold, by what they say; the config may say otherwise.
_TTLS = (0.2, 1.0, 1.0, 3.0, 30.0)

#: What befalls a member that DNS knows before it can be reached.
_UNREADY = ("dark", "refuse", "late_door")


def with_names(plan: Plan, span: float) -> Plan:
    """The plan, or in a part of the lives one whose first pool has a name as well.

    Args:
        plan: Of a life without names.
        span: Seconds within which things happen.
    """
    chance = random.Random(f"names {plan.seed}")
    if chance.random() < 1.0 - PART:
        return plan
    service = chance.random() < 0.5
    places = _places(service, chance.choice((1, 1, 3)))
    zone = Zone(tuple(next(places) for _ in range(chance.randint(1, 3))), chance.choice(_TTLS))
    renamings = tuple(_renamings(chance, span, service, places, plan.reloads))
    backend = attrs.evolve(
        plan.config.pools[0].backends[0],
        name=NAME,
        address=SERVICE if service else ADDRESS,
        weight=chance.choice((1, 1, 2)),
    )
    dns = model.DNS(min_ttl=chance.choice((0.2, 1.0)), max_ttl=chance.choice((2.0, 4.0, 300.0)))
    without = list(plan.configs)
    if chance.random() < 0.15 and plan.config.pools[0].hold_when_down is None:
        without = [with_first(config, health=None) for config in without]
    configs = [
        attrs.evolve(with_first(each, backends=(*each.pools[0].backends, backend)), dns=dns)
        for each in without
    ]
    if plan.reloads:
        odd = chance.random()
        if odd < 0.15:  # It is in the config at first only.
            configs[-1] = without[-1]
        elif odd < 0.3:  # It is not there at first.
            configs[0] = without[0]
        elif odd < 0.5:  # It is asked for in another way, which begins anew.
            configs[-1] = attrs.evolve(configs[-1], dns=model.DNS(max_ttl=3.0))
    faults = _unready(chance, plan, renamings, len(zone.places))
    whose = {change.backend: chance.choice((0, 2, 3, ALL, ALL)) for change in plan.changes}
    return attrs.evolve(
        plan.with_configs(configs),
        faults=faults,
        changes=tuple(attrs.evolve(each, backend=whose[each.backend]) for each in plan.changes),
        zone=zone,
        renamings=renamings,
    )


def _places(service: bool, weight: int) -> Iterator[Place]:
    """Places that nobody has had before, without end; every other one of a service has a weight."""
    for number in range(1, 250):
        address = f"10.0.4.{number}"
        of_record = weight if number % 2 else 1
        target = Place(address, f"t{number}.n.internal", 80, weight=of_record)
        yield target if service else Place(address)


def _renamings(
    chance: random.Random,
    span: float,
    service: bool,
    places: Iterator[Place],
    reloads: tuple[Reload, ...],
) -> Iterator[NameChange]:
    changes = [kind for kind in CHANGES if service or kind != "dns_reweighted"]
    troubles = [*TROUBLES, *([HALF] * 4 if service else [])]
    if chance.random() < 0.25:  # Nothing is known of it at first.
        trouble, seconds = chance.choice(tuple(TROUBLES)), chance.choice((0.5, 3.0, 4.5, 9.0))
        yield NameChange(trouble, 0.0, seconds=seconds)
    at = 0.0
    for _ in range(chance.randint(1, 5)):
        odd = chance.random()
        if at and odd < 0.3:
            at += 0.5  # While the one before is under way.
        elif reloads and odd < 0.75:
            at = max(0.1, chance.choice(reloads).at - chance.choice((0.0, 0.3, 1.0)))
        else:
            at = chance.uniform(0.5, span)
        kind = chance.choice(changes if chance.random() < 0.65 else troubles)
        joining = {"dns_joined": 1, "dns_replaced": chance.randint(1, 3)}.get(kind, 0)
        yield NameChange(
            kind,
            at,
            tuple(next(places) for _ in range(joining)),
            chance.randrange(6),
            chance.choice(_TTLS),
            chance.choice((1.0, 4.0, 8.0)) if kind in troubles else 0.0,
            chance.choice((0, 1, 3)),
            chance.choice((0, 1)),
        )


def _unready(
    chance: random.Random, plan: Plan, renamings: tuple[NameChange, ...], members: int
) -> tuple[Fault, ...]:
    """The faults of the life, and what befalls members that DNS knows too early."""
    if not plan.faults:  # Then nothing is to fail.
        return ()
    place = len({each.name for config in plan.configs for each in config.pools[0].backends})
    joining = [(change.at, len(change.places)) for change in renamings]
    if renamings[0].at == 0.0:  # They are known, and not there, when the name first resolves.
        joining.insert(0, (renamings[0].seconds, members))
    else:
        place += members
    faults = list(plan.faults)
    for at, several in joining:
        for _ in range(several):
            if chance.random() < 0.4:
                seconds = chance.choice((1.0, 3.0, 5.0))
                faults.append(Fault(chance.choice(_UNREADY), at, place, seconds))
            place += 1
    return tuple(sorted(faults, key=lambda fault: fault.at))
