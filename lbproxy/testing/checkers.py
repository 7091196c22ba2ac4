"""What must be so at the end of a life, whatever befell it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from lbproxy.balance.standing import State
from lbproxy.forward.poison import REFUSED
from lbproxy.testing.clients import Result
from lbproxy.testing.inside import number_of
from lbproxy.testing.plan import Visit
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.world import World

#: What the access log of one worker would have, and when each of it ended.
Records = Sequence[tuple[Any, float]]

#: Reasons of refusals of what could not be read.
_UNREAD = frozenset({"head_timeout", "malformed"})


def one_end_each(world: World) -> Iterator[str]:
    """Each request has exactly one end: an answer, a document, or a cut that its client sees."""
    seen: dict[int, Result] = {}
    for result in world.results:
        number = result.ask.number
        if result.ended is None:
            yield f"{number}, asked at {result.sent - EPOCH:.3f}, never ended"
        if number in seen:
            yield f"{number} was asked twice"
        seen[number] = result
    for number in world.asks.keys() - seen.keys():
        yield f"{number} was never asked"


def ends_in_time(world: World, healed: float, per_request: float) -> Iterator[str]:
    """Once nothing is broken any more, each request ends within its bound."""
    visits = {ask.number: visit for visit in world.plan.visits for ask in visit.asks}
    for result in world.results:
        visit = visits.get(result.ask.number)
        if visit is None or result.ended is None or result.ask.insists:
            continue
        bound = per_request + world.paused + _reading_time(visit, result.ask.size)
        took = result.ended - max(result.sent, healed)
        if took > bound:
            yield f"{result.ask.number} took {took:.3f} s, and {bound:.3f} would be enough"


def _reading_time(visit: Visit, size: int) -> float:
    looks = size / visit.shape.capacity + 1
    slow = visit.patience * looks if visit.manner == "slow" else 0.0
    return (slow + 4 * visit.shape.latency * looks) * len(visit.asks)


def nothing_unsafe_twice(world: World) -> Iterator[str]:
    """What the method forbids to send twice reaches a backend once; anything, not too often."""
    attempts = world.plan.config.pools[0].retry.attempts
    for number, deliveries in world.deliveries.items():
        if world.asks[number].insists:
            continue
        if world.asks[number].unsafe and len(deliveries) > 1:
            reached = [delivery.backend for delivery in deliveries]
            yield f"{number}, which is unsafe to repeat, reached {reached}"
        if len(deliveries) > attempts:
            yield f"{number} was delivered {len(deliveries)} times, and {attempts} are allowed"


def log_tells_the_truth(world: World) -> Iterator[str]:
    """The access log has each exchange once, with all its attempts."""
    pool = world.plan.config.pools[0]
    attempts = pool.retry.attempts
    tried: dict[int, int] = {}
    for record, _ in world.records:
        number = number_of(record)
        if number is None:
            continue
        insists = number in world.asks and world.asks[number].insists > 0
        if number in tried and not insists:
            yield f"{number} is in the log twice"
        tried[number] = len(record.attempts) + (tried.get(number, 0) if insists else 0)
        held = [attempt.decision for attempt in record.attempts].count("hold")
        if len(record.attempts) > attempts * (held + 1):
            yield f"{number} was tried {len(record.attempts)} times, and {attempts} are allowed"
        if record.queued > attempts * (pool.queue.wait + 0.6) + world.paused:
            yield f"{number} waited {record.queued:.3f} s in the queue"
        if any(attempt.outcome is None for attempt in record.attempts):
            yield f"{number} has an attempt in the log that never ended"
    for number, deliveries in world.deliveries.items():
        raw = world.asks[number].method == "RAW"
        # What a worker was about when it was killed is in no log.
        deliveries = [each for each in deliveries if not each.wire.link.skt.kernel.killed]
        if len(deliveries) > tried.get(number, 0) and not raw:
            yield f"{number} reached {len(deliveries)} backends; the log has {tried.get(number)}"
    for result in world.results:
        told = result.how in ("whole", "problem") and result.reason not in _UNREAD
        if told and result.ask.number not in tried and result.ask.method != "BAD":
            yield f"{result.ask.number} was answered, and is not in the log"


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
    begun: dict[str, list[float]] = {name: [] for name in world.weights.configured}
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
    hedge = world.plan.config.pools[0].hedge
    share = 0.0 if hedge is None else hedge.budget
    for records in world.recorded.values():
        yield from _hedges_within(world, records, share)


def _hedges_within(world: World, records: Records, share: float) -> Iterator[str]:
    requests: list[int] = []
    hedges: list[int] = []
    for record, _ in records:
        number = number_of(record)
        if number is None or record.pool is None:
            continue
        requests.append(int(record.started + record.headed))
        made = [attempt for attempt in record.attempts if attempt.hedge]
        hedges += [int(attempt.started) for attempt in made]
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


def poison_is_stopped(world: World) -> Iterator[str]:
    """A request that broke two backends goes to no third one, and is refused: for so long."""
    for records in world.recorded.values():
        yield from _poison_stopped_in(world, records)


def _poison_stopped_in(world: World, records: Records) -> Iterator[str]:
    refused: dict[str, float] = {}
    for record, ended in records:
        number = number_of(record)
        if number is None:
            continue
        begun = record.started + record.headed
        until = refused.get(record.asked, 0.0)
        sent = [attempt for attempt in record.attempts if attempt.started < until - 0.01]
        if record.reason == "poison_request" and not record.attempts:
            world.happened("poison_refused")
            if begun > until + 0.01:
                yield f"{number} was refused for longer than it may be"
        elif sent and begun > until - REFUSED and not record.held:
            yield f"{number} was sent to {sent[0].backend} although it was to be refused"
        if any(attempt.decision == "poison" for attempt in record.attempts):
            world.happened("poison_found")
            refused[record.asked] = ended + REFUSED
        elif world.asks[number].insists and not _in_a_crowd(world, record):
            broken = [each for each in record.attempts if each.outcome == "upstream_closed"]
            if len({each.backend for each in broken}) > 1:
                yield f"{number} broke two backends, and was not found to be to blame"


def _in_a_crowd(world: World, broken: Any) -> bool:
    """Whether others broke at about the same time, so that one may be as much to blame."""
    return any(
        record.asked != broken.asked
        and abs(ended - broken.started) < 4.0
        and any(attempt.outcome == "upstream_closed" for attempt in record.attempts)
        for record, ended in world.records
        if number_of(record) is not None
    )


def the_last_stays(world: World) -> Iterator[str]:
    """Nobody is put out while no other one is left."""
    for pool in world.plan.config.pools:
        out: set[str] = set()
        for turn in world.turns:
            weights = {each.name: world.weight(each, turn.at) for each in pool.backends}
            if turn.backend not in weights:
                continue
            if turn.state in (State.DOWN, State.EJECTED):
                out.add(turn.backend)
            else:
                out.discard(turn.backend)
            left = [name for name, weight in weights.items() if weight and name not in out]
            if turn.state is State.EJECTED and weights[turn.backend] and not left:
                yield f"{turn.backend} was put out, and was the last one"


def budget_kept(world: World) -> Iterator[str]:
    """Retries stay within their share of the requests of the last ten seconds."""
    share = world.plan.config.pools[0].retry.budget
    for records in world.recorded.values():
        yield from _retries_within(records, share)


def _retries_within(records: Records, share: float) -> Iterator[str]:
    requests: list[int] = []
    retries: list[int] = []
    for record, _ in records:
        if number_of(record) is None or not record.attempts:
            continue
        requests.append(int(record.attempts[0].started))
        for attempt, following in pairwise(record.attempts):
            if attempt.decision == "retry":
                retries.append(int(following.started))
    requests.sort()
    retries.sort()
    for place, second in enumerate(retries):
        before = place + 1 - bisect_right(retries, second - 10)
        of = bisect_right(requests, second) - bisect_right(requests, second - 10)
        if before > 31 + share * of:
            yield f"{before} retries in ten seconds, of {of} requests"
            return


def verdicts_follow_probes(world: World) -> Iterator[str]:
    """A backend's verdict turns after `rise` passes or `fall` failures in a row: not before."""
    health = world.plan.config.pools[0].health
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
    health = world.plan.config.pools[0].health
    if health is None:
        return
    longest = health.interval * 1.1 + health.timeout + world.paused + 1.0
    for backend in world.backends:
        moments = [probe.at for probe in world.probed if probe.backend == backend.name]
        for before, after in pairwise([EPOCH, *moments, until]):
            if after - before > longest and after <= until:
                yield f"{backend.name} was not probed for {after - before:.1f} s"


