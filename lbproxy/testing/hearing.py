"""Whether a policy that asks for it hears how each attempt ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any

import attrs

from lbproxy.errors import Stage
from lbproxy.observe.accesslog import OUTRUN, Attempt
from lbproxy.testing.inside import number_of

if TYPE_CHECKING:
    from lbproxy.testing.world import World

#: The policies that ask for it.
_ASKING = {"least_loaded", "peak_ewma"}

#: Answers that count as failures.
_FAILURES = {502, 503, 504}


@attrs.frozen
class Heard:
    """How an attempt ended, as a policy was told.

    Attributes:
        pid: Of the worker's process.
        backend: Its name.
        seconds: What it took.
        failed: Whether it failed.
    """

    pid: int
    backend: str
    seconds: float
    failed: bool


def policies_hear_of_attempts(world: World) -> Iterator[str]:
    """Each attempt that ends in a head, breaks, or is outrun, is heard of once, as it is logged.

    Looked at are lives in which all policies of the first pool ask for it, and workers that were
    not killed. Who has left the pool is not heard of any more.
    """
    if not _ASKING.issuperset(config.pools[0].balancer for config in world.plan.configs):
        return
    for pid, records in world.recorded.items():
        if world.was_killed(pid):
            continue
        heard = Counter(
            (each.backend, each.seconds, each.failed) for each in world.heard if each.pid == pid
        )
        due: Counter[tuple[str, float, bool]] = Counter()
        may = Counter[str]()
        for record, _ in records:
            if record.pool != "api":
                continue
            for attempt in record.attempts:
                may[attempt.backend] += _endings(attempt)
                due.update(_surely(world, record, attempt))
        for (name, seconds, failed), count in due.items():
            world.counts["heard_by_policy"] += count
            there = world.weights.time_of(name)[1] == inf
            if there and heard[name, seconds, failed] < count:
                how = "a failure" if failed else f"an answer after {seconds:.6f} s"
                yield f"of {name} {how} was not heard"
        times = Counter(each.backend for each in world.heard if each.pid == pid)
        for name, count in times.items():
            if count > may[name]:
                yield f"of {name} {count} attempts were heard, and there were {may[name]}"


def _endings(attempt: Attempt) -> int:
    """How often an attempt is heard of at most."""
    if attempt.stage is not None:
        broken = attempt.stage != Stage.REUSED_AND_CLOSED.value
        return broken + (attempt.stage == Stage.ANSWERED.value)  # The head was heard before.
    if attempt.outcome == OUTRUN:
        return not attempt.hedge
    return attempt.first_byte is not None


def _surely(world: World, record: Any, attempt: Attempt) -> Iterator[tuple[str, float, bool]]:
    """What of an attempt is heard without doubt.

    While its client still sends, the time of an answer is not the backend's alone.
    """
    if attempt.stage is not None:
        if attempt.stage != Stage.REUSED_AND_CLOSED.value:
            yield attempt.backend, 0.0, True
    elif attempt.outcome == "answered":
        number = number_of(record)
        ask = None if number is None else world.asks.get(number)
        if ask is not None and not ask.upload and not ask.chunked and ask.method != "WS":
            assert attempt.first_byte is not None
            yield attempt.backend, attempt.first_byte, record.status in _FAILURES
