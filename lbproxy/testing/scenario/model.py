"""A scenario as frozen values: their fields are the keys of its file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import attrs

from lbproxy.config import kinds
from lbproxy.config.kinds import Kind, Named, elements, expected, table, text
from lbproxy.config.model import CountOrZero, Flag, Seconds, SecondsOrZero, Share, Text
from lbproxy.testing.scenario.expectation import Expectation, expectation

#: Stands for all backends of the config.
ALL = "*"

#: The longest scenario: a day.
LONGEST = 86_400.0

#: The most bytes of a body, either way.
LARGEST = 1_048_576

#: The standard score that 99 % of a normal distribution stay below.
_Z99 = 2.3263478740408408

_share = kinds.number("a share", 0.0, 1_000_000.0, above=True)
_size = kinds.count("bytes", 0, LARGEST)


def _targets(value: object) -> tuple[str, ...]:
    """A backend's name, or several."""
    return tuple(text(each) for each in (elements(value) if isinstance(value, list) else [value]))


def _methods(value: object) -> tuple[tuple[str, float], ...]:
    """Methods, each with its share."""
    if not table(value):
        raise expected("at least one method", value)
    return tuple((kinds.method(name), _share.read(each)) for name, each in table(value).items())


def _sizes(value: object) -> tuple[int, int]:
    """Bytes: a number, or the least and the most of them."""
    both = value if isinstance(value, list) and len(value) == 2 else (value, value)
    least, most = map(_size.read, both)
    if least > most:
        raise expected("the smaller number first", value)
    return least, most


def _path(value: object) -> str:
    """What is asked for."""
    path = text(value)
    if not path.startswith("/") or not path.isascii() or " " in path or "#" in path:
        raise expected('a path that begins with "/", percent-encoded', path)
    return path


Duration = Annotated[float, kinds.number("seconds", 0.0, LONGEST, above=True)]
Rate = Annotated[float, kinds.number("requests per second", 0.0, 100_000.0, above=True)]
Bytes = Annotated[int, _size]
Targets = Annotated[tuple[str, ...], Kind(_targets)]
ServerError = Annotated[int, kinds.count("a status", 500, 599)]


@attrs.frozen
class Latency:
    """How long a backend works at a request: a log-normal distribution.

    Attributes:
        median: Half of the requests take less.
        p99: One in a hundred takes more; without it all take the median.
    """

    median: Seconds = 0.01
    p99: Seconds | None = None

    @property
    def sigma(self) -> float:
        """The spread of the logarithm."""
        return 0.0 if self.p99 is None else math.log(self.p99 / self.median) / _Z99


@attrs.frozen
class Behaviour:
    """How a backend is while it is well.

    Attributes:
        name: Which one; `*` is all that have no table of their own.
        capacity: Requests that it works at at once, probes among them; more wait in it, in order.
        keep_alive: Seconds for which it keeps an idle connection; 0 is not at all. By default
            what the config says of it.
        size: Bytes of its answers.
    """

    name: Text
    latency: Latency = Latency()
    capacity: Annotated[int, kinds.count("a whole number", 1, 1_000_000)] = 100
    keep_alive: SecondsOrZero | None = None
    size: Annotated[tuple[int, int], Kind(_sizes)] = (200, 200)


