"""Numbers for people: a table on the terminal, and one for the docs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.macro.results import Measure, Run
from benchmarks.macro.summary import Spread, spread
from benchmarks.macro.workloads import Workload

_HEADS = ("", "cost", "ratio", "requests/s", "p50 ms", "p99 ms", "RSS MiB", "errors")


def figure(value: float) -> str:
    """Three digits of a number, and no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ranged(values: Spread) -> str:
    """The median, with the least and the most."""
    return f"{figure(values.middle)} ({figure(values.low)}-{figure(values.high)})"


def lines_of(run: Run, workload: Workload) -> Iterator[str]:
    """A workload's part of the table on the terminal."""
    measures = [measure for measure in run.measures if measure.workload == workload.name]
    yield f"{workload.name}: {workload.title}, {workload.connections} connections"
    rows: list[tuple[str, ...]] = [
        (_HEADS[0], workload.unit, f"of {workload.reference}", *_HEADS[3:])
    ]
    refused = []
    for measure in measures:
        if measure.samples:
            rows.append(_row(run, workload, measure))
        else:
            refused.append(f"  {measure.peer}: {measure.refusal}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for row in rows:
        name, *cells = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  " + "   ".join([name.strip().ljust(widths[0]), *cells]).rstrip()
    yield from refused


def _row(run: Run, workload: Workload, measure: Measure) -> tuple[str, ...]:
    ratio = run.ratio(workload, measure.peer)
    samples = measure.samples
    seen = ["", "", ""]
    if not workload.idle:
        seen = [
            figure(spread(sample.rate for sample in samples).middle),
            figure(spread(sample.p50 * 1e3 for sample in samples).middle),
            figure(spread(sample.p99 * 1e3 for sample in samples).middle),
        ]
    return (
        measure.peer,
        ranged(measure.cost),
        "" if ratio is None else ranged(ratio),
        *seen,
        figure(spread(sample.resident / 2**20 for sample in samples).middle),
        f"{measure.errors} !" if measure.errors else "0",
    )


def markdown(run: Run, workloads: Sequence[Workload]) -> str:
    """The docs' tables: the cost of all peers, then what the clients of some of them saw."""
    peers = list(run.versions)
    parts = [
        f"{run.when[:10]}; {run.machine.told()}. {run.rounds} rounds of {run.seconds} s each; "
        + ", ".join(f"{peer} {version}" for peer, version in run.versions.items())
        + ".",
        _markdown(
            ["Workload", *peers, "lbproxy : reference"],
            (_cost_row(run, workload, peers) for workload in workloads),
        ),
        "CPU of the proxy in µs per request, for idle clients KiB per connection. The reference is "
        "HAProxy, for files nginx; in brackets the least and the most of the rounds' ratios. "
        "`!` marks a run with errors; where a field is empty, the proxy was not asked.",
        _markdown(
            ["Workload", "Proxy", "requests/s", "p50 ms", "p99 ms", "RSS MiB", "errors"],
            _seen_rows(run, workloads),
        ),
    ]
    if run.notes:
        parts.append("\n".join(f"- {note}." for note in run.notes))
    return "\n\n".join(parts) + "\n"


def _cost_row(run: Run, workload: Workload, peers: Iterable[str]) -> list[str]:
    cells = [workload.title]
    for peer in peers:
        measure = run.measure(workload.name, peer)
        if measure is None:
            cells.append("")
        elif not measure.samples:
            cells.append(measure.refusal.partition(":")[0])
        else:
            cells.append(figure(measure.cost.middle) + (" !" if measure.errors else ""))
    ratio = run.ratio(workload, "lbproxy")
    return [*cells, "" if ratio is None else ranged(ratio)]


def _seen_rows(run: Run, workloads: Iterable[Workload]) -> Iterator[list[str]]:
    for workload in workloads:
        for peer in ("lbproxy", workload.reference):
            measure = run.measure(workload.name, peer)
            if measure is not None and measure.samples:
                cells = _row(run, workload, measure)
                yield [workload.title, peer, *cells[3:]]


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))
