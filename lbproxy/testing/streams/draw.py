"""Drawing who follows streams, and what ends them, into a life that has been drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import inf

import attrs

from lbproxy.config.model import Config, Stop
from lbproxy.testing import staff
from lbproxy.testing.faults import PAUSE, STOPS
from lbproxy.testing.flow import Shape
from lbproxy.testing.plan import Ask, Fault, Plan, Visit
from lbproxy.testing.reloads import Reload
from lbproxy.testing.streams import events, frames
from lbproxy.testing.streams.course import Stream

#: In every so many lives there are streams, from that one on: most of what is noted as found was
#: found by others before there were any.
EVERY, FIRST = 5, 2

#: Where the numbers of their clients and of their requests begin.
_VISITS, _ASKS = 600, 2000

#: Faults that cut no connection, and leave none without its bytes.
HARMLESS = frozenset(
    {
        *STOPS,
        *staff.KINDS,
        PAUSE,
        "slow",
        "late_door",
        "lie_ill",
        "flap",
        "drains_itself",
        "asks_for_less",
    }
)


def with_streams(plan: Plan) -> Plan:
    """The plan, in some of the lives with streams in it; the others stay as they are."""
    if plan.seed % EVERY != FIRST:
        return plan
    chance = random.Random(f"streams {plan.seed}")
    drain = chance.choice((0.0, 2.0, 6.0, 6.0, 15.0))
    stop = Stop(drain, drain * chance.choice((0.0, 0.2, 0.5, 1.0)))
    begin = chance.uniform(0.0, 6.0)
    faults = [*_faults(chance, plan, begin)]
    workers = plan.config.workers
    if not any(fault.kind in staff.KINDS for fault in faults) and chance.random() < 0.4:
        workers = 2
        at = begin + chance.uniform(2.0, 8.0)
        faults.append(Fault("end_worker", at, chance.randrange(2)))
    return attrs.evolve(
        plan,
        config=_adapted(plan.config, stop, workers),
        visits=(*plan.visits, *_visits(chance, begin)),
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        reloads=tuple(_reloads(plan, stop, workers)),
    )


def _reloads(plan: Plan, stop: Stop, workers: int) -> Iterator[Reload]:
    for reload in plan.reloads:
        yield attrs.evolve(reload, config=_adapted(reload.config, stop, workers))


def _adapted(config: Config, stop: Stop, workers: int) -> Config:
    """A config with room for streams, none of which makes way for another request."""
    first, *others = config.pools
    pools = (attrs.evolve(first, max_in_flight=256), *others)
    return attrs.evolve(config, pools=pools, stop=stop, workers=workers)


def _faults(chance: random.Random, plan: Plan, begin: float) -> Iterator[Fault]:
    """Those of the life, or only what cuts no stream; and mostly a stop."""
    harmless = chance.random() < 0.6
    stops = not any(fault.kind in STOPS for fault in plan.faults) and chance.random() < 0.7
    for fault in plan.faults:
        if not harmless or fault.kind in HARMLESS:
            yield fault
    if stops:
        at = begin + chance.uniform(1.0, 8.0)
        yield Fault("drain", at)
        if chance.random() < 0.2:
            yield Fault("end_now", at + chance.uniform(0.0, 4.0))


def _visits(chance: random.Random, begin: float) -> Iterator[Visit]:
    numbers = iter(range(_ASKS, _ASKS + 1000))
    for number in range(_VISITS, _VISITS + chance.choice((2, 3, 4, 6))):
        manner = chance.choice(("follows", "talks"))
        asks = tuple(_ask(chance, next(numbers), manner) for _ in range(chance.choice((1, 1, 2))))
        shape = Shape(
            latency=chance.choice((0.0001, 0.001, 0.02)),
            capacity=chance.choice((4000, 65536)),
            fine=chance.choice((0, 0, 40, 300)),
        )
        patience = chance.choice((0.3, 1.5)) if chance.random() < 0.15 else 0.0
        yield Visit(number, begin + chance.uniform(0.0, 4.0), manner, asks, shape, patience)


def _ask(chance: random.Random, number: int, manner: str) -> Ask:
    stays = chance.uniform(0.0, 8.0) if chance.random() < 0.1 else inf
    delay = chance.choice((0.001, 0.001, 0.1, 1.5))
    if manner == "talks":
        down, up = frames.drawn(chance, number, "down"), frames.drawn(chance, number, "up")
        stream = Stream(down, up, mute=chance.random() < 0.4, stays=stays)
        return Ask(number, "WS", delay=delay, stream=stream)
    old = chance.random() < 0.2
    framing = chance.choice(("chunked", "chunked", "close"))
    stream = Stream(events.drawn(chance, number), old=old, stays=stays)
    return Ask(number, framing=framing, delay=delay, stream=stream)
