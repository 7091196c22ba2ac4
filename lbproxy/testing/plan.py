"""What is to happen in one simulated life: values only, so that a part can be left out."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lbproxy.config.model import Backend, Config
from lbproxy.testing.changes import Change
from lbproxy.testing.flow import Shape
from lbproxy.testing.reloads import Reload
from lbproxy.testing.streams.course import Stream
from lbproxy.testing.zone import NameChange, Zone, ever, named_in

#: Methods that a proxy must not send twice unless the client gave a key.
UNSAFE = frozenset({"POST", "PATCH", "PURGE", "RAW"})


@attrs.frozen
class Ailment:
    """What is wrong with an answer.

    Attributes:
        kind: A name of `answers.AILMENTS`.
        at: Bytes of the body that are given before it shows.
        times: How many deliveries of the request suffer from it; those after them are well.
        every: If it is not 0, the first one of so many deliveries suffers from it instead.
    """

    kind: str
    at: int = 0
    times: int = 1
    every: int = 0

    def strikes(self, number: int) -> bool:
        """Whether a delivery suffers from it: the first, the second, and so on."""
        return (number - 1) % self.every == 0 if self.every else number <= self.times


@attrs.frozen
class Ask:
    """One request, and how whoever gets it answers.

    Attributes:
        number: Its own.
        method: As on the wire; `WS` asks with GET to change over to WebSocket, and `BAD` is no
            request at all; `RAW` is a session of TCP mode.
        keyed: Whether it has an `Idempotency-Key`.
        upload: Bytes of its body.
        chunked: Whether the body is framed by chunks.
        expect: Whether it asks for `100 Continue`.
        waits: Whether it waits for that, a second at most.
        local: Whether it asks for the balancer's own report, which no backend hears of.
        think: Seconds before it is sent.
        size: Bytes of the answer's body.
        framing: Of the answer: `length`, `chunked` or `close`.
        hints: How many 1xx answers come first.
        delay: Seconds until the answer.
        closes: Whether the backend closes its connection behind it.
        ailment: What is wrong with the answer, if anything.
        insists: How often it is asked again, every few seconds, as long as that ends in an error.
        popular: Whether it is asked again that often however it ends, and sooner.
        stream: What is said after the answer's head, if that has no end of its own.
    """

    number: int
    method: str = "GET"
    keyed: bool = False
    upload: int = 0
    chunked: bool = False
    expect: bool = False
    waits: bool = False
    local: bool = False
    think: float = 0.0
    size: int = 100
    framing: str = "length"
    hints: int = 0
    delay: float = 0.001
    closes: bool = False
    ailment: Ailment | None = None
    insists: int = 0
    popular: bool = False
    stream: Stream | None = None

    @property
    def unsafe(self) -> bool:
        """Whether it must not be sent twice."""
        return self.method in UNSAFE and (not self.keyed or self.method == "RAW")


@attrs.frozen
class Visit:
    """One client, from its first connection to the end of its last request.

    Attributes:
        number: Its own.
        start: Seconds from the beginning.
        manner: A name of `results.MANNERS`.
        asks: Its requests, in order.
        shape: How its connections carry bytes.
        patience: Seconds after which one who leaves does.
        announced: Whether it comes through another proxy, to the listener for those.
    """

    number: int
    start: float
    manner: str
    asks: tuple[Ask, ...]
    shape: Shape = attrs.field(factory=Shape)
    patience: float = 0.0
    announced: bool = False

    @property
    def source(self) -> str:
        """The client's address."""
        return f"10.0.2.{self.number % 250 + 1}"


@attrs.frozen
class Fault:
    """Something that befalls a backend, or the balancer.

    Attributes:
        kind: A name of `faults.KINDS`.
        at: Seconds from the beginning.
        backend: Which one, by its place in the pool.
        seconds: How long it lasts.
    """

    kind: str
    at: float
    backend: int = 0
    seconds: float = 0.0


