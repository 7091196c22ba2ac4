"""Drawing a life from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from lbproxy.testing import breakers, faults, policies, reloads, staff
from lbproxy.testing.answers import AILMENTS
from lbproxy.testing.changes import Change
from lbproxy.testing.configs import config_of
from lbproxy.testing.crowd import with_crowd
from lbproxy.testing.flow import Shape
from lbproxy.testing.naming import with_names
from lbproxy.testing.orders.shopper import METHODS
from lbproxy.testing.plan import Ailment, Ask, Fault, Plan, Visit
from lbproxy.testing.popular import with_popular
from lbproxy.testing.refusals import with_refusals
from lbproxy.testing.results import MANNERS
from lbproxy.testing.retuning import retuned
from lbproxy.testing.rolling import with_rolling
from lbproxy.testing.sessions import NARROW
from lbproxy.testing.spares import with_spares
from lbproxy.testing.streams.draw import with_streams
from lbproxy.testing.takeover import with_takeover

#: Seconds within which clients come and faults begin.
SPAN = 20.0

_METHODS = ("GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def plan_of(seed: int) -> Plan:
    """The life that a seed stands for.

    What was thought of later has sources of its own, so that all else stays as it is.
    """
    plan = policies.drawn(random.Random(f"policies {seed}"), _plainly(seed))
    plan = breakers.drawn(random.Random(f"breakers {seed}"), plan)
    plan = with_crowd(retuned(with_streams(with_names(plan, SPAN))))
    plan = with_spares(with_refusals(with_popular(plan, SPAN), SPAN), SPAN)
    return with_takeover(with_rolling(plan, SPAN))


def _plainly(seed: int) -> Plan:
    """A life in which backends have addresses, and take turns."""
    chance = random.Random(f"plan {seed}")
    config = config_of(chance)
    peaceful = chance.random() < 0.15
    storm = not peaceful and chance.random() < 0.08
    ailing = 0.0 if peaceful else chance.choice((0.0, 0.1, 0.3, 0.6))
    visits = _storm(chance) if storm else _visits(chance, ailing)
    calm = peaceful or chance.random() < 0.15
    if calm:  # What befalls one worker is to trouble nobody who has to do with another one.
        drawn = tuple(_accidents(chance, config.workers))
    else:
        drawn = _faults(chance, len(config.pools[0].backends) + 2, config.workers)
    keep_alive = config.pools[0].backends[0].idle_limit
    return Plan(
        seed,
        config,
        # Some close their idle connections long before they are known to.
        keep_alive * (1.25 if peaceful else chance.choice((1.25, 1.25, 0.3))),
        tuple(_shape(chance) for _ in range(4)),
        visits,
        drawn,
        _changes(chance, len(config.pools[0].backends)) if chance.random() < 0.35 else (),
        reloads.drawn(chance, config, SPAN) if chance.random() < 0.3 else (),
    )


def _visits(chance: random.Random, ailing: float) -> tuple[Visit, ...]:
    numbers = iter(range(1, 1000))
    visits = []
    for number in range(chance.randint(3, 14)):
        manner = chance.choice(("keeps", "keeps", "keeps", "pipelines", "uploads", *MANNERS))
        visits.append(
            Visit(
                number,
                chance.uniform(0.0, SPAN) if chance.random() < 0.7 else 5.0,
                manner,
                tuple(
                    _ask(chance, next(numbers), manner, ailing) for _ in range(chance.randint(1, 8))
                ),
                _shape(chance),
                chance.choice((0.05, 0.3, 1.5) if manner == "slow" else (0.001, 0.01, 0.3, 1.5)),
                announced=chance.random() < 0.2,
            )
        )
    if ailing and chance.random() < 0.4:
        visits.append(_insistent(chance, next(numbers)))
    if chance.random() < 0.3:
        visits += [_shopper(chance, number, numbers) for number in range(450, 452)]
    sessions = chance.choice((0, 0, 1, 3))
    for number in range(500, 500 + sessions):
        asks = tuple(_session(chance, next(numbers), ailing) for _ in range(chance.randint(1, 4)))
        shape = attrs.evolve(_shape(chance), capacity=NARROW)
        start, patience = chance.uniform(0.0, SPAN), chance.choice((0.0, 0.01, 0.5))
        visits.append(Visit(number, start, "session", asks, shape, patience))
    return tuple(visits)


def _insistent(chance: random.Random, number: int) -> Visit:
    """One whose request breaks every backend that it gets to, and who does not give up soon."""
    ailment = Ailment(chance.choice(("close_unanswered", "reset_unanswered")), times=99)
    ask = Ask(number, closes=True, ailment=ailment, insists=14)
    return Visit(400, chance.uniform(0.0, SPAN), "keeps", (ask,), _shape(chance))


def _shopper(chance: random.Random, number: int, numbers: Iterator[int]) -> Visit:
    """One who orders, and sees how that goes on."""
    asks = [Ask(next(numbers), "PLACE", keyed=chance.random() < 0.7)]
    for _ in range(chance.randint(2, 8)):
        think = chance.choice((0.0, 0.3, 2.0))
        asks.append(Ask(next(numbers), chance.choice(METHODS), keyed=True, think=think))
    return Visit(number, chance.uniform(0.0, SPAN), "shops", tuple(asks), _shape(chance))


def _session(chance: random.Random, number: int, ailing: float) -> Ask:
    size = chance.choice((0, 1, 300, 20000, 100000))
    ailment = None
    if chance.random() < ailing:
        kind = chance.choice(("reset_body", "stall_body"))
        ailment = Ailment(kind, at=chance.choice((0, size // 2)))
    return Ask(
        number,
        "RAW",
        keyed=chance.random() < 0.1,
        upload=chance.choice((0, 1, 300, 20000, 100000)),
        chunked=chance.random() < 0.4,
        think=chance.choice((0.0, 1.0)),
        size=size,
        delay=chance.choice((0.0, 0.01, 0.5)),
        ailment=ailment,
    )


def _storm(chance: random.Random) -> tuple[Visit, ...]:
    """Many requests at once, and every answer is a failure that may be tried elsewhere."""
    numbers = iter(range(1, 1000))
    kind = chance.choice(("reset_unanswered", "close_unanswered"))
    ailment = Ailment(kind, times=9)
    return tuple(
        Visit(
            number,
            5.0 + chance.random() / 2,
            "keeps",
            tuple(Ask(next(numbers), ailment=ailment) for _ in range(2)),
        )
        for number in range(45)
    )


def _ask(chance: random.Random, number: int, manner: str, ailing: float) -> Ask:
    odd = chance.random()
    if odd < 0.02:
        return Ask(number, "BAD")
    if odd < 0.05 and not manner.startswith("old"):
        return Ask(number, local=True)
    method = chance.choice(_METHODS)
    if odd > 0.96 and manner in ("keeps", "slow", "leaves", "resets", "leaves_midway", "dribbles"):
        method = "WS"
    elif odd > 0.95:
        method = "PURGE"  # Which nobody knows.
    if manner == "uploads" and method not in ("POST", "PUT", "PATCH"):
        method = chance.choice(("POST", "PUT"))
    if manner == "dribbles" and method == "HEAD":
        method = "GET"  # An answer to half a head cannot know that there is to be no body.
    upload = 0
    if method == "WS":
        upload = chance.choice((0, 1, 700, 9000, 70000))
    if method in ("POST", "PUT", "PATCH"):
        upload = chance.choice((0, 1, 50, 700, 9000))
        if manner == "uploads":
            upload = chance.choice((700, 9000, 30000, 70000, 100000, 200000))
    size = _size(chance)
    if manner == "slow" and chance.random() < 0.3:
        size = 500_000  # More than may wait for its client.
    ailment = None
    if chance.random() < ailing:
        kind = chance.choice(AILMENTS)
        if kind == "extra":  # It has to come in the same segment.
            size = min(size, 300)
        elif kind == "trickle":
            size = min(size, 5000)
        elif kind == "reads_late" and upload and manner in ("keeps", "pipelines"):
            upload = 500_000  # More than may wait for its backend.
        ailment = Ailment(
            kind,
            at=chance.choice((0, 1, size // 2, max(size - 1, 0))),
            times=chance.choice((1, 1, 2, 9)),
        )
    return Ask(
        number,
        method,
        keyed=method in ("POST", "PATCH", "PURGE") and chance.random() < 0.4,
        upload=upload,
        chunked=not manner.startswith("old") and chance.random() < 0.4,
        expect=not manner.startswith("old") and chance.random() < 0.2,
        waits=chance.random() < 0.5,
        think=chance.choice((0.0, 0.0, 0.0, 0.05, 1.0, 4.0)),
        size=size,
        framing=chance.choice(("length", "length", "length", "chunked", "chunked", "close")),
        hints=chance.choice((0, 0, 0, 0, 1, 2)),
        delay=chance.choice((0.0, 0.001, 0.001, 0.05, 0.6)),
        closes=chance.random() < 0.1,
        ailment=ailment,
    )


def _size(chance: random.Random) -> int:
    return chance.choice((0, 1, 80, 80, 300, 3000, chance.randint(0, 5000), 17000, 70000, 150000))


def _shape(chance: random.Random) -> Shape:
    return Shape(
        latency=chance.choice((0.0001, 0.0002, 0.001, 0.02)),
        capacity=chance.choice((4000, 16000, 65536, 262144)),
        fine=chance.choice((0, 0, 0, 0, 40, 40, 300)),
    )


def _accidents(chance: random.Random, workers: int) -> list[Fault]:
    """What befalls several workers: each once, since who ends twice is waited for."""
    if workers == 1:
        return []
    return [
        Fault(
            chance.choice(staff.KINDS),
            chance.uniform(1.0, SPAN),
            place,
            chance.choice((0.5, 4.0, 15.0)),
        )
        for place in range(workers)
        if chance.random() < 0.5
    ]


def _faults(chance: random.Random, backends: int, workers: int) -> tuple[Fault, ...]:
    drawn = [
        Fault(
            chance.choice(tuple(faults.KINDS)),
            chance.uniform(0.0, SPAN),
            chance.randrange(backends),
            chance.choice((0.1, 1.0, 3.0, 8.0)),
        )
        for _ in range(chance.randint(1, 8))
    ]
    if chance.random() < 0.2:
        seconds = chance.choice((0.3, 2.0, 7.0))
        drawn.append(Fault(faults.PAUSE, chance.uniform(0.0, SPAN), seconds=seconds))
    drawn += _accidents(chance, workers)
    if chance.random() < 0.25:
        drain = Fault("drain", chance.uniform(3.0, SPAN))
        drawn.append(drain)
        if chance.random() < 0.5:
            drawn.append(attrs.evolve(drain, kind="end_now", at=drain.at + chance.uniform(0, 3)))
    return tuple(sorted(drawn, key=lambda fault: fault.at))


#: What people do to a backend, one after the other.
_COURSES = (
    ("drained",),
    ("drained", "undrained"),
    ("drained", "undrained"),
    ("weighed",),
    ("weighed", "unweighed"),
    ("weighed", "drained", "undrained", "unweighed"),
    ("drained", "weighed"),
    ("undrained", "unweighed"),
)


def _changes(chance: random.Random, backends: int) -> tuple[Change, ...]:
    """What people do: mostly to one backend, which is drained for some reason, and taken back."""
    drawn = []
    for place in chance.sample(range(backends), chance.choice((1, 1, 2))):
        at = chance.uniform(1.0, SPAN)
        for kind in chance.choice(_COURSES):
            weight, seconds = chance.choice((1, 2, 5)), chance.choice((None, None, 1.0, 5.0))
            seconds = None if kind in ("undrained", "unweighed") else seconds
            drawn.append(Change(kind, at, place, weight, seconds))
            at += chance.choice((0.01, 0.5, 3.0, 6.0))
    return tuple(drawn)
