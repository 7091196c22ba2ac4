"""What moved between two runs."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.macro.results import Run
from benchmarks.macro.summary import Spread
from benchmarks.macro.workloads import Workload

#: Changes below this share are not told, however steady the rounds were.
LEAST = 0.10


def moved(before: Run, after: Run, workloads: Iterable[Workload], peer: str) -> list[str]:
    """A line for each workload at which a peer got dearer or cheaper, or can what it could not.

    Ratios to the reference are compared, since they hold on another machine, or on this one on
    another day; the cost itself only where there is no ratio and the machine is the same. A change
    counts if no round of the one run is within the rounds of the other.
    """
    lines = []
    for workload in workloads:
        old, new = before.measure(workload.name, peer), after.measure(workload.name, peer)
        if old is None or new is None:
            continue
        if not old.samples or not new.samples:
            if new.samples:
                lines.append(f"{workload.name}: can be measured now")
            elif old.samples:
                lines.append(f"{workload.name}: cannot be measured any more: {new.refusal}")
            continue
        earlier, later = before.ratio(workload, peer), after.ratio(workload, peer)
        unit = f"times {workload.reference}"
        if (earlier is None or later is None) and before.machine == after.machine:
            earlier, later, unit = old.cost, new.cost, workload.unit
        if earlier is not None and later is not None and is_other(earlier, later):
            lines.append(f"{workload.name}: {_change(earlier, later)} {unit}")
        if new.errors and not old.errors:
            lines.append(f"{workload.name}: {new.errors} errors, where there were none")
    return lines


def is_other(before: Spread, after: Spread) -> bool:
    """Whether a change is more than the rounds differ among themselves."""
    if before.overlaps(after):
        return False
    return abs(after.middle - before.middle) > LEAST * before.middle


def _change(before: Spread, after: Spread) -> str:
    change = (after.middle / before.middle - 1) * 100
    return f"{before.middle:.3g} -> {after.middle:.3g} ({change:+.0f} %)"
