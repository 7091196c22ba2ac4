"""What is done while all backends fail in the same way: then none of them is to blame."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lbproxy.errors import Stage
from lbproxy.health.alike import EACH, FRESH
from lbproxy.testing.inside import number_of
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.world import World

#: How far an attempt got that was broken off.
_BROKEN = frozenset({Stage.SENT.value, Stage.ANSWERED.value})


@attrs.frozen
class _End:
    """The end of an attempt.

    Attributes:
        at: When.
        number: Of its request; `None` for an order.
        backend: Where.
        broken: Whether it was broken off, for certain.
        retried: Whether it was tried elsewhere, out of the budget.
    """

    at: float
    number: int | None
    backend: str
    broken: bool
    retried: bool


@attrs.define
class _Run:
    """Attempts that were broken off, in a row."""

    begun: float
    count: int
    last: float


def nothing_in_vain(world: World) -> Iterator[str]:
    """Nothing is tried elsewhere while each backend breaks off what it is sent, again and again.

    Looked at are lives with one worker and without hedges: there it is clear what came first.
    """
    if world.staff is not None or world.pool.hedge is not None:
        return
    runs: dict[str, _Run] = {}
    for end in sorted(_ends(world), key=lambda end: end.at):
        if end.retried and end.broken and _all_fail(world, runs, end.at):
            yield f"{end.number} was tried elsewhere at {end.at - EPOCH:.3f}, and all fail alike"
        run = runs.get(end.backend)
        if not end.broken:
            runs.pop(end.backend, None)
        elif run is None or end.at - run.last > FRESH:
            runs[end.backend] = _Run(end.at, 1, end.at)
        else:
            run.count, run.last = run.count + 1, end.at


def _all_fail(world: World, runs: dict[str, _Run], now: float) -> bool:
    """Whether each backend that may be chosen has done so, and nothing has changed since."""
    since = min((run.begun for run in runs.values()), default=now)
    weights = {name: world.weights.within(name, since, now) for name in world.weights.names}
    names = [name for name, had in weights.items() if had != {0}]
    less = any(each.has_wanted_less for each in world.backends)
    changed = less or any(0 in weights[name] for name in names)
    if len(names) < 2 or changed or any(since <= turn.at <= now for turn in world.turns):
        return False
    return all(
        name in runs and runs[name].count >= EACH and now - FRESH < runs[name].last < now
        for name in names
    )


def _ends(world: World) -> Iterator[_End]:
    for record, ended in world.records:
        number = number_of(record)
        if record.pool != "api" or not record.attempts:
            continue
        waited = record.queued or record.held  # So one may have ended before the next one began.
        nexts = [attempt.started for attempt in record.attempts[1:]]
        for attempt, over in zip(record.attempts, [*nexts, ended], strict=True):
            if attempt.outcome == "reused_connection_closed":
                continue  # Which is no fault.
            if attempt.stage in (None, Stage.ANSWERED.value):  # A head was good news by itself.
                at = over if attempt.first_byte is None else attempt.started + attempt.first_byte
                yield _End(at, number, attempt.backend, broken=False, retried=False)
            if attempt.stage is not None:
                broken = not waited and attempt.stage in _BROKEN
                yield _End(over, number, attempt.backend, broken, attempt.decision == "retry")
