"""Who is up and who is out, and that nobody is chosen who must not be."""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from lbproxy.balance.standing import State
from lbproxy.probe.prober import CHANGING, TICK
from lbproxy.testing.inside import number_of
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.seen import History
from lbproxy.testing.world import World

#: States in which nobody is sent to a backend, unless all others have them too.
_OUT = {State.DOWN, State.EJECTED}

#: What broke an attempt where nobody listens.
_REFUSED = os.strerror(errno.ECONNREFUSED)

#: What a backend says of itself, and since when that counts.
_History = list[tuple[float, dict[str, Any]]]

#: What everybody says at first.
_NOTHING: _History = [(0.0, {})]


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


def the_refused_are_probed(world: World, until: float) -> Iterator[str]:
    """Who refuses a connection is probed at once, or has just been about to be.

    Looked at are lives with one worker: another one's word may be lost with it.
    """
    health = world.pool.health
    if health is None or world.staff is not None:
        return
    longest = CHANGING + TICK + health.timeout + world.paused + 0.1
    for record, ended in world.records:
        if number_of(record) is None:
            continue
        hedged = any(attempt.hedge for attempt in record.attempts)
        nexts = [ended if hedged else attempt.started for attempt in record.attempts[1:]]
        for attempt, over in zip(record.attempts, [*nexts, ended], strict=False):
            name, since, due = attempt.backend, attempt.started, over + longest
            known, gone = world.weights.time_of(name)
            if attempt.detail != _REFUSED or known > since or due > min(gone, until):
                continue
            if not any(
                probe.backend == name and since <= probe.at <= due for probe in world.probed
            ):
                yield f"{name} refused a connection at {since - EPOCH:.3f}, and was not probed"


def drains_are_heard(world: World) -> Iterator[str]:
    """Who says that it takes nothing new gets nothing, until it says so no more or is down."""
    heard = _heard(world)
    for record, _ in world.records:
        if number_of(record) is None:
            continue
        for attempt in record.attempts:
            history = heard.get(attempt.backend, _NOTHING)
            place = bisect_right(history, attempt.started, key=_when)
            at, says = history[place - 1]
            drains = "drain" in says or says.get("weight") == 0
            if drains and at < attempt.started - world.lag:
                yield f"{attempt.backend} was chosen at {attempt.started - EPOCH:.3f}, and drains"


def capacities_are_kept(world: World) -> Iterator[str]:
    """Who says how much it can take is given nothing beyond its part of that."""
    heard = _heard(world)
    for begun in world.begun:
        history = heard.get(begun.backend, _NOTHING)
        first = bisect_right(history, begun.at - world.lag, key=_when) - 1
        counting = history[first : bisect_right(history, begun.at, key=_when)]
        capacities = [says["capacity"] for _, says in counting if "capacity" in says]
        if len(capacities) < len(counting):
            continue
        if 0 in world.weights.within(begun.backend, counting[0][0], begun.at):
            continue  # It may have left and come again, and has said nothing since.
        world.happened("capacity_used")
        most = max(-(-capacity // world.plan.config.workers) for capacity in capacities)
        if begun.in_flight > most:
            many = f"{begun.in_flight} under way, and {most} is its part"
            yield f"{begun.backend} has {many} at {begun.at - EPOCH:.3f}"


def _heard(world: World) -> dict[str, _History]:
    """What each backend says of itself, as far as it counts, and since when."""
    heard: dict[str, _History] = {}
    for backend in world.backends:
        history = heard[backend.name] = [*_NOTHING]
        for probe in world.probed:
            if probe.backend != backend.name:
                continue
            if probe.passed:
                said = [says for at, says in backend.said if at <= probe.at]
                history.append((probe.at, said[-1] if said else {}))
            elif not probe.up:
                history.append((probe.at, {}))
    return heard


def _when(said: tuple[float, dict[str, Any]]) -> float:
    return said[0]


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
