"""What has been counted, compared with what was logged."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from lbproxy.discovery.members import configured_name
from lbproxy.observe.accesslog import Record
from lbproxy.observe.metrics import REQUESTS, SESSIONS, TALLIES
from lbproxy.testing.world import World

#: Of a family: how many there were, and their bytes in and out.
Sums = list[float]


def counts_add_up(world: World) -> Iterator[str]:
    """The parent has counted what all workers have logged; who was killed may not have told all.

    What was counted of members that DNS has no more ends with them.
    """
    counts = world.balancer.control.counts
    gone = {
        name
        for name in world.weights.names
        if configured_name(name) != name and world.weights.time_of(name)[1] < inf
    }
    for family, kind in ((REQUESTS, "requests"), (SESSIONS, "sessions")):
        got = [0.0] * TALLIES
        for key, numbers in counts.family(family):
            if not gone.intersection(key):
                got = _added(got, numbers)
        most = [0.0] * TALLIES
        least = list(most)
        for pid, records in world.recorded.items():
            told = not world.was_killed(pid)
            for record, _ in records:
                if isinstance(record, Record) is (family == REQUESTS):
                    numbers = [1.0, record.bytes_in, record.bytes_out]
                    most = _added(most, numbers)
                    of_gone = any(attempt.backend in gone for attempt in record.attempts)
                    least = _added(least, numbers) if told and not of_gone else least
        if not all(low <= each <= high for low, each, high in zip(least, got, most, strict=True)):
            yield f"{got} {kind} and bytes were counted, and logged were {least} to {most}"


def _added(sums: Sums, numbers: Sums) -> Sums:
    return [sums[place] + numbers[place] for place in range(TALLIES)]
