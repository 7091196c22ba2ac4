"""What a pool may do about failures, and how often: retries, hedges, holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from lbproxy.balance.standing import State
from lbproxy.forward.percentile import BETWEEN
from lbproxy.testing.inside import number_of
from lbproxy.testing.world import World

#: What the access log of one worker would have, and when each of it ended.
Records = Sequence[tuple[Any, float]]


def held_within_bounds(world: World) -> Iterator[str]:
    """No more requests are held at a time than may be, and none for longer."""
    hold = world.served.pools[0].hold_when_down
    for record, _ in world.records:
        number = number_of(record)
        if number is None or not record.held:
            continue
        world.happened("held")
        if hold is None:
            yield f"{number} was held, and nobody asked for that"
        elif record.held > hold.seconds + 0.6 + world.paused:
            yield f"{number} was held for {record.held:.3f} s"
    if hold is not None and world.most_held > hold.requests:
        yield f"{world.most_held} requests were held at a time, and {hold.requests} may be"


def the_held_go_on(world: World) -> Iterator[str]:
    """Nobody is held to the end of his time while a backend is back to which nothing is sent."""
    begun: dict[str, list[float]] = {name: [] for name in world.weights.names}
    for record, _ in world.records:
        if number_of(record) is not None:
            for attempt in record.attempts:
                begun.setdefault(attempt.backend, []).append(attempt.started)
    for record, ended in world.records:
        if record.reason != "hold_expired":
            continue
        last = {turn.backend: turn for turn in world.turns if turn.at <= ended}
        for name in begun.keys() & last.keys():
            turn = last[name]
            since = max(turn.at, ended - record.held)
            if 0 in world.weights.within(name, since, ended):
                continue
            if turn.state is not State.UP or turn.at != since or ended - since < 1.0 + world.paused:
                continue
            if not any(since <= at <= ended for at in begun[name]):
                yield f"{number_of(record)} was held although {name} was back"


def hedges_within_bounds(world: World) -> Iterator[str]:
    """Hedges are for GET and HEAD, one a request, and within their share of the requests."""
    hedge = world.pool.hedge
    share = 0.0 if hedge is None else hedge.budget
    # With other settings the account begins anew.
    share *= len({config.pools[0].hedge for config in world.plan.configs})
    for records in whole_logs(world):
        yield from _hedges_within(world, records, share)


def _hedges_within(world: World, records: Records, share: float) -> Iterator[str]:
    requests: list[int] = []
    hedges: list[int] = []
    for record, _ in records:
        number = number_of(record)
        if record.pool != "api":
            continue
        requests.append(int(record.started + record.headed))
        made = [attempt for attempt in record.attempts if attempt.hedge]
        hedges += [int(attempt.started) for attempt in made]
        if number is None:
            continue
        if made and (world.asks[number].method not in ("GET", "HEAD") or len(made) > 1):
            yield f"{number} was hedged {len(made)} times"
        outcomes = [attempt.outcome for attempt in record.attempts]
        if outcomes.count("outrun") > len(made):
            yield f"{number} has an attempt that was outrun by nobody"
    requests.sort()
    hedges.sort()
    for place, second in enumerate(hedges):
        world.happened("hedged")
        before = place + 1 - bisect_right(hedges, second - 10)
        of = bisect_right(requests, second) - bisect_right(requests, second - 11)
        if before > share * of:
            yield f"{before} hedges in ten seconds, of {of} requests"
            return


def whole_logs(world: World) -> Iterator[Records]:
    """What each worker has logged, but for those that were killed: what ran then is in no log."""
    for pid, records in world.recorded.items():
        if not world.was_killed(pid):
            yield records


def hedges_come_late(world: World) -> Iterator[str]:
    """No hedge begins before its time, nor before there are answers of which it is a percentile."""
    hedges = [config.pools[0].hedge for config in world.plan.configs]
    afters = {hedge.after for hedge in hedges if hedge is not None}
    for records in whole_logs(world):
        taken = sorted(_taken(records))
        least = min((seconds for _, seconds in taken), default=0.0)
        due = min((after if isinstance(after, float) else least for after in afters), default=0.0)
        for record, _ in records:
            if number_of(record) is None:
                continue
            for late in (attempt for attempt in record.attempts if attempt.hedge):
                seconds = late.started - record.attempts[0].started
                if not any(isinstance(after, float) for after in afters):
                    for after in afters:
                        world.happened(f"hedged_{after}")
                    if bisect_right(taken, (late.started, inf)) < BETWEEN:
                        yield f"{number_of(record)} was hedged before there was a percentile"
                if seconds < due - 1e-6:
                    yield f"{number_of(record)} was hedged after {seconds:.6f} s"


def _taken(records: Records) -> Iterator[tuple[float, float]]:
    """When attempts ended that a percentile may be of, or before that, and what they took."""
    for record, _ in records:
        for attempt in record.attempts if record.pool == "api" else ():
            if attempt.hedge:
                continue
            if attempt.first_byte is not None:
                yield attempt.started + attempt.first_byte, attempt.first_byte
            elif attempt.outcome == "outrun":  # That took longer than others did.
                yield attempt.started, inf


def budget_kept(world: World) -> Iterator[str]:
    """Retries stay within their share of the requests of the last ten seconds."""
    share = world.pool.retry.budget
    for records in whole_logs(world):
        yield from _retries_within(records, share)


def _retries_within(records: Records, share: float) -> Iterator[str]:
    requests: list[int] = []
    retries: list[int] = []
    for record, _ in records:
        if record.pool != "api":
            continue
        requests.append(int(record.started + record.headed))
        for place, attempt in enumerate(record.attempts):
            behind = (each for each in record.attempts[place + 1 :] if not each.hedge)
            following = next(behind, None)
            # When one was granted that then had to wait its log does not say.
            granted = attempt.decision == "retry" and not record.queued
            if granted and following is not None:
                retries.append(int(following.started))
    requests.sort()
    retries.sort()
    for place, second in enumerate(retries):
        before = place + 1 - bisect_right(retries, second - 10)
        of = bisect_right(requests, second) - bisect_right(requests, second - 10)
        if before > 31 + share * of:
            yield f"{before} retries in ten seconds, of {of} requests"
            return
