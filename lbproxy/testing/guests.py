"""Who comes while another balancer takes over, and what must become of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from lbproxy.testing.clients import Client
from lbproxy.testing.inside import number_of
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.link import Wire
from lbproxy.testing.people import MOMENT
from lbproxy.testing.plan import Ask, Visit
from lbproxy.testing.results import Result
from lbproxy.testing.streams.client import Follower, Trail
from lbproxy.testing.world import World


class Street:
    """What guests need of their world.

    Attributes:
        clock: Time.
        ending: A balancer ends.
        deliveries: For each request those that reached a backend.
        absent: How many guests have not come, or not gone.
    """

    ending = True

    def __init__(self, world: World, absent: int) -> None:
        self.clock: Any = world.clock
        self.absent = absent
        self.deliveries = world.deliveries
        self.tell, self.happened = world.tell, world.happened
        self.violation, self.dial = world.violation, world.dial

    def visited(self, client: object) -> None:
        """One has nothing more to do."""
        self.absent -= 1


class Guest(Client):
    """One who comes meanwhile.

    Attributes:
        places: For each request on which connection it was, and how many were before it there.
    """

    _world: Street

    def __init__(self, street: Street, visit: Visit) -> None:
        super().__init__(street, visit)
        self.places: dict[int, tuple[int, int]] = {}

    def on_connected(self, wire: Wire) -> None:
        self._before = 0
        super().on_connected(wire)

    def _send(self, ask: Ask) -> None:
        self.places[ask.number] = len(self.wires) - 1, self._before
        self._before += 1
        super()._send(ask)


def guests_are_served(
    world: World, records: Iterable[Any], kernels: Collection[Kernel], sure: bool
) -> Iterator[str]:
    """Nobody is refused or cut, and all are answered, by one of the two balancers.

    Args:
        world: All.
        records: What the access log of the second one would have.
        kernels: Those of its processes.
        sure: Whether nothing but a balancer could keep anybody from an answer.
    """
    logged = Counter(number_of(record) for record, _ in world.records)
    logged.update(number_of(record) for record in records)
    for guest in world.guests:
        yield from _come_to_the_next_one(world, guest, kernels)
        for result in guest.results:
            number = result.ask.number
            reached = world.deliveries.pop(number, [])  # Which no other checker is to look for.
            if result.ended is None:
                continue  # As is said of anybody.
            well = result.how == "whole" and result.status == 200
            if isinstance(guest, Guest) and result.how == "cut":
                well = _is_over(world, result)
                if not reached and _met_the_end(world, guest, result):
                    world.happened("met_the_end")
                    well = True
            elif isinstance(guest, Follower) and result.how == "followed":
                trail = next(each for each in guest.trails if each.result is result)
                well = _is_followed(trail, trail.wire.link.skt.kernel in kernels)
            # Whether a breaker may refuse, `breakers.py` knows.
            may_be = result.how == "problem" and (not sure or result.reason == "breaker_open")
            if not (well or may_be):
                said = f"{result.how} {result.status} {result.reason}".strip()
                yield f"{number} ended as {said} while a balancer took over"
            if result.how in ("whole", "problem", "followed") and logged[number] != 1:
                yield f"{number} is {logged[number]} times in the logs of both balancers"
            if result.ask.method == "POST" and len(reached) > 1:
                yield f"{number}, which is unsafe to repeat, reached {len(reached)} backends"


def _come_to_the_next_one(
    world: World, guest: Client | Follower, kernels: Collection[Kernel]
) -> Iterator[str]:
    """Who connects when the first one has heard that it is to end comes to the second one."""
    assert world.stopping_since is not None
    for wire in guest.wires:
        if wire.link.stood_at > world.stopping_since + world.lag:
            world.happened("met_successor")
            if wire.link.skt.kernel not in kernels:
                yield f"{guest.visit.number} connected to a balancer that ends"


def _is_over(world: World, result: Result) -> bool:
    """Whether the first one had no more time for it."""
    assert world.stopping_since is not None and result.ended is not None
    return result.ended >= world.stopping_since + world.plan.config.stop.drain


def _met_the_end(world: World, guest: Guest, result: Result) -> bool:
    """Whether it was on its way while the first one closed the connection, which had been used."""
    place, before = guest.places[result.ask.number]
    assert world.stopping_since is not None and world.plan.takeover is not None
    assert result.ended is not None
    trip, pause = guest.wires[place].link.latency, world.plan.takeover.pause
    late = result.sent + trip > world.stopping_since - pause - MOMENT
    soon = result.ended - result.sent <= 2 * trip + pause + 0.001
    return before > 0 and not result.status and late and soon


def _is_followed(trail: Trail, whole: bool) -> bool:
    """Whether events ended between two of them, or behind the last one if nothing ended them."""
    stream = trail.result.ask.stream
    assert stream is not None
    size = sum(len(piece.data) for piece in stream.down.pieces)
    return not trail.inside and (not whole or trail.got == size)
