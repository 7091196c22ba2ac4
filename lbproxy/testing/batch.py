"""Many lives, on all cores."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs
from twisted.logger import globalLogBeginner

from lbproxy.testing import (
    breakers,
    changes,
    policies,
    refusals,
    reloads,
    retuning,
    rolling,
    staff,
    takeover,
    zone,
)
from lbproxy.testing.answers import AILMENTS
from lbproxy.testing.faults import KINDS, OF_CROWDS, PAUSE, STOPS
from lbproxy.testing.mutations import MUTATIONS, mutated
from lbproxy.testing.results import LEAVERS
from lbproxy.testing.simulate import run
from lbproxy.testing.streams import kinds

#: What has to have happened in a batch: else it has shown less than it says.
EVERY_KIND = (
    *AILMENTS,
    *KINDS,
    *OF_CROWDS,
    *STOPS,
    PAUSE,
    *staff.KINDS,
    *changes.KINDS,
    *(f"all_{kind}" for kind in changes.KINDS),
    *reloads.KINDS,
    *refusals.KINDS,
    *retuning.KINDS,
    *policies.KINDS,
    *rolling.KINDS,
    *breakers.KINDS,
    *zone.KINDS,
    *takeover.KINDS,
    "met_successor",
    "dns_unknown",
    "dns_and_reload",
    "change_over",
    *sorted(LEAVERS),
    "slow_reader",
    "hints",
    "idle_closed",
    "insists",
    "popular",
    "order_place",
    "order_move",
    "order_read",
    "ordered_again",
    "held",
    "hedged",
    "hedged_p50",
    "hedged_p95",
    "answer_tried_elsewhere",
    "poison_found",
    "poison_refused",
    "capacity_used",
    "spilled",
    "spilled_by_key",
    "started_slowly",
    "heard_by_policy",
    *kinds.KINDS,
    "turned_up",
    "turned_down",
    "turned_ejected",
)

#: In a long batch every so many lives one is lived twice.
REPEATED = 50

#: Lives that a process is given at a time.
CHUNK = 16


@attrs.frozen
class Verdict:
    """What came of one seed, small enough to be sent from one process to another.

    Attributes:
        seed: It.
        violations: What must not have happened.
        counts: How often each kind of fault happened.
        ends: How often requests ended in each way.
        seconds: Virtual seconds.
    """

    seed: int
    violations: tuple[str, ...]
    counts: Counter[str]
    ends: Counter[str]
    seconds: float


def judge(seed: int) -> Verdict:
    """Live one life."""
    outcome = run(seed)
    return Verdict(seed, outcome.violations, outcome.counts, outcome.ends, outcome.seconds)


def judge_twice(seed: int) -> Verdict:
    """Live one life again: it is a violation if the two differ in anything that was traced."""
    first, second = run(seed), run(seed)
    violations = first.violations
    if first.digest != second.digest:
        pairs = zip(first.trace, second.trace, strict=False)
        where = next((str(pair) for pair in pairs if pair[0] != pair[1]), "its end")
        violations = (*violations, f"a second life differed from the first one at {where}")
    return Verdict(seed, violations, first.counts, first.ends, first.seconds)


def judge_mostly_once(seed: int) -> Verdict:
    """Live one life, or a fiftieth of them twice: what makes one differ is seldom its own."""
    return judge(seed) if seed % REPEATED else judge_twice(seed)


def judge_all(
    seeds: Iterable[int], jobs: int, judge: Callable[[int], Verdict] = judge
) -> Iterator[Verdict]:
    """Live many, in so many processes, in any order."""
    seeds = list(seeds)
    chunk = max(1, min(CHUNK, len(seeds) // (4 * jobs)))
    if jobs == 1:
        yield from map(judge, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, quiet) as pool:
        yield from pool.imap_unordered(judge, seeds, chunksize=chunk)


def missing(counts: Counter[str]) -> list[str]:
    """The kinds of faults that never happened."""
    return [kind for kind in EVERY_KIND if not counts[kind]]


def finds(mutation: str, seeds: Iterable[int]) -> Verdict | None:
    """The first life that a mistake breaks.

    Args:
        mutation: Its name in `MUTATIONS`.
        seeds: Those that are tried.
    """
    for seed in seeds:
        with mutated(mutation):
            verdict = judge(seed)
        if verdict.violations:
            return verdict
    return None


def _found(work: tuple[str, list[int]]) -> tuple[str, Verdict | None]:
    return work[0], finds(*work)


def find_all(
    most: int, jobs: int, hints: Mapping[str, int] | None = None
) -> Iterator[tuple[str, Verdict | None]]:
    """Look for each mistake, in so many processes.

    Args:
        most: How many seeds are tried for each.
        jobs: Processes.
        hints: Seeds that are tried first.
    """
    work = []
    for mutation in MUTATIONS:
        first = [hints[mutation]] if hints and mutation in hints else []
        work.append((mutation, [*first, *range(1, most + 1)]))
    with multiprocessing.get_context("spawn").Pool(jobs, quiet) as pool:
        yield from pool.imap(_found, work)


def quiet() -> None:
    """Prepare a process that lives lives, and does nothing else.

    What is logged goes nowhere: it is judged, not read. Garbage is each life's own, and is
    collected at its end.
    """
    gc.disable()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