def only_the_well_are_chosen(world: World) -> Iterator[str]:
    """No request goes to a backend that is down, ejected, or has no weight."""
    pool = world.plan.config.pools[0]
    start = State.UNKNOWN if pool.health is not None else State.UP
    history: dict[str, tuple[list[float], list[State]]] = {
        name: ([0.0], [start]) for name in world.weights.configured
    }
    for turn in world.turns:
        if turn.backend not in history:
            continue
        times, states = history[turn.backend]
        times.append(turn.at)
        states.append(turn.state)

    def bad(name: str, now: float) -> bool:
        """Whether it was out, and everybody had heard of it."""
        times, states = history[name]
        first, behind = bisect_right(times, now - world.lag) - 1, bisect_right(times, now)
        return all(state in (State.DOWN, State.EJECTED) for state in states[first:behind])

    for record, _ in world.records:
        if number_of(record) is None:
            continue
        for attempt in record.attempts:
            name, now = attempt.backend, attempt.started
            since = now - world.lag - world.paused
            if not any(world.weights.within(name, since, now)):
                yield f"{name} has no weight, and was chosen at {now - EPOCH:.3f}"
            elif bad(name, now) and not attempt.degraded:
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
            history = drains[attempt.backend]
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
        if due + 0.1 < until:
            yield f"{name} was never let back"
