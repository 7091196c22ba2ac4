"""Runs that nobody has made."""

from __future__ import annotations

import attrs

from benchmarks.macro.machine import Machine
from benchmarks.macro.results import Measure, Run
from benchmarks.macro.summary import Sample
from benchmarks.macro.workloads import WORKLOADS, Workload

HERE = Machine("Abacus 3000", 2, 8 << 30, "Linux 6.1", "CPython 3.11.2")
ELSEWHERE = attrs.evolve(HERE, processor="Abacus 4000")

SMALL = next(workload for workload in WORKLOADS if workload.name == "small")


def sample(turn: int, cost: float, errors: int = 0) -> Sample:
    """A round of which only the cost is of interest."""
    return Sample(
        turn, cost, rate=1e6 / cost, p50=0.001, p99=0.004, resident=3 << 20, errors=errors
    )


def run(
    lbproxy: list[float],
    haproxy: list[float],
    *,
    workload: Workload = SMALL,
    machine: Machine = HERE,
    errors: int = 0,
    when: str = "2026-01-01T00:00:00+00:00",
) -> Run:
    """A run of lbproxy and the reference in turn, with these costs."""
    ours = tuple(sample(2 * place, cost, errors) for place, cost in enumerate(lbproxy))
    theirs = tuple(sample(2 * place + 1, cost) for place, cost in enumerate(haproxy))
    measures = (
        Measure(workload.name, "lbproxy", ours, "" if ours else "not supported: <tls>"),
        Measure(workload.name, workload.reference, theirs, "" if theirs else "failed: no"),
    )
    versions = {"lbproxy": "abc", workload.reference: "2.6"}
    return Run(when, machine, len(lbproxy), 1, versions, ["a note"], measures)
