"""What befalls the backends, the connections and the balancer, by the plan's clock."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Protocol

from lbproxy.testing import staff
from lbproxy.testing.backends import Backend
from lbproxy.testing.link import Link, Wire
from lbproxy.testing.network import Door
from lbproxy.testing.plan import Fault


class Connected(Protocol):
    """A client."""

    @property
    def wire(self) -> Wire | None:
        """Its connection, if there is one."""


class Surroundings(Protocol):
    """What a fault needs of the world."""

    clock: Any
    chance: random.Random
    struck: list[Backend]
    clients: Sequence[Connected]

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def happened(self, kind: str) -> None:
        """Count a fault that really happened."""

    def pause(self, seconds: float) -> None:
        """Have the balancer's process stand still, while all else goes on."""

    def strike(self, fault: Fault) -> bool:
        """Let something befall the process of a worker; false if there is none."""

    def drain(self) -> None:
        """Have the balancer finish what runs, and end."""

    def end_now(self) -> None:
        """Have the balancer end what runs."""


#: What a fault does; it gives what undoes it.
Act = Callable[[Surroundings, Backend], Callable[[], None] | None]


def _kill(world: Surroundings, backend: Backend) -> Callable[[], None]:
    backend.kill()
    return backend.start


def _restart_all(world: Surroundings, backend: Backend) -> Callable[[], None]:
    """Every backend restarts at once, as after a change that somebody rolls out too fast."""
    for each in world.struck:
        each.kill()

    def back() -> None:
        for each in world.struck:
            each.start()

    return back


def _refuse(world: Surroundings, backend: Backend) -> Callable[[], None]:
    """No new connections, while those that stand go on."""
    backend.host.door = Door.REFUSING
    return backend.start


#: What `connect` itself may give: where no route leads to, and of a Unix socket where nobody
#: listens, or whose queue is full.
_AT_ONCE = (errno.ENETUNREACH, errno.ECONNREFUSED, errno.EAGAIN)


def _no_way(world: Surroundings, backend: Backend) -> Callable[[], None]:
    """New connections fail at once, while those that stand go on."""
    backend.host.door = Door.NO_WAY
    backend.host.error = world.chance.choice(_AT_ONCE)
    return backend.start


def _dark(world: Surroundings, backend: Backend) -> Callable[[], None]:
    backend.unplug()
    return backend.plug_in


def _freeze(world: Surroundings, backend: Backend) -> Callable[[], None]:
    backend.freeze()
    return backend.thaw


def _slow(world: Surroundings, backend: Backend) -> Callable[[], None]:
    backend.slow = 0.7

    def back() -> None:
        backend.slow = 0.0

    return back


def _late_door(world: Surroundings, backend: Backend) -> Callable[[], None]:
    """Connections stand after a while only, some of them too late."""
    backend.host.delay = world.chance.choice((0.2, 0.9, 3.0))

    def back() -> None:
        backend.host.delay = 0.0

    return back


def _lie_ill(world: Surroundings, backend: Backend) -> Callable[[], None]:
    return _answer_probes(backend, lambda: 503)


def _lie_well(world: Surroundings, backend: Backend) -> Callable[[], None]:
    """Probes pass, and nothing else does."""
    backend.sour = True

    def back() -> None:
        backend.sour = False

    return back


def _flap(world: Surroundings, backend: Backend) -> Callable[[], None]:
    turns = count()
    pattern = world.chance.choice(((200, 503), (503, 503, 200), (503, 503, 503, 200)))
    return _answer_probes(backend, lambda: pattern[next(turns) % len(pattern)])


def _drains_itself(world: Surroundings, backend: Backend) -> Callable[[], None]:
    return _say(backend, {"drain": True})


def _asks_for_one(world: Surroundings, backend: Backend) -> Callable[[], None]:
    return _say(backend, {"capacity": 1})


def _asks_for_less(world: Surroundings, backend: Backend) -> Callable[[], None]:
    """Less work, or something that nobody can make sense of."""
    words = ({"capacity": 1}, {"weight": 0}, {"weight": 1, "capacity": 2}, {"weight": "none"})
    return _say(backend, world.chance.choice(words))