@attrs.frozen
class Refusal:
    """A reload that is refused.

    Attributes:
        at: Seconds from the beginning.
        kind: Why, of `refusals.KINDS`.
        port: One that nobody has, and that is opened and closed again: of its own, since that of
            another one may only be about to be closed.
    """

    at: float
    kind: str
    port: int


@attrs.frozen
class Takeover:
    """Another balancer takes the place of this one, once all is well; both have the same sockets.

    Attributes:
        kind: When it is started, of `takeover.KINDS`.
        begin: Seconds until one of the two hears of it.
        between: Seconds from the start of the second one until the first one is told to end, or
            from the end of the first one to that start.
        pause: Seconds for which nobody does anything just before the first one is told: then some
            wait to be accepted.
        visits: Who comes meanwhile.
    """

    kind: str
    begin: float
    between: float
    pause: float
    visits: tuple[Visit, ...]

    @property
    def told(self) -> float:
        """Seconds until the first one is told to end."""
        return self.begin + (self.between if self.kind == "taken_over_ahead" else 0.0)


@attrs.frozen
class Rolling:
    """Somebody rolls the first pool.

    Attributes:
        at: Seconds from the beginning.
        timeout: Its `--timeout`.
        pause: Its `--pause`.
        force: Its `--force`.
        downs: For how many seconds each of those that are restarted is not there, in order.
        fails: Which restart's command ends badly, if one does.
        interrupted: Seconds after which it is interrupted, at the latest.
    """

    at: float
    timeout: float
    pause: float | None
    force: bool
    downs: tuple[float, ...]
    fails: int | None
    interrupted: float


@attrs.frozen
class Plan:
    """A life.

    Attributes:
        seed: Decides all that is not written here: how pieces are cut, what comes first.
        config: What the balancer runs with.
        keep_alive: Seconds for which the backends really keep an idle connection.
        shapes: Those of connections to backends.
        visits: The clients.
        faults: What befalls the backends.
        changes: What people change meanwhile.
        reloads: Other configs that are read meanwhile.
        refusals: Reloads that change nothing.
        zone: What DNS has at first of the first pool's name, if it has one.
        renamings: What changes about that meanwhile.
        takeover: Who comes after this balancer, if anybody does.
        rolling: Who rolls, if somebody does.
    """

    seed: int
    config: Config
    keep_alive: float
    shapes: tuple[Shape, ...]
    visits: tuple[Visit, ...]
    faults: tuple[Fault, ...]
    changes: tuple[Change, ...] = ()
    reloads: tuple[Reload, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    zone: Zone | None = None
    renamings: tuple[NameChange, ...] = ()
    takeover: Takeover | None = None
    rolling: Rolling | None = None

    @property
    def named(self) -> Backend | None:
        """The backend that has a name in the place of an address, at some time."""
        return next(filter(None, map(named_in, self.configs)), None)

    @property
    def configs(self) -> tuple[Config, ...]:
        """All that it runs with, one after the other."""
        return (self.config, *(reload.config for reload in self.reloads))

    def with_configs(self, configs: Iterable[Config]) -> Plan:
        """The plan with others in the place of all `configs`."""
        config, *others = configs
        reloads = (
            attrs.evolve(reload, config=other)
            for reload, other in zip(self.reloads, others, strict=True)
        )
        return attrs.evolve(self, config=config, reloads=tuple(reloads))

    @property
    def ever(self) -> tuple[Backend, ...]:
        """All backends that the first pool has at some time, but for one that is only a name."""
        found = {each.name: each for config in self.configs for each in config.pools[0].backends}
        named = self.named
        if named is None or self.zone is None:
            return tuple(found.values())
        del found[named.name]
        return (*found.values(), *ever(named, self.zone, self.renamings))

    @property
    def asks(self) -> int:
        """How many requests there are."""
        return sum(len(visit.asks) for visit in self.visits)
