"""Whether the right tier was chosen, and anybody at all while there was somebody."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from math import inf

from lbproxy.balance.backend import AVAILABLE
from lbproxy.balance.standing import State
from lbproxy.testing.inside import number_of
from lbproxy.testing.naming import SERVICE
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.world import World

#: With a limit from here on a backend has always room for one more: so many never come at once.
_MANY = 256


class Standings:
    """Who was well, and when, as the balancer judged it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._times: dict[str, list[float]] = {name: [] for name in world.weights.names}
        self._states: dict[str, list[State]] = {name: [] for name in world.weights.names}
        for turn in world.turns:
            if turn.backend in self._times:
                self._times[turn.backend].append(turn.at)
                self._states[turn.backend].append(turn.state)

    def all_well(self, name: str, begin: float, end: float) -> bool:
        """Whether a backend could be chosen at each moment of a time."""
        times, states = self._times[name], self._states[name]
        first, behind = bisect_left(times, begin) - 1, bisect_right(times, end)
        well = all(state in AVAILABLE for state in states[max(first, 0) : behind])
        return well and 0 not in self._world.weights.within(name, begin, end)


def backups_wait(world: World) -> Iterator[str]:
    """Nobody is sent to a backup while all of the first tier are well and have room."""
    pool, named = world.pool, world.plan.named
    if named is not None and named.address == SERVICE:
        return  # Of its members now this one is a backup, now that one.
    backups = {each.name for each in world.pools[0].backends if each.backup}
    crowded = pool.max_in_flight < _MANY
    # What befalls a backend may be felt before it is judged by it.
    struck = min((fault.at for fault in world.plan.faults), default=inf)
    standings = Standings(world)
    for record, _ in world.records:
        if number_of(record) is None or not backups:
            continue
        for attempt in record.attempts:
            if attempt.backend in backups:
                world.happened("backup_chosen")
        if crowded or not record.attempts:
            continue
        first = record.attempts[0]
        if first.backend not in backups or first.degraded:
            continue
        now = first.started
        since = now - world.lag - world.paused
        if now - EPOCH < struck and _bears_all(world, standings, backups, since, now):
            yield f"{first.backend}, a backup, was chosen at {now - EPOCH:.3f}"


def _bears_all(
    world: World, standings: Standings, backups: set[str], begin: float, end: float
) -> bool:
    """Whether each of the first tier that counts could be chosen for all of a time."""
    weights = world.weights
    names = [name for name in weights.names if name not in backups]
    counting = [name for name in names if weights.within(name, begin, end) != {0}]
    return bool(counting) and all(standings.all_well(name, begin, end) for name in counting)


def nobody_is_refused_for_nothing(world: World) -> Iterator[str]:
    """Who hears that there is no backend has come when there was none."""
    standings = Standings(world)
    for record, ended in world.records:
        number = number_of(record)
        if number is None or record.reason != "no_backend" or record.attempts:
            continue
        begin = min(record.started + record.headed, ended - world.lag - world.paused)
        for name in world.weights.names:
            if standings.all_well(name, begin, ended):
                yield f"{number} was refused at {ended - EPOCH:.3f}, and {name} was well"
