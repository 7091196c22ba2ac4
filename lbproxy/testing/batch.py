"""Many lives, on all cores."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import attrs
from twisted.logger import globalLogBeginner

from lbproxy.testing.backends import AILMENTS
from lbproxy.testing.clients import LEAVERS
from lbproxy.testing.faults import KINDS, STOPS
from lbproxy.testing.mutations import MUTATIONS, mutated
from lbproxy.testing.simulate import run

#: What has to have happened in a batch: else it has shown less than it says.
EVERY_KIND = (
    *AILMENTS,
    *KINDS,
    *STOPS,
    *sorted(LEAVERS),
    "slow_reader",
    "hints",
    "idle_closed",
    "turned_up",
    "turned_down",
    "turned_ejected",
)


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


def judge_all(seeds: Iterable[int], jobs: int) -> Iterator[Verdict]:
    """Live many, in so many processes, in any order."""
    if jobs == 1:
        yield from map(judge, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, quiet) as pool:
        yield from pool.imap_unordered(judge, seeds, chunksize=4)


def missing(counts: Counter[str]) -> list[str]:
    """The kinds of faults that never happened."""
    return [kind for kind in EVERY_KIND if not counts[kind]]


def finds(mutation: str, most: int, tell: Callable[[int], None] = lambda _: None) -> Verdict | None:
    """The first life that a mistake breaks.

    Args:
        mutation: Its name in `MUTATIONS`.
        most: How many seeds are tried.
        tell: Is told of each seed.
    """
    for seed in range(1, most + 1):
        tell(seed)
        with mutated(mutation):
            verdict = judge(seed)
        if verdict.violations:
            return verdict
    return None


def found(arguments: tuple[str, int]) -> tuple[str, Verdict | None]:
    """`finds` with its name, for a pool of processes."""
    mutation, most = arguments
    return mutation, finds(mutation, most)


def find_all(most: int, jobs: int) -> Iterator[tuple[str, Verdict | None]]:
    """Look for each mistake, in so many processes."""
    work = [(mutation, most) for mutation in MUTATIONS]
    with multiprocessing.get_context("spawn").Pool(jobs, quiet) as pool:
        yield from pool.imap(found, work)


def quiet() -> None:
    """Have what is logged go nowhere: it is judged, not read."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
