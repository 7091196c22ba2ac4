"""What was found, for people."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.macro.table import figure
from benchmarks.macro.wrk import Load
from benchmarks.slow.measure import Found

_HEADS = (
    "`balancer`",
    "all fast: p50 / p99 ms",
    "one slow: p50 / p99 ms",
    "p99, slow : fast",
    "requests/s, fast / slow",
)


def table(title: str, found: Mapping[str, Found]) -> str:
    """A table for Markdown.

    Args:
        title: Of the load.
        found: By the balancers' names.
    """
    rows = [
        f"| {title}: {' | '.join(_HEADS)} |",
        f"|---|{'---:|' * (len(_HEADS) - 1)}",
    ]
    for name, each in found.items():
        cells = (f"`{name}`", _times(each.fast), _times(each.slow), figure(each.ratio))
        rates = f"{_rate(each.fast)} / {_rate(each.slow)}"
        rows.append(f"| {' | '.join(cells)} | {rates} |")
    return "\n".join(rows) + "\n"


def _times(load: Load) -> str:
    told = f"{figure(load.p50 * 1e3)} / {figure(load.p99 * 1e3)}"
    return f"{told}, {load.errors} errors !" if load.errors else told


def _rate(load: Load) -> str:
    return figure(load.requests / load.seconds)
