"""A breaker of the first pool: drawn for some of the lives, and what it may do and has to."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import attrs

from lbproxy.balance.pool import GATEWAY_STATUSES
from lbproxy.config.model import Breaker
from lbproxy.health.breaker import GOOD, State
from lbproxy.health.window import WINDOW
from lbproxy.testing.plan import Plan
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.reloads import with_first
from lbproxy.testing.world import World

#: What is counted.
KINDS = (
    "breaker_opened",
    "breaker_half_open",
    "breaker_closed",
    "breaker_refused",
    "breaker_other",
)

#: Decisions after which nothing follows a failed attempt, and it counts.
_LAST = frozenset(
    (
        *("not_safe", "attempts_spent", "body_not_kept"),
        *("all_fail_alike", "no_other_backend", "budget_spent", "two_broke"),
    )
)

#: Seconds that two moments may differ by, and be the same.
_SAME = 1e-6


def drawn(chance: random.Random, plan: Plan) -> Plan:
    """A plan with a breaker, or as it is.

    Args:
        chance: Draws it.
        plan: What else is to be.
    """
    if chance.random() < 0.7:
        return plan
    breaker: Breaker | None = _breaker(chance)
    configs = [with_first(plan.config, breaker=breaker)]
    for reload in plan.reloads:
        if chance.random() < 0.2:
            breaker = chance.choice((None, _breaker(chance)))
        configs.append(with_first(reload.config, breaker=breaker))
    return plan.with_configs(configs)


def _breaker(chance: random.Random) -> Breaker:
    return Breaker(
        chance.choice((0.3, 0.5, 0.8)), chance.choice((2, 3, 5)), chance.choice((0.5, 2.0, 6.0))
    )


@attrs.frozen
class _End:
    """What a breaker hears of a request.

    Attributes:
        at: When.
        came: When the request had come.
        failed: Whether it failed.
        cut: Whether it counts already, since its answer had begun well.
    """

    at: float
    came: float
    failed: bool
    cut: bool = False


@attrs.define
class _Log:
    """What a worker has logged of requests to the pool.

    Attributes:
        ends: What the breaker heard of them, in order.
        refused: When it has refused one, in order.
        running: From when to when each of the others was under way, until it was heard of.
        begun: When each of the others was first sent to a backend.
    """

    ends: list[_End]
    refused: list[float]
    running: list[tuple[float, float]]
    begun: list[float]


def _read(records: Sequence[tuple[Any, float]]) -> _Log:
    log = _Log([], [], [], [])
    for record, ended in records:
        if record.pool != "api":
            continue
        came, heard = record.started + record.headed, ended
        if record.attempts:
            log.begun.append(record.attempts[0].started)
        if record.reason == "breaker_open":
            log.refused.append(ended)
            continue
        for end in _ends(record, came, ended):
            heard = min(heard, end.at)
            log.ends.append(end)
        log.running.append((came, heard))
    log.ends.sort(key=lambda end: end.at)
    log.refused.sort()
    return log


def _ends(record: Any, came: float, ended: float) -> Iterator[_End]:
    for attempt in record.attempts:
        if attempt.outcome in ("answered", "answer_cut") and attempt.first_byte is not None:
            at, failed = attempt.started + attempt.first_byte, record.status in GATEWAY_STATUSES
            yield _End(at, came, failed)
            cut = attempt.outcome == "answer_cut" and int(ended) - int(at) < WINDOW
            if cut and not failed:
                yield _End(ended, came, True, cut=True)
            return
    if record.reason in ("poison_request", "client_gone", "stopped"):
        return
    if any(attempt.decision in _LAST for attempt in record.attempts):
        yield _End(ended, came, True)


def breakers_do_right(world: World) -> Iterator[str]:
    """A breaker refuses when enough has failed, for as long as it may, and only then."""
    breakers = [config.pools[0].breaker for config in world.plan.configs]
    there = [breaker for breaker in breakers if breaker is not None]
    changes = any(breaker != breakers[0] for breaker in breakers)
    if changes:
        world.happened("breaker_other")
    for pid, records in world.recorded.items():
        log = _read(records)
        world.counts["breaker_refused"] += len(log.refused)
        if not there:
            if log.refused:
                yield "a breaker refused, and there is none"
            continue
        if world.was_killed(pid):
            continue  # What ran then is in no log, and may have counted.
        yield from _for_a_reason(log, there)
        turns = world.breaker_turns[pid]
        yield from _no_longer(log, turns, max(breaker.open for breaker in there))
        if not changes:
            yield from _opens(log, turns, there[0])
            yield from _keeps_off(log, turns)


def _for_a_reason(log: _Log, breakers: Sequence[Breaker]) -> Iterator[str]:
    """Nobody is refused before so many had failed, within ten seconds, as it takes."""
    if not log.refused:
        return
    enough = min(breaker.requests for breaker in breakers)
    least = min(max(1, ceil(each.share * each.requests - 1e-9)) for each in breakers)
    first = log.refused[0]
    before = [end for end in log.ends if end.at <= first + _SAME]
    for last in before:
        late = [end for end in before if last.at - WINDOW <= end.at <= last.at]
        failed = sum(end.failed for end in late)
        if failed >= least and sum(not end.cut for end in late) >= enough:
            return
    yield f"the breaker refused at {first - EPOCH:.3f}, and too little had failed before"


def _no_longer(log: _Log, turns: Sequence[Any], longest: float) -> Iterator[str]:
    """Nobody is refused when its time is over and nobody is tried, nor after enough good trials."""
    failures = [end.at for end in log.ends if end.failed]
    for now in log.refused:
        place = bisect_right(failures, now + _SAME)
        if not place:
            continue  # Which `_for_a_reason` has told.
        last = failures[place - 1]
        times = sum(turn.state is State.OPEN and turn.at <= now + _SAME for turn in turns)
        tried = any(came <= now and heard >= now - _SAME for came, heard in log.running)
        if now > last + longest * times + _SAME and not tried:
            yield f"the breaker refused at {now - EPOCH:.3f}, and nobody was tried"
        good = sum(
            not end.failed and end.came > last + _SAME and end.at < now - _SAME for end in log.ends
        )
        if good >= GOOD:
            yield f"the breaker refused at {now - EPOCH:.3f}, and {good} trials had been good"


def _opens(log: _Log, turns: Sequence[Any], breaker: Breaker) -> Iterator[str]:
    """It opens, the first time, with the failure that makes enough fail."""
    opened = next((turn.at for turn in turns if turn.state is State.OPEN), None)
    times = [end.at for end in log.ends]
    for place, last in enumerate(log.ends):
        near = times[max(0, place - 1) : place + 2]
        if not last.failed or sum(abs(at - last.at) < _SAME for at in near) > 1:
            continue  # Which of them came first nobody knows.
        since = int(last.at) - WINDOW
        late = [end for end in log.ends[: place + 1] if int(end.at) > since]
        requests, failed = sum(not end.cut for end in late), sum(end.failed for end in late)
        if requests >= breaker.requests and failed >= breaker.share * requests:
            if opened is None or opened > last.at + _SAME:
                yield f"{failed} of {requests} failed at {last.at - EPOCH:.3f}, and nothing opened"
            return


def _keeps_off(log: _Log, turns: Sequence[Any]) -> Iterator[str]:
    """While it is open nobody who has not been sent before is sent to a backend."""
    for turn in turns:
        if turn.state is State.OPEN:
            for begun in log.begun:
                if turn.at + _SAME < begun < turn.until - _SAME:
                    yield f"a request was sent at {begun - EPOCH:.3f}, and the breaker was open"
                    return
