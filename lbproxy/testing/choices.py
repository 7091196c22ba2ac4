"""Whether the right tier was chosen, and anybody at all while there was somebody."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from lbproxy.balance.backend import AVAILABLE
from lbproxy.testing.inside import number_of
from lbproxy.testing.naming import SERVICE
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.seen import History
from lbproxy.testing.world import World

#: With a limit from here on a backend has always room for one more: so many never come at once.
_MANY = 256


def backups_wait(world: World) -> Iterator[str]:
    """Nobody is sent to a backup while all of the first tier are well and have room."""
    pool, named = world.pool, world.plan.named
    if named is not None and named.address == SERVICE:
        return  # Of its members now this one is a backup, now that one.
    backups = {each.name for each in world.pools[0].backends if each.backup}
    crowded = pool.max_in_flight < _MANY
    # What befalls a backend may be felt before it is judged by it.
    struck = min((fault.at for fault in world.plan.faults), default=inf)
    history = History(world.weights.names, world.turns)
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
        if now - EPOCH < struck and _bears_all(world, history, backups, since, now):
            yield f"{first.backend}, a backup, was chosen at {now - EPOCH:.3f}"


def the_last_resort_is_tried(world: World) -> Iterator[str]:
    """Who hears that there is no backend has come when no port accepted connections either.

    Looked at are lives with one worker in which each backend has always room for one more.
    """
    configs, faults = world.plan.configs, world.plan.faults
    crowded = any(config.pools[0].max_in_flight < _MANY for config in configs)
    if world.staff is not None or crowded or any(each.kind == "asks_for_less" for each in faults):
        return
    for record, ended in world.records:
        number = number_of(record)
        if number is not None and any(attempt.degraded for attempt in record.attempts):
            world.happened("last_resort")
        if number is None or record.reason != "no_backend" or record.attempts or record.held:
            continue
        begin = min(record.started + record.headed, ended - world.lag - world.paused)
        for name in world.weights.names:
            if _accepts(world, name, begin, ended):
                yield f"{number} was refused at {ended - EPOCH:.3f}, and {name} accepts"


def _accepts(world: World, name: str, begin: float, end: float) -> bool:
    """Whether all that was heard of a backend's port, for all of a time, is that it accepts."""
    probes = [probe for probe in world.probed if probe.backend == name and probe.at <= end]
    before = [probe.at for probe in probes if probe.at < begin]
    since = before[-1] if before else inf
    if not before or not all(probe.reached for probe in probes if probe.at >= since):
        return False
    if 0 in world.weights.within(name, since, end):
        return False
    return not any(
        attempt.backend == name and attempt.outcome == "connect_failed" and ended >= since
        for record, ended in world.records
        for attempt in record.attempts
    )


def _bears_all(world: World, history: History, backups: set[str], begin: float, end: float) -> bool:
    """Whether each of the first tier that counts could be chosen for all of a time."""
    weights = world.weights
    names = [name for name in weights.names if name not in backups]
    counting = [name for name in names if weights.within(name, begin, end) != {0}]
    return bool(counting) and all(is_well(world, history, name, begin, end) for name in counting)


def is_well(world: World, history: History, name: str, begin: float, end: float) -> bool:
    """Whether a backend could be chosen at each moment of a time."""
    if world.plan.named is not None and name == world.plan.named.name:
        return False  # Nothing is known of it, and where nobody probes nobody is told that.
    well = history.within(name, begin, end) <= AVAILABLE
    return well and 0 not in world.weights.within(name, begin, end)


def nobody_is_refused_for_nothing(world: World) -> Iterator[str]:
    """Who hears that there is no backend has come when there was none."""
    history = History(world.weights.names, world.turns)
    for record, ended in world.records:
        number = number_of(record)
        if number is None or record.reason != "no_backend" or record.attempts:
            continue
        begin = min(record.started + record.headed, ended - world.lag - world.paused)
        for name in world.weights.names:
            if is_well(world, history, name, begin, ended):
                yield f"{number} was refused at {ended - EPOCH:.3f}, and {name} was well"
