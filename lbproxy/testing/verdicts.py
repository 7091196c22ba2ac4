"""Who is up and who is out, and that nobody is chosen who must not be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from lbproxy.balance.standing import State
from lbproxy.testing.inside import number_of
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.seen import History
from lbproxy.testing.world import World

#: States in which nobody is sent to a backend, unless all others have them too.
_OUT = {State.DOWN, State.EJECTED}


def the_last_stays(world: World) -> Iterator[str]:
    """Nobody is put out while no other one is left."""
    for pool in world.pools:
        out: set[str] = set()
        for turn in world.turns:
            weights = {each.name: world.operator.weight(each, turn.at) for each in pool.backends}
            if turn.backend not in weights:
                continue
            if turn.state in _OUT:
                out.add(turn.backend)
            else:
                out.discard(turn.backend)
            left = [name for name, weight in weights.items() if weight and name not in out]
            if turn.state is State.EJECTED and weights[turn.backend] and not left:
                yield f"{turn.backend} was put out, and was the last one"


def verdicts_follow_probes(world: World) -> Iterator[str]:
    """A backend's verdict turns after `rise` passes or `fall` failures in a row: not before."""
    health = world.pool.health
    if health is None:
        return
    for backend in world.backends:
        up, known, streak = True, False, 0
        for probe in world.probed:
            if probe.backend != backend.name:
                continue
            if not known:
                known, up = True, probe.passed
            elif probe.passed is up:
                streak = 0
            else:
                streak += 1
                if streak >= (health.rise if probe.passed else health.fall):
                    up, streak = probe.passed, 0
            if probe.up is not up:
                state = "up" if probe.up else "down"
                yield f"{backend.name} counts as {state} too soon or too late"
                return
            since = probe.at - health.timeout - world.paused - 0.05
            if probe.passed and not any(
                since <= at <= probe.at and status < 300 for at, status in backend.probes[::-1]
            ):
                yield f"{backend.name} passed a probe that it had not answered well"


def probes_go_on(world: World, until: float) -> Iterator[str]:
    """Each backend is probed again and again, to the end."""
    health = world.pool.health
    if health is None:
        return
    longest = health.interval * 1.1 + health.timeout + world.paused + 1.0
    for backend in world.backends:
        since, gone = world.weights.time_of(backend.name)
        last = min(until, gone)
        moments = [probe.at for probe in world.probed if probe.backend == backend.name]
        for before, after in pairwise([max(EPOCH, since), *moments, last]):
            if after - before > longest and after <= last:
                yield f"{backend.name} was not probed for {after - before:.1f} s"


def only_the_well_are_chosen(world: World) -> Iterator[str]:
    """No request goes to a backend that is down, ejected, or has no weight."""
    history = History(world.weights.names, world.turns)
    for record, _ in world.records:
        if number_of(record) is None:
            continue
        for attempt in record.attempts:
            name, now = attempt.backend, attempt.started
            since = now - world.lag - world.paused
            if not any(world.weights.within(name, since, now)):
                yield f"{name} has no weight, and was chosen at {now - EPOCH:.3f}"
            # Out for so long that everybody had heard of it.
            elif history.within(name, now - world.lag, now) <= _OUT and not attempt.degraded:
                yield f"{name} was chosen at {now - EPOCH:.3f} although it was out"


def drains_are_heard(world: World) -> Iterator[str]:
    """Who says that it takes nothing new gets nothing, until it says so no more or is down."""
    drains: dict[str, list[tuple[float, bool]]] = {}
    for backend in world.backends:
        history = drains[backend.name] = [(0.0, False)]
        for probe in world.probed:
            if probe.backend != backend.name:
                continue
            if probe.passed:
                said = [drain for at, drain in backend.said if at <= probe.at]
                history.append((probe.at, said[-1] if said else False))
            elif not probe.up:
                history.append((probe.at, False))
    for record, _ in world.records:
        if number_of(record) is None:
            continue
        for attempt in record.attempts:
            history = drains.get(attempt.backend, [(0.0, False)])
            place = bisect_right(history, attempt.started, key=lambda heard: heard[0])
            at, drain = history[place - 1]
            if drain and at < attempt.started - world.lag:
                yield f"{attempt.backend} was chosen at {attempt.started - EPOCH:.3f}, and drains"


def ejections_end(world: World, until: float) -> Iterator[str]:
    """Who is put out is let back when its time is over, and was not the last one.

    Sooner only by a probe, which may have seen that a port that was shut is open again.
    """
    open_ones: dict[str, float] = {}
    passed = {(probe.backend, probe.at) for probe in world.probed if probe.passed}
    for turn in world.turns:
        due = open_ones.pop(turn.backend, None)
        early = due is not None and turn.state is State.UP and turn.at < due - 1e-6
        if due is not None and early and (turn.backend, turn.at) not in passed:
            yield f"{turn.backend} was let back {due - turn.at:.3f} s too early"
        if due is not None and turn.at > due + world.paused + 0.1:
            yield f"{turn.backend} was let back {turn.at - due:.3f} s too late"
        if turn.state is State.EJECTED:
            open_ones[turn.backend] = turn.until
    for name, due in open_ones.items():
        if due + 0.1 < until and world.operator.is_there(name):
            yield f"{name} was never let back"
