"""Drawing spares into a life: backups that help while a part of those before them is gone."""

from __future__ import annotations

import random

import attrs

from lbproxy.config.model import Config
from lbproxy.testing.faults import KINDS
from lbproxy.testing.flow import Shape
from lbproxy.testing.plan import Ask, Fault, Plan, Visit
from lbproxy.testing.reloads import with_first

#: How many of the lives that could have spares do.
PART = 0.12

#: The names of those who serve, and of their spare.
_SERVE, _SPARE = frozenset("ab"), "c"

#: What takes a backend away.
_AWAY = ("kill", "refuse", "dark", "freeze")

#: Where the numbers of the clients and of their requests begin, and how many each asks.
_VISITS, _ASKS, _MANY = 430, 1700, 12


def with_spares(plan: Plan, span: float) -> Plan:
    """The plan, or in a part of the lives one in which one of two is gone, and the spare helps.

    Without a key requests spill in turn. So in a part of these lives nothing of them is hashed.
    Lives with streams have enough to do without.

    Args:
        plan: Of a life without them.
        span: Seconds within which things happen.
    """
    chance = random.Random(f"spares {plan.seed}")
    names = {each.name for each in plan.config.pools[0].backends if each.weight}
    struck = any(fault.kind in KINDS for fault in plan.faults)
    streams = any(ask.stream for visit in plan.visits for ask in visit.asks)
    fitting = struck and not streams and not plan.named and names >= {*_SERVE, _SPARE}
    if chance.random() >= PART or not fitting:
        return plan
    balancers = {config.pools[0].balancer for config in plan.configs}
    unkeyed = "consistent_hash" not in balancers and chance.random() < 0.6
    plan = plan.with_configs(_spared(config, unkeyed) for config in plan.configs)
    at = chance.uniform(2.0, span / 2)
    gone = Fault(chance.choice(_AWAY), at, chance.randrange(len(_SERVE)), 8.0)
    visits = [
        Visit(
            _VISITS + number,
            at + chance.uniform(0.0, 3.0),
            "keeps",
            tuple(Ask(_ASKS + _MANY * number + place, think=0.5) for place in range(_MANY)),
            Shape(0.001),
        )
        for number in range(2)
    ]
    faults = sorted((*plan.faults, gone), key=lambda fault: fault.at)
    return attrs.evolve(plan, faults=tuple(faults), visits=(*plan.visits, *visits))


def _spared(config: Config, unkeyed: bool) -> Config:
    pool = config.pools[0]
    backends = tuple(attrs.evolve(each, backup=each.name == _SPARE) for each in pool.backends)
    return with_first(config, backends=backends, hash=None if unkeyed else pool.hash)
