"""By which policy a pool chooses, and who is a backup: drawn for some of the lives."""

from __future__ import annotations

import random
from typing import Any

import attrs

from lbproxy.config.model import BALANCERS, Config, Hash
from lbproxy.testing.plan import Plan

#: What is counted: the policy of each life, one that a reload puts in its place, and each attempt
#: at a backup.
KINDS = (*BALANCERS, "other_policy", "backup_chosen")

#: What a policy may hash; each request has a path of its own.
_KEYS = ("client", "client", "path")


def drawn(chance: random.Random, plan: Plan) -> Plan:
    """A plan with another policy and with backups, or as it is.

    Args:
        chance: Draws them.
        plan: What else is to be.
    """
    if chance.random() < 0.5:
        return plan
    backups = _backups(chance, plan.config)
    policy = _policy(chance)
    configs = [_with(plan.config, backups, policy)]
    for reload in plan.reloads:
        if chance.random() < 0.3:
            policy = _policy(chance)
        configs.append(_with(reload.config, backups, policy))
    return plan.with_configs(configs)


def _policy(chance: random.Random) -> dict[str, Any]:
    """The part of a pool's config that says how to choose."""
    return {
        "balancer": chance.choice(BALANCERS),
        "hash": Hash(chance.choice(_KEYS), chance.choice((1.25, 2.0))),
        "decay": chance.choice((1.0, 10.0)),
    }


def _backups(chance: random.Random, config: Config) -> frozenset[str]:
    """The names of those that are backups: never all that could be asked."""
    if chance.random() < 0.5:
        return frozenset()
    backends = config.pools[0].backends
    first = chance.choice([each for each in backends if each.weight])
    return frozenset(each.name for each in backends if each is not first and chance.random() < 0.6)


def _with(config: Config, backups: frozenset[str], policy: dict[str, Any]) -> Config:
    pool, *others = config.pools
    backends = tuple(attrs.evolve(each, backup=each.name in backups) for each in pool.backends)
    return attrs.evolve(config, pools=(attrs.evolve(pool, backends=backends, **policy), *others))
