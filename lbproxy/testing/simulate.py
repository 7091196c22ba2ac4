"""One life from its plan to its verdict."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from lbproxy.balance.standing import State
from lbproxy.config.model import Pool
from lbproxy.health.said import NOTHING
from lbproxy.probe.prober import CHANGING, FIRST_ROUND, TICK
from lbproxy.testing import (
    alike,
    blame,
    bounds,
    breakers,
    checkers,
    choices,
    counting,
    ejections,
    hearing,
    named,
    passed,
    peace,
    refusals,
    rolls,
    served,
    tries,
    verdicts,
    waiting,
)
from lbproxy.testing.changes import Change
from lbproxy.testing.complaints import Complaints
from lbproxy.testing.draw import SPAN, plan_of
from lbproxy.testing.fair import fair
from lbproxy.testing.faults import PAUSE
from lbproxy.testing.flow import Shape
from lbproxy.testing.plan import Ask, Plan, Visit
from lbproxy.testing.processes import BOOT
from lbproxy.testing.reactor import EPOCH, Spinning
from lbproxy.testing.streams.ends import streams_end_well
from lbproxy.testing.successor import takes_over
from lbproxy.testing.world import World

#: Seconds after which a life that has not come to its end never will.
LONGEST = 900.0

#: Requests that show whether all backends get their share again.
CALM = 24

#: Where the numbers of those begin.
CALM_NUMBERS = 100_000

#: Seconds after the last client until the balancer holds nothing for any of them.
SETTLED = 4.0


@attrs.frozen
class Outcome:
    """What came of a plan.

    Attributes:
        plan: It.
        violations: What must not have happened; none if all is well.
        counts: How often each kind of fault happened.
        ends: How often requests ended in each way.
        seconds: Virtual seconds that passed.
        digest: Of the trace: equal lives have equal ones.
        trace: What happened: when, in which turn, and what.
    """

    plan: Plan
    violations: tuple[str, ...]
    counts: Counter[str]
    ends: Counter[str]
    seconds: float
    digest: str
    trace: tuple[tuple[Any, ...], ...] = attrs.field(repr=False)


def run(seed: int) -> Outcome:
    """Live the life that a seed stands for."""
    return live(plan_of(seed))


def live(plan: Plan) -> Outcome:
    """Live a plan, and judge it."""
    with collected(), refusals.known(), passed.known(), Complaints() as complaints:
        world = World(plan)
        try:
            for violation in _story(world):
                world.violation(violation)
        except Spinning as spinning:
            world.violation(str(spinning))
        ends = Counter(f"{result.how} {result.reason}".strip() for result in world.results)
        violations, trace, counts = world.violations, world.trace, world.counts
        seconds, due = world.reactor.now - EPOCH, world.due
        # Nothing of it may be left: what is, the next life would freeze. And a Deferred that failed
        # unheard says so when it goes.
        del world
        gc.collect()
    for said in complaints.said:
        if not any(part in said for part in due):
            violations.append(f"{seconds:.6f} logged: {said}")
    return Outcome(
        plan,
        tuple(violations),
        counts,
        ends,
        seconds,
        hashlib.sha256(repr(trace).encode()).hexdigest()[:16],
        tuple(trace),
    )


@contextmanager
def collected() -> Iterator[None]:
    """Without a collection in the middle, so that what the last one finds is this life's.

    What was there before is not looked at: that would take most of the time. In a process that
    only lives lives nobody collects in between either (`batch.quiet`).
    """
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        if enabled:
            gc.unfreeze()
            gc.enable()


def _story(world: World) -> Iterator[str]:
    """First all that is planned, then peace, then the end."""
    plan, reactor = world.plan, world.reactor
    world.start()
    # What is due while the process stands still begins, and so ends, that much later.
    standstills = sum(fault.seconds for fault in plan.faults if fault.kind == PAUSE)
    healed = (
        EPOCH
        + standstills
        + max(
            SPAN,
            *(fault.at + fault.seconds for fault in plan.faults),
            *(change.at + (change.seconds or 0.0) for change in plan.changes),
            *(reload.at + FIRST_ROUND for reload in plan.reloads),
            *(refusal.at for refusal in plan.refusals),
            *(renaming.at + renaming.seconds for renaming in plan.renamings),
            0.0,
        )
    )
    reactor.run_until(healed)
    roller = world.roller
    if roller is not None:
        reactor.run_until(EPOCH + standstills + roller.latest, lambda: roller.settled)
        healed = reactor.now
    reactor.run_until(healed + LONGEST, lambda: world.deserted)
    stopping = world.stopped is not None
    if world.deserted and not stopping:
        yield from _calm(world)
        yield from takes_over(world)
    yield from _end(world)
    until = world.stopping_since or reactor.now
    world.counts["change_over"] += world.weights.over(until)
    yield from checkers.one_end_each(world)
    yield from checkers.ends_in_time(world, healed, _per_request(world.pool))
    yield from checkers.nothing_unsafe_twice(world)
    yield from checkers.orders_mean_what_they_say(world)
    yield from checkers.log_tells_the_truth(world)
    yield from bounds.budget_kept(world)
    yield from bounds.held_within_bounds(world)
    yield from bounds.the_held_go_on(world)
    yield from bounds.hedges_within_bounds(world)
    yield from bounds.hedges_come_late(world)
    yield from tries.tries_end_in_time(world)
    yield from tries.errors_are_tried_elsewhere(world)
    yield from blame.poison_is_stopped(world)
    yield from blame.the_answered_are_not_blamed(world)
    yield from alike.nothing_in_vain(world)
    yield from breakers.breakers_do_right(world)
    yield from verdicts.the_last_stays(world)
    yield from verdicts.verdicts_follow_probes(world)
    yield from verdicts.probes_go_on(world, until)
    yield from verdicts.only_the_well_are_chosen(world)
    yield from verdicts.drains_are_heard(world)
    yield from verdicts.capacities_are_kept(world)
    yield from verdicts.the_refused_are_probed(world, until)
    yield from verdicts.ejections_end(world, until)
    yield from ejections.ejections_have_their_cause(world)
    yield from ejections.ejections_have_their_length(world)
    yield from ejections.who_fails_is_put_out(world)
    yield from ejections.nobody_is_put_out_with_all(world)
    yield from choices.backups_wait(world)
    yield from choices.nobody_is_refused_for_nothing(world)
    yield from choices.the_last_resort_is_tried(world)
    yield from hearing.policies_hear_of_attempts(world)
    yield from named.names_are_asked_again(world, until)
    yield from named.the_gone_are_left_alone(world)
    yield from named.the_unknown_are_not_chosen(world)
    yield from served.nobody_waits_in_vain(world, until)
    yield from served.leaving_cuts_nothing(world)
    yield from waiting.waits_are_logged(world)
    yield from streams_end_well(world)
    yield from counting.counts_add_up(world)
    yield from rolls.rolls_go_well(world)
    yield from peace.nothing_fails(world)


def _per_request(pool: Pool) -> float:
    """Seconds in which a request ends one way or the other, if nobody holds it up."""
    timeouts = pool.timeouts
    attempt = timeouts.connect + timeouts.first_byte + 2 * timeouts.read + 2.0
    hold = 0.0 if pool.hold_when_down is None else pool.hold_when_down.seconds + attempt
    return hold + pool.retry.attempts * (attempt + pool.queue.wait) + timeouts.stream + 15.0


def _calm(world: World) -> Iterator[str]:
    """All come back, and each gets its share."""
    reactor = world.reactor
    settled = SETTLED
    if any(visit.manner == "session" for visit in world.plan.visits):
        # Whether somebody who has closed is gone, or only has nothing more to say, nobody knows.
        settled += 1.5 * max(each.pools[1].timeouts.stream for each in world.plan.configs)
    reactor.run_until(reactor.now + SETTLED)
    reactor.run_until(reactor.now + settled, lambda: not any(world.inside.busy()))
    for left in world.inside.busy():
        yield f"there is no client, and still {left}"
    if world.names is not None:
        yield from named.names_settle(world)
    bound = _recovery(world)
    if not reactor.run_until(reactor.now + bound, lambda: _all_well(world)):
        states = [each.state.value for each in world.inside.judged[0].backends]
        yield f"not all backends were back after {bound:.1f} s: {states}"
        return
    if not any(world.weights.at(name, reactor.now) for name in world.weights.names):
        for place in range(len(world.weights.names) + 1):  # And all of a name.
            world.operator.change(Change("weighed", 0.0, place))
        reactor.run_until(reactor.now + bound, lambda: _all_well(world))
    if world.staff is not None:  # The workers hear a moment later that all are well.
        reactor.run_until(reactor.now + world.staff.lag)
    asks = tuple(Ask(CALM_NUMBERS + number) for number in range(CALM))
    client = world.visit(Visit(CALM_NUMBERS, 0.0, "keeps", asks, Shape(0.0005)))
    reactor.run_until(reactor.now + 60.0, lambda: world.deserted)
    yield from fair(world, client.visit.source, client.results)


def _recovery(world: World) -> float:
    """Seconds in which each backend is back, now that all are well."""
    longest = max(2.0 * BOOT[1], world.inside.refused_until() - world.reactor.now + 1.0)
    for pool in world.inside.judged:
        ejected = max(backend.ejection.until for backend in pool.backends) - world.reactor.now
        health = pool.config.health
        probing = 0.0
        if health is not None:
            probing = health.interval * 1.1 + (health.rise + 1) * (CHANGING + health.timeout + TICK)
        longest = max(longest, max(ejected, 0.0) + probing + pool.config.slow_start + 2.0)
    return longest


def _all_well(world: World) -> bool:
    now = world.reactor.now
    if now < world.inside.refused_until():
        return False
    return world.inside.serving == world.plan.config.workers and all(
        backend.state is State.UP
        and backend.said == NOTHING
        and now >= backend.since + backend_pool.config.slow_start
        for backend_pool in world.inside.judged
        for backend in backend_pool.backends
    )


def _end(world: World) -> Iterator[str]:
    """The balancer ends in time, and leaves nothing behind."""
    reactor = world.reactor
    alone = world.deserted and world.stopped is None
    if any(world.network.is_bound(refusal.port) for refusal in world.plan.refusals):
        yield "a reload that was refused has left a port open"
    world.drain()
    stopped, since = world.stopped, world.stopping_since
    assert stopped is not None and since is not None
    bound = world.plan.config.stop.drain + world.paused + 6.0
    reactor.run_until(max(reactor.now, since + bound), lambda: stopped.called)
    if world.ended_at is None or world.ended_at > since + bound:
        yield f"the balancer had not ended {bound:.1f} s after it was told to"
        return
    if alone and reactor.now > since + 1.0:
        yield f"without any client the balancer took {reactor.now - since:.1f} s to end"
    reactor.run_until(reactor.now + LONGEST, lambda: not reactor.pending())
    for left in world.inside.left():
        yield f"after the end there is {left}"
    for pending in reactor.pending():
        yield f"after the end there waits {pending}"
    if world.open_sockets():
        yield f"after the end {world.open_sockets()} sockets are open"
    if reactor.getReaders() or reactor.getWriters():
        yield f"after the end there is watched {[*reactor.getReaders(), *reactor.getWriters()]}"
