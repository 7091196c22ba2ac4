"""Another config for a balancer that runs: drawn from the one before it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import attrs

from lbproxy.config import model
from lbproxy.config.model import Config

#: What is told of a reload in the trace, and counted.
KINDS = ("added", "removed", "reweighted", "resettled", "rerouted", "other_pool")


@attrs.frozen
class Reload:
    """A config that is to be served from some moment on.

    Attributes:
        at: Seconds from the beginning.
        kind: What is different in it, of `KINDS`.
        config: All of it.
    """

    at: float
    kind: str
    config: Config


def drawn(chance: random.Random, config: Config, span: float) -> tuple[Reload, ...]:
    """Reloads of a life, each made from the one before it.

    Args:
        chance: Draws them.
        config: What the life begins with.
        span: Seconds within which they happen.
    """
    reloads = []
    at = chance.uniform(1.0, span)
    for _ in range(chance.choice((1, 1, 2, 3))):
        kind = chance.choice(KINDS)
        config = _CHANGES[kind](chance, config)
        reloads.append(Reload(at, kind, config))
        at += chance.choice((0.02, 1.5, 5.0))
    return tuple(reloads)


def _added(chance: random.Random, config: Config) -> Config:
    """One more, of a name that none has had: what is said of a name is then said of one backend."""
    backends = config.pools[0].backends
    used = {each.name for each in backends}
    number = next(number for number, name in enumerate("abcdefgh") if name > max(used))
    joined = attrs.evolve(
        backends[0],
        name="abcdefgh"[number],
        address=f"10.0.1.{number}:80",
        weight=chance.choice((1, 2)),
    )
    return with_first(config, backends=(*backends, joined))


def _removed(chance: random.Random, config: Config) -> Config:
    """One less, if more than one of those that remain can still be asked."""
    backends = config.pools[0].backends
    # Not the last one by name, which could come again otherwise.
    gone = chance.choice(backends[:-1])
    rest = tuple(each for each in backends if each is not gone)
    return (
        with_first(config, backends=rest) if sum(each.weight > 0 for each in rest) > 1 else config
    )


def _reweighted(chance: random.Random, config: Config) -> Config:
    backends = list(config.pools[0].backends)
    place = chance.randrange(len(backends))
    backends[place] = attrs.evolve(backends[place], weight=chance.choice((1, 2, 5)))
    return with_first(config, backends=tuple(backends))


def _resettled(chance: random.Random, config: Config) -> Config:
    """Other limits and timeouts, none of which makes a rule of the life another one."""
    pool = config.pools[0]
    attempts, limit = pool.retry.attempts, pool.max_in_flight
    attempts = attempts if attempts == 1 else chance.choice((2, 4))
    return with_first(
        config,
        retry=attrs.evolve(pool.retry, attempts=attempts),
        max_in_flight=limit if limit == 256 else chance.choice((1, 4)),
        timeouts=attrs.evolve(pool.timeouts, first_byte=chance.choice((1.0, 4.0))),
        slow_start=chance.choice((0.0, 3.0)),
    )


def _rerouted(chance: random.Random, config: Config) -> Config:
    (route,) = config.routes
    most = chance.choice((None, 20000))
    return attrs.evolve(config, routes=(attrs.evolve(route, max_body=most),))


def _other_pool(chance: random.Random, config: Config) -> Config:
    """Only the pool for sessions: the first one is to notice nothing."""
    first, raw = config.pools
    timeouts = attrs.evolve(raw.timeouts, stream=chance.choice((5.0, 9.0)))
    return attrs.evolve(config, pools=(first, attrs.evolve(raw, timeouts=timeouts)))


_CHANGES = {
    "added": _added,
    "removed": _removed,
    "reweighted": _reweighted,
    "resettled": _resettled,
    "rerouted": _rerouted,
    "other_pool": _other_pool,
}


def with_first(config: Config, **changed: Any) -> Config:
    """A config whose first pool is changed."""
    first, *others = config.pools
    return attrs.evolve(config, pools=(attrs.evolve(first, **changed), *others))


def loosest(configs: tuple[Config, ...]) -> model.Pool:
    """The first pool with the greatest of all limits that it has at some time."""
    pools = [config.pools[0] for config in configs]
    first = pools[0]
    return attrs.evolve(
        first,
        retry=attrs.evolve(first.retry, attempts=max(pool.retry.attempts for pool in pools)),
        max_in_flight=max(pool.max_in_flight for pool in pools),
        timeouts=attrs.evolve(
            first.timeouts, first_byte=max(pool.timeouts.first_byte for pool in pools)
        ),
        slow_start=max(pool.slow_start for pool in pools),
        queue=_loosest([pool.queue for pool in pools], "length", "wait"),
        hold_when_down=_loosest([pool.hold_when_down for pool in pools], "seconds", "requests"),
        hedge=_loosest([pool.hedge for pool in pools], "budget"),
        health=_loosest([pool.health for pool in pools], "interval", "timeout"),
    )


def _loosest(values: Sequence[Any], *limits: str) -> Any:
    """One of these, if there is any, with the greatest of each limit that one of them has."""
    given = [each for each in values if each is not None]
    if not given:
        return None
    greatest = {limit: max(getattr(each, limit) for each in given) for limit in limits}
    return attrs.evolve(given[0], **greatest)
