"""Who is put out for what live traffic shows: when it has to be, and never before.

Looked at are lives with one worker and without hedges: there it is clear what came first. Of some
failures it is known exactly when the pool heard of them: those behind which another attempt began.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import attrs

from lbproxy.balance.backend import AVAILABLE
from lbproxy.balance.pool import GATEWAY_STATUSES
from lbproxy.balance.standing import State
from lbproxy.errors import Stage
from lbproxy.health.alike import FRESH
from lbproxy.health.ejection import FIRST, IN_ROW, MOST
from lbproxy.observe.accesslog import Record
from lbproxy.testing.choices import is_well
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.seen import History
from lbproxy.testing.world import World

#: How far an attempt got that was broken off.
_BROKEN = frozenset({Stage.SENT.value, Stage.ANSWERED.value})


@attrs.frozen
class _Try:
    """An attempt.

    Attributes:
        started: When it was chosen.
        over: When it had ended, at the latest.
        passed: When a head was there that did not say 502, 503 or 504, if one was.
        failed: When the pool heard that it had failed, if that is known.
        good: Whether it was answered, and nothing was wrong with that.
        broken: Whether it was broken off before a head, or told the pool nothing.
    """

    started: float
    over: float
    passed: float | None
    failed: float | None
    good: bool
    broken: bool


def ejections_have_their_cause(world: World) -> Iterator[str]:
    """Nobody is put out who has not failed often enough since he was let back."""
    if world.staff is not None:
        return
    tries = _tries(world)
    since: dict[str, float] = {}
    for turn in world.turns:
        if turn.state is not State.EJECTED or turn.backend not in world.weights.names:
            continue
        before = since.get(turn.backend, 0.0)
        failures = sum(
            not each.good and each.started <= turn.at and each.over >= before
            for each in tries[turn.backend]
        )
        if failures < IN_ROW:  # Half of ten is as many.
            yield f"{turn.backend} was put out at {turn.at - EPOCH:.3f} for {failures} failures"
        since[turn.backend] = turn.at


def ejections_have_their_length(world: World) -> Iterator[str]:
    """The n-th time somebody is put out takes n times as long, until he has been well for long."""
    times: Counter[str] = Counter()
    until: dict[str, float] = {}
    for turn in world.turns:
        if turn.state is not State.EJECTED:
            continue
        if turn.at - until.get(turn.backend, 0.0) > MOST:
            times[turn.backend] = 0
        times[turn.backend] += 1
        until[turn.backend] = turn.until
        # One that has left DNS and come again begins anew.
        fewest = times[turn.backend] if world.plan.named is None else 1
        seconds = turn.until - turn.at
        if not any(
            abs(seconds - min(FIRST * each, MOST)) < 1e-6
            for each in range(fewest, times[turn.backend] + 1)
        ):
            yield f"{turn.backend} was put out for {seconds:.3f} s, time {times[turn.backend]}"


def who_fails_is_put_out(world: World) -> Iterator[str]:
    """Who fails five times in a row is put out, while somebody else is well."""
    if not _is_clear(world):
        return
    tries, history = _tries(world), History(world.weights.names, world.turns)
    for name in world.weights.names:
        failures = sorted(each.failed for each in tries[name] if each.failed is not None)
        passes = [each.passed for each in tries[name] if each.passed is not None]
        for place in range(IN_ROW - 1, len(failures)):
            first, last = failures[place - IN_ROW + 1], failures[place]
            if any(first <= passed <= last for passed in passes):
                continue
            if not _is_there(world, history, name, first, last):
                continue
            if any(
                _is_there(world, history, other, first, last) and _is_good(tries[other], last)
                for other in world.weights.names
                if other != name
            ):
                yield f"{name} was not put out at {last - EPOCH:.3f}, and failed {IN_ROW} times"
                return


def nobody_is_put_out_with_all(world: World) -> Iterator[str]:
    """Nobody is put out for breaking off what he is sent while all others have just done that."""
    if not _is_clear(world) or world.plan.named is not None:
        return
    tries, history = _tries(world), History(world.weights.names, world.turns)
    for turn in world.turns:
        now, name = turn.at, turn.backend
        if turn.state is not State.EJECTED or name not in world.weights.names:
            continue
        present = [each for each in tries[name] if each.started <= now <= each.over]
        if not present or not all(each.broken for each in present):
            continue
        others = [
            other
            for other in world.weights.names
            if other != name
            and world.weights.within(other, now, now) != {0}
            and history.within(other, now, now) & AVAILABLE
        ]
        if others and all(_breaks(world, tries[other], other, now) for other in others):
            yield f"{name} was put out at {now - EPOCH:.3f}, and all broke off what they were sent"


def _breaks(world: World, tries: Sequence[_Try], name: str, now: float) -> bool:
    """Whether the last that was heard of a backend is that it broke something off, just now."""
    ends = [each.failed for each in tries if each.broken and each.failed is not None]
    last = max((end for end in ends if now - FRESH < end < now), default=None)
    if last is None or 0 in world.weights.within(name, last, now):
        return False
    if any(turn.backend == name and last <= turn.at <= now for turn in world.turns):
        return False
    return not any(not each.broken and each.started <= now and each.over >= last for each in tries)


def _is_good(tries: Sequence[_Try], now: float) -> bool:
    """Whether the last that was heard of a backend is good, or nothing was heard of it at all."""
    passes = [each.passed for each in tries if each.good and each.passed is not None]
    last = max((passed for passed in passes if passed <= now), default=0.0)
    return all(each.good for each in tries if each.started <= now and each.over >= last)


def _is_clear(world: World) -> bool:
    ejects = all(config.pools[0].ejection for config in world.plan.configs)
    return world.staff is None and world.pool.hedge is None and ejects


def _is_there(world: World, history: History, name: str, begin: float, end: float) -> bool:
    """Whether a backend could be chosen at each moment of a time, and nothing else was known."""
    if any(each.has_wanted_less for each in world.backends if each.name == name):
        return False
    return is_well(world, history, name, begin, end)


def _tries(world: World) -> dict[str, list[_Try]]:
    """All attempts at each backend."""
    tries: dict[str, list[_Try]] = defaultdict(list)
    for record, ended in world.records:
        if not isinstance(record, Record):
            continue
        waited = record.queued or record.held  # So one may have ended before the next one began.
        hedged = any(attempt.hedge for attempt in record.attempts)
        nexts = [ended if hedged else attempt.started for attempt in record.attempts[1:]]
        for place, attempt in enumerate(record.attempts):
            follows = place < len(nexts)
            over = nexts[place] if follows else ended
            heard = attempt.stage is not None and attempt.outcome != "reused_connection_closed"
            answered = attempt.outcome == "answered" and attempt.stage is None
            passed = failed = None
            if attempt.first_byte is not None:
                passed = attempt.started + attempt.first_byte
            if answered and record.status in GATEWAY_STATUSES:
                passed, failed = None, passed
            elif heard and follows and not waited and not hedged:
                failed = over
            tries[attempt.backend].append(
                _Try(
                    attempt.started,
                    over,
                    passed,
                    failed,
                    answered and record.status < 499,  # Who is gone was told nothing.
                    attempt.first_byte is None and (not heard or attempt.stage in _BROKEN),
                )
            )
    return tries
