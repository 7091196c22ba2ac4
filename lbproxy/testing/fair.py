"""Whom a policy has to choose in peace, when one request comes after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import sqrt

import attrs

from lbproxy.balance.consistent_hash import ConsistentHash
from lbproxy.config import model
from lbproxy.observe.accesslog import Attempt
from lbproxy.testing.inside import number_of
from lbproxy.testing.results import Result
from lbproxy.testing.world import World

#: How many standard deviations lots may be off.
_LUCK = 6.5


@attrs.define(eq=False)
class _Idle:
    """A backend that has nothing to do, as a policy sees it."""

    name: str
    weight: int
    share: float
    current: float = 0.0
    in_flight: int = 0


def fair(world: World, source: str, results: list[Result]) -> Iterator[str]:
    """All are answered, and by whom the policy has to choose.

    With least_loaded and peak_ewma that hangs on how fast each one is, so only the tier counts.

    Args:
        world: All.
        source: The client's address.
        results: What became of its requests.
    """
    pool = world.operator.config.pools[0]
    once = world.pool.retry.attempts == 1
    for result in results:
        well = result.how == "whole" and result.status == 200
        if not well and not (once and result.reason == "reused_connection_closed"):
            yield f"{result.ask.number}, asked in peace, ended as {result.how} {result.status}"
    tier = _first_tier(world)
    asked = {result.ask.number for result in results}
    chosen = {
        number: record.attempts
        for record, _ in world.records
        if (number := number_of(record)) in asked
    }
    hedges = sum(attempt.hedge for attempts in chosen.values() for attempt in attempts)
    if pool.balancer == "consistent_hash":
        yield from _by_key(pool, tier, source, chosen)
    total = sum(tier.values())
    for name in world.weights.names:
        part = tier.get(name, 0) / total
        got = sum(result.backend == name for result in results)
        slack = _slack(pool.balancer, part, len(results)) + hedges  # Each may move a request.
        if pool.balancer == "round_robin" and part:
            slack += world.weights.most / total  # Who had a turn among greater ones waits it out.
        if abs(got - len(results) * part) > slack:
            yield f"{name} got {got} of {len(results)} requests, and {part:.1%} are its share"


def _first_tier(world: World) -> dict[str, int]:
    """The weights of those from whom is chosen."""
    now = world.reactor.now
    tiers: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for backend in world.operator.backends:
        weight = world.weights.at(backend.name, now)
        if weight:
            tiers[backend.backup][backend.name] = weight
    return tiers[0] or tiers[1]


def _slack(balancer: str, part: float, count: int) -> float:
    """By how much the requests of one backend may be off its share."""
    if part == 0.0:
        return 0.0
    if balancer == "round_robin":
        return 2.0  # The turn may be anywhere, and a reused connection may have cost one.
    if balancer == "two_choices":
        return _LUCK * sqrt(count * part * (1.0 - part)) + 1.0
    return float(count)


def _by_key(
    pool: model.Pool, tier: dict[str, int], source: str, chosen: dict[int, list[Attempt]]
) -> Iterator[str]:
    """Who has lived through all of it, and one that begins now, agree on each key."""
    assert pool.hash is not None
    policy = ConsistentHash(pool.hash.load_factor, random.Random(0))
    candidates = [_Idle(name, weight, weight) for name, weight in tier.items()]
    for number, attempts in chosen.items():
        key = source if pool.hash.key == "client" else f"/r/{number}"
        awaited = policy.choose(candidates, 0.0, key.encode()).name
        if attempts[0].backend != awaited:
            yield f"{number} of {key} went to {attempts[0].backend}, and {awaited} has that key"
