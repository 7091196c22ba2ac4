"""Reloads that change how failures are met and backends are judged: drawn for some of the lives."""

from __future__ import annotations

import random
from typing import Any

import attrs

from lbproxy.config import model
from lbproxy.testing.plan import Plan
from lbproxy.testing.reloads import with_first

#: What is counted, by the key of the pool that is another one.
KEYS = {
    "hold_when_down": "other_hold",
    "queue": "other_queue",
    "hedge": "other_hedge",
    "health": "other_probes",
    "ejection": "other_ejection",
}

KINDS = tuple(KEYS.values())


def retuned(plan: Plan) -> Plan:
    """The plan, or one whose reloads change more; drawn from a stream of chance of its own."""
    chance = random.Random(f"retuning {plan.seed}")
    if chance.random() < 0.3:
        return plan
    configs = [plan.config]
    changed: dict[str, Any] = {}
    for reload in plan.reloads:
        for key in chance.sample([*KEYS], chance.choice((0, 1, 1, 3))):
            changed |= _drawn(chance, key, reload.config.pools[0])
        configs.append(with_first(reload.config, **changed))
    return plan.with_configs(configs)


def differences(before: model.Pool, after: model.Pool) -> list[str]:
    """What is another one in the pool that a reload brings."""
    return [kind for key, kind in KEYS.items() if getattr(before, key) != getattr(after, key)]


def _drawn(chance: random.Random, key: str, pool: model.Pool) -> dict[str, Any]:
    """Another value of a key, if it goes with the rest of the pool."""
    if key == "queue":
        length, wait = chance.choice((0, 3, 1024)), chance.choice((0.5, 5.0))
        return {key: model.Queue(length=length, wait=wait)}
    if key == "ejection":
        return {key: not pool.ejection}
    if key == "hedge" and pool.retry.attempts > 1:
        after = chance.choice((0.0005, 0.02, "p50"))
        return {key: chance.choice((None, model.Hedge(after, chance.choice((0.02, 0.2, 1.0)))))}
    if key == "hold_when_down" and pool.health is not None:
        seconds, requests = chance.choice((1.0, 6.0)), chance.choice((1, 3, 1000))
        return {key: chance.choice((None, model.Hold(seconds, requests)))}
    if key == "health" and pool.health is not None:  # With the same number in a row that turns.
        interval, timeout = chance.choice((1.0, 3.0, 5.0)), chance.choice((0.3, 1.0))
        return {key: attrs.evolve(pool.health, interval=interval, timeout=timeout)}
    return {}
