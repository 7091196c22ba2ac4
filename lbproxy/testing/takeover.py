"""Drawing that another balancer takes the place of this one, and who comes meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from lbproxy.config.model import Config, Stop
from lbproxy.testing.faults import STOPS
from lbproxy.testing.flow import Shape
from lbproxy.testing.passed import with_passed
from lbproxy.testing.plan import Ask, Plan, Takeover, Visit
from lbproxy.testing.reloads import with_first
from lbproxy.testing.streams.course import Course, Piece, Stream

#: When the next one is started: before the first one is told to end, just then, or when it has.
KINDS = ("taken_over_ahead", "taken_over_at_once", "taken_over_behind")

#: The part of the lives in which that happens, unless the balancer is told to end before.
PART = 0.05

#: Where the numbers of these clients and of their requests begin.
_VISITS, _ASKS = 700, 150_000

#: The number of one who follows events, and comes again when they end.
_FOLLOWER = 799


def with_takeover(plan: Plan) -> Plan:
    """The plan, or in a part of the lives one that ends with a takeover.

    It is drawn from a source of its own. There is room for all who come, and time for what runs.
    """
    chance = random.Random(f"takeover {plan.seed}")
    if chance.random() >= PART or any(fault.kind in STOPS for fault in plan.faults):
        return plan
    stop = Stop(chance.choice((4.0, 10.0)), spread=chance.choice((0.0, 1.0)))
    plan = plan.with_configs(_adapted(config, stop) for config in plan.configs)
    takeover = Takeover(
        chance.choice(KINDS),
        chance.uniform(0.2, 1.5),
        chance.choice((0.0, 0.001, 0.5, 1.5, 4.0)),
        chance.choice((0.0, 0.0, 0.01, 0.05)),
        (),
    )
    visits = tuple(_visits(chance, plan, takeover))
    return attrs.evolve(plan, takeover=attrs.evolve(takeover, visits=visits))


def _adapted(config: Config, stop: Stop) -> Config:
    return with_first(with_passed(attrs.evolve(config, stop=stop)), max_in_flight=256)


def _visits(chance: random.Random, plan: Plan, takeover: Takeover) -> Iterator[Visit]:
    """Some who ask once, many of them just when one is told to end, and some who ask on and on."""
    numbers = iter(range(_ASKS, _ASKS + 1000))
    # What is to take long must not be what no try is long enough for.
    hurried = any(config.pools[0].retry.timeout is not None for config in plan.configs)
    delays = (0.001, 0.02, 0.1) if hurried else (0.001, 0.02, 0.2, 0.5)
    told = takeover.told
    for number in range(_VISITS, _VISITS + chance.randint(6, 16)):
        latency = chance.choice((0.0001, 0.001, 0.02))
        when = chance.random()
        if when < 0.35:  # Its connection stands, or is about to, and its request is not there yet.
            start = told - latency * chance.uniform(0.9, 2.1)
        elif when < 0.65:
            start = told + chance.choice((0.001, 0.03, 0.3)) * chance.uniform(-1.0, 1.0)
        else:
            start = chance.uniform(0.0, told + 2.0)
        keeps = chance.random() < 0.4
        asks = tuple(
            _ask(chance, next(numbers), delays, place)
            for place in range(chance.randint(3, 12) if keeps else 1)
        )
        shape = Shape(latency, fine=chance.choice((0, 0, 0, 40)))
        yield Visit(number, max(0.0, start), "keeps", asks, shape, announced=chance.random() < 0.2)
    if chance.random() < 0.5:
        follows = tuple(_follow(chance, next(numbers), whole) for whole in (False, True))
        yield Visit(_FOLLOWER, 0.0, "follows", follows)


def _ask(chance: random.Random, number: int, delays: tuple[float, ...], place: int) -> Ask:
    method = chance.choice(("GET", "GET", "POST"))
    return Ask(
        number,
        method,
        upload=chance.choice((0, 1, 700, 9000)) if method == "POST" else 0,
        chunked=chance.random() < 0.3,
        think=chance.choice((0.0, 0.0, 0.05, 0.4)) if place else 0.0,
        size=chance.choice((0, 80, 3000, 17000)),
        framing=chance.choice(("length", "length", "chunked")),
        delay=chance.choice(delays),
    )


def _follow(chance: random.Random, number: int, whole: bool) -> Ask:
    """An event stream that goes on for longer than the balancer, or a short one that ends."""
    pause = chance.choice((0.05, 0.3))
    events = [b"id: %d.%d\ndata: -\n\n" % (number, place) for place in range(5 if whole else 200)]
    pieces = tuple(Piece(pause, event) for event in events)
    return Ask(
        number, framing="chunked", stream=Stream(Course(pieces, "ends" if whole else "stays"))
    )
