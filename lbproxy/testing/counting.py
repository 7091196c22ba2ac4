"""What has been counted, compared with what was logged."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.observe.accesslog import Record
from lbproxy.observe.metrics import REQUESTS, SESSIONS, TALLIES
from lbproxy.testing.world import World

#: Of a family: how many there were, and their bytes in and out.
Sums = list[float]


def counts_add_up(world: World) -> Iterator[str]:
    """The parent has counted what all workers have logged; who was killed may not have told all."""
    counts = world.balancer.control.counts
    for family, kind in ((REQUESTS, "requests"), (SESSIONS, "sessions")):
        got = [0.0] * TALLIES
        for _, numbers in counts.family(family):
            got = _added(got, numbers)
        most = [0.0] * TALLIES
        least = list(most)
        for pid, records in world.recorded.items():
            told = not world.was_killed(pid)
            for record, _ in records:
                if isinstance(record, Record) is (family == REQUESTS):
                    numbers = [1.0, record.bytes_in, record.bytes_out]
                    most = _added(most, numbers)
                    least = _added(least, numbers) if told else least
        if not all(low <= each <= high for low, each, high in zip(least, got, most, strict=True)):
            yield f"{got} {kind} and bytes were counted, and logged were {least} to {most}"


def _added(sums: Sums, numbers: Sums) -> Sums:
    return [sums[place] + numbers[place] for place in range(TALLIES)]