def _say(backend: Backend, words: dict[str, Any]) -> Callable[[], None]:
    backend.says = words

    def back() -> None:
        backend.says = {}

    return back


def _answer_probes(backend: Backend, status: Callable[[], int]) -> Callable[[], None]:
    backend.probe_answer = status

    def back() -> None:
        backend.probe_answer = lambda: 200

    return back


def _reset_link(world: Surroundings, backend: Backend) -> None:
    """One connection breaks, in whatever it is doing."""
    link = _some_link(world, backend)
    if link is not None:
        link.wire.reset()


def _stall_link(world: Surroundings, backend: Backend) -> Callable[[], None] | None:
    """One connection carries nothing any more, one way."""
    link = _some_link(world, backend)
    if link is None:
        return None
    flow = world.chance.choice((link.to_balancer, link.from_balancer))
    flow.stall()
    return flow.go_on


def _end_links(world: Surroundings, backend: Backend) -> None:
    """The backend closes its connections in order, busy or not, as a restart does."""
    for link in backend.host.prune():
        if link.wire.ends_body:
            link.wire.reset()
        else:
            link.wire.close()


def _reset_client(world: Surroundings, backend: Backend) -> None:
    """The connection of a client breaks, in whatever it is doing."""
    wire = _some_client(world)
    if wire is not None:
        wire.link.reset_by_network()


def _stall_client(world: Surroundings, backend: Backend) -> Callable[[], None] | None:
    """The connection of a client carries nothing any more, one way."""
    wire = _some_client(world)
    if wire is None:
        return None
    flow = world.chance.choice((wire.link.to_balancer, wire.link.from_balancer))
    flow.stall()
    return flow.go_on


def _some_client(world: Surroundings) -> Wire | None:
    wires = [client.wire for client in world.clients if client.wire is not None]
    return world.chance.choice(wires) if wires else None


def _some_link(world: Surroundings, backend: Backend) -> Link | None:
    links = backend.host.prune()
    if not links:
        return None
    world.happened("link")
    return world.chance.choice(links)


#: What can befall a backend.
KINDS: dict[str, Act] = {
    "kill": _kill,
    "restart_all": _restart_all,
    "refuse": _refuse,
    "dark": _dark,
    "freeze": _freeze,
    "slow": _slow,
    "late_door": _late_door,
    "lie_ill": _lie_ill,
    "lie_well": _lie_well,
    "flap": _flap,
    "drains_itself": _drains_itself,
    "asks_for_less": _asks_for_less,
    "reset_link": _reset_link,
    "stall_link": _stall_link,
    "end_links": _end_links,
    "reset_client": _reset_client,
    "stall_client": _stall_client,
}

#: And what befalls it only where a crowd waits (`crowd.py`).
OF_CROWDS: dict[str, Act] = {
    "no_way": _no_way,
    "asks_for_one": _asks_for_one,
}

#: Those that need a connection to happen to.
_OF_LINKS = frozenset({"stall_link", "stall_client"})

#: What can befall the balancer: it is told to end, and told again.
STOPS = ("drain", "end_now")

#: And its process stands still for a while, as when its machine has too much to do.
PAUSE = "pause"


def begin(world: Surroundings, fault: Fault) -> None:
    """Let a fault happen now, and end when its time is over."""
    world.tell("fault", fault.kind, fault.backend)
    if fault.kind in STOPS:
        world.happened(fault.kind)
        (world.drain if fault.kind == "drain" else world.end_now)()
        return
    if fault.kind in staff.KINDS:
        if world.strike(fault):
            world.happened(fault.kind)
        return
    if fault.kind == PAUSE:
        world.happened(fault.kind)
        world.pause(fault.seconds)
        return
    backend = world.struck[fault.backend % len(world.struck)]
    back = (KINDS | OF_CROWDS)[fault.kind](world, backend)
    if back is None and fault.kind in _OF_LINKS:
        return
    world.happened(fault.kind)
    if back is not None:

        def over() -> None:
            world.tell("over", fault.kind, fault.backend)
            back()

        world.clock.callLater(fault.seconds, over)