@attrs.frozen
class Load:
    """Requests that come whether or not those before them are answered.

    Attributes:
        rate: How many a second.
        arrivals: `random`, with no regard to each other, or `even`, in equal distances.
        start: When the first ones come.
        end: When no more come; by default the scenario's end.
        listener: Where; by default the first one in HTTP mode.
        host: What they ask in `Host`; `localhost` by default.
        paths: What they ask for, in equal shares.
        methods: How, each with its share.
        headers: Fields that each has.
        body: Bytes of the body of those that have one: POST, PUT and PATCH.
        keyed: The share of POST and PATCH that have an `Idempotency-Key`.
        clients: How many keep their connection for the next request. If all of them wait for an
            answer, a request comes on a connection of its own.
        patience: Seconds after which a client gives up.
    """

    rate: Rate
    arrivals: Annotated[str, kinds.one_of(("random", "even"))] = "random"
    start: SecondsOrZero = 0.0
    end: Seconds | None = None
    listener: Text | None = None
    host: Annotated[str, Kind(kinds.host)] | None = None
    paths: tuple[Annotated[str, Kind(_path)], ...] = ("/",)
    methods: Annotated[tuple[tuple[str, float], ...], Kind(_methods)] = (("GET", 1.0),)
    headers: Annotated[tuple[tuple[str, str], ...], Kind(kinds.headers)] = ()
    body: Annotated[tuple[int, int], Kind(_sizes)] = (100, 100)
    keyed: Share = 0.0
    clients: CountOrZero = 20
    patience: Seconds = 60.0


@attrs.frozen
class Event:
    """Something that befalls backends; one of the first fields says what.

    Attributes:
        at: When, in seconds from the beginning.
        kill: Its process ends in the middle of whatever it is; nobody listens any more.
        stop: It finishes what runs, and takes nothing new; then nobody listens any more.
        restart: It stops and comes back; several do so one after another.
        hang: Its process stands still; the kernel goes on accepting for it.
        refuse: New connections are refused, those that stand go on.
        unplug: Nothing comes through, either way.
        slow: Each answer, also to probes, is late.
        errors: A part of all answers, but to probes, is an error.
        drain: Probes are answered with 503, all else is served.
        flap: It is killed and comes back, again and again.
        back: All that befell it is over.
        seconds: How long it lasts, if not until `back`; of `restart` how long each is away, of
            `flap` how long it goes on.
        every: Of `flap` the seconds from one turn to the next, of `restart` from one to the next.
        by: Of `slow` by how many seconds.
        share: Of `errors` which part.
        status: Of `errors` which one.
        graceful: Of `restart` whether it finishes what runs; else it is killed.
    """

    at: SecondsOrZero
    kill: Targets | None = None
    stop: Targets | None = None
    restart: Targets | None = None
    hang: Targets | None = None
    refuse: Targets | None = None
    unplug: Targets | None = None
    slow: Targets | None = None
    errors: Targets | None = None
    drain: Targets | None = None
    flap: Targets | None = None
    back: Targets | None = None
    seconds: Seconds | None = None
    every: Seconds | None = None
    by: Seconds | None = None
    share: Share | None = None
    status: ServerError | None = None
    graceful: Flag | None = None

    def befalls(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What, and whom; once in a file that is right."""
        for verb in VERBS:
            targets: tuple[str, ...] | None = getattr(self, verb)
            if targets is not None:
                yield verb, targets


#: What can befall a backend: the keys of an event that name one.
VERBS = (
    "kill",
    "stop",
    "restart",
    "hang",
    "refuse",
    "unplug",
    "slow",
    "errors",
    "drain",
    "flap",
    "back",
)


@attrs.frozen
class Network:
    """How long bytes take, one way.

    Attributes:
        clients: From a client to the balancer.
        backends: From the balancer to a backend.
    """

    clients: Seconds = 0.0005
    backends: Seconds = 0.0005


@attrs.frozen
class Scenario:
    """All of it.

    Attributes:
        duration: Virtual seconds for which requests come.
        load: The requests.
        seed: Decides all chance.
        backends: How they are while they are well.
        events: What befalls them.
        expect: What has to hold in the end; by default that none fails and none is doubled.
    """

    duration: Duration
    load: tuple[Load, ...]
    seed: Annotated[int, kinds.count("a whole number", 0, 2**63 - 1)] = 1
    network: Network = Network()
    backends: Annotated[tuple[Behaviour, ...], Named(Behaviour)] = ()
    events: tuple[Event, ...] = ()
    expect: tuple[Annotated[Expectation, Kind(expectation)], ...] = (
        expectation("failed == 0"),
        expectation("doubled == 0"),
    )
