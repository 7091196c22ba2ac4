"""Drawing a crowd into a life: many come at once, most wait, and what they wait for changes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from lbproxy.config.model import Config, Hold, Queue
from lbproxy.testing.plan import Ask, Fault, Plan, Visit

#: In every so many lives there is a crowd, from that one on: of what is noted as found by others
#: nothing was found by these.
EVERY, FIRST = 20, 14

#: Where the numbers of its clients and of their requests begin.
_VISITS, _ASKS = 700, 3000

#: Clients in a crowd: more than can be let go each within the call that lets go the one before.
MANY = 180


@attrs.frozen
class _Crowd:
    """One of them.

    Attributes:
        at: Seconds from the beginning when the first one comes.
        seconds: How long all of them take to come.
        manner: Whether they are sessions, or requests.
        delay: Seconds that each takes at its backend.
        faults: What befalls the backends meanwhile.
    """

    at: float
    seconds: float
    manner: str
    delay: float
    faults: tuple[Fault, ...]


def with_crowd(plan: Plan) -> Plan:
    """The plan, in some of the lives with a crowd in it; the others stay as they are."""
    if plan.seed % EVERY != FIRST:
        return plan
    chance = random.Random(f"crowd {plan.seed}")
    grows = chance.random() < 0.4
    crowd = _one_whose_room_grows(chance, plan) if grows else _one_that_is_shut_out(chance, plan)
    limit = 4 if grows else chance.choice((1, 1, 2))
    queue = Queue(chance.choice((1024, 1024, 100)), chance.choice((0.5, 5.0)))
    hold = Hold(chance.choice((1.0, 6.0)), 1000) if chance.random() < 0.3 else None

    def adapted(config: Config) -> Config:
        first, raw = config.pools
        first = attrs.evolve(first, max_in_flight=limit, queue=queue, hold_when_down=hold)
        raw = attrs.evolve(raw, max_in_flight=limit, queue=queue)
        return attrs.evolve(config, pools=(first, raw))

    return attrs.evolve(
        plan.with_configs(map(adapted, plan.configs)),
        visits=(*plan.visits, *_visits(chance, crowd)),
        faults=tuple(sorted((*plan.faults, *crowd.faults), key=lambda fault: fault.at)),
    )


def _visits(chance: random.Random, crowd: _Crowd) -> Iterator[Visit]:
    """Each asks once, and its backend then closes the connection, so the next one needs a new."""
    method = "RAW" if crowd.manner == "session" else "GET"
    for number in range(MANY):
        ask = Ask(_ASKS + number, method, delay=crowd.delay, closes=True)
        start = crowd.at + chance.uniform(0.0, crowd.seconds)
        yield Visit(_VISITS + number, start, crowd.manner, (ask,))


def _one_that_is_shut_out(chance: random.Random, plan: Plan) -> _Crowd:
    """All come at once, and then backends cannot be reached: all of them, mostly, and together."""
    at, manner = chance.uniform(3.0, 12.0), chance.choice(("keeps", "keeps", "session"))
    begin, seconds = at + chance.uniform(0.0, 0.3), chance.choice((0.3, 2.0, 6.0))
    count = len(plan.config.pools[0].backends)
    places = range(count, count + 2) if manner == "session" else range(count)
    struck = places if chance.random() < 0.7 else (chance.choice(places),)
    faults = tuple(
        Fault("no_way", begin + chance.choice((0.0, 0.0, 0.1)), place, seconds) for place in struck
    )
    return _Crowd(at, 0.05, manner, chance.choice((0.001, 0.02, 0.1)), faults)


def _one_whose_room_grows(chance: random.Random, plan: Plan) -> _Crowd:
    """Backends want little at a time, and want more again while all come, one after the other."""
    at, less = chance.uniform(6.0, 12.0), chance.uniform(6.5, 8.0)
    faults = tuple(
        Fault("asks_for_one", at - 6.0, place, less + chance.choice((0.0, 0.5)))
        for place in range(len(plan.config.pools[0].backends))
    )
    return _Crowd(at, 4.0, "keeps", chance.choice((0.1, 0.3)), faults)
