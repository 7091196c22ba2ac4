"""From rounds to numbers: medians, their spread, and ratios between neighbours in time."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Sample:
    """What one peer did in one round of a workload.

    Attributes:
        turn: Its place in the order of all that was measured for the workload.
        cost: Microseconds of CPU per request, or KiB per idle connection.
        rate: Requests per second.
        p50: Half of the answers came within these seconds.
        p99: All but a hundredth came within these seconds.
        resident: Bytes of memory when the round had ended.
        errors: Connections that failed or timed out, and answers of 400 and above.
    """

    turn: int
    cost: float
    rate: float
    p50: float
    p99: float
    resident: int
    errors: int


@attrs.frozen
class Spread:
    """The median of several rounds, between the least and the most of them."""

    low: float
    middle: float
    high: float

    def overlaps(self, other: Spread) -> bool:
        """Whether a value may be in both."""
        return self.low <= other.high and other.low <= self.high


def spread(values: Iterable[float]) -> Spread:
    """The spread of at least one value."""
    ordered = sorted(values)
    return Spread(ordered[0], statistics.median(ordered), ordered[-1])


def neighbours(turn: int, reference: Sequence[Sample]) -> list[Sample]:
    """The samples of the reference that stand next to a turn: before it, after it, or it itself."""
    before = [sample for sample in reference if sample.turn <= turn]
    after = [sample for sample in reference if sample.turn >= turn]
    nearest = {}
    if before:
        last = max(before, key=lambda sample: sample.turn)
        nearest[last.turn] = last
    if after:
        first = min(after, key=lambda sample: sample.turn)
        nearest[first.turn] = first
    return list(nearest.values())


def ratios(samples: Sequence[Sample], reference: Sequence[Sample]) -> list[float]:
    """The cost of each sample in proportion to that of its neighbours of the reference.

    A machine gets slower and faster by the minute, so only neighbours in time are compared.
    """
    found = []
    for sample in samples:
        beside = statistics.mean(other.cost for other in neighbours(sample.turn, reference))
        if beside > 0:
            found.append(sample.cost / beside)
    return found
