"""`python -m lbproxy.testing`: live many lives, or one again."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from itertools import pairwise

from lbproxy.config.difference import compare
from lbproxy.testing import batch
from lbproxy.testing.batch import Verdict
from lbproxy.testing.plan import Plan
from lbproxy.testing.reloads import Reload
from lbproxy.testing.shrink import shrink
from lbproxy.testing.simulate import Outcome, run

#: Failures after which a batch gives up.
ENOUGH = 10

#: Seconds from one line of progress to the next where there is no terminal.
RARE = 10.0


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lbproxy.testing", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many lives (1000)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--seed", type=int, help="live this one, and show its trace")
    parser.add_argument("--shrink", action="store_true", help="with --seed: leave out what it can")
    parser.add_argument("--mutations", action="store_true", help="show that mistakes are found")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (all cores)"
    )
    options = parser.parse_args(arguments)
    batch.quiet()
    if options.seed is not None:
        return _show(run(options.seed), shrinking=options.shrink)
    if options.mutations:
        return _show_mutations(options.seeds, options.jobs)
    return _live_many(range(options.first, options.first + options.seeds), options.jobs)


def _live_many(seeds: range, jobs: int) -> int:
    counts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    failed: list[Verdict] = []
    progress = Progress(len(seeds))
    for done, verdict in enumerate(batch.judge_all(seeds, jobs, batch.judge_mostly_once), start=1):
        counts += verdict.counts
        ends += verdict.ends
        progress.tell(done, verdict.seconds, len(failed))
        if verdict.violations:
            failed.append(verdict)
            progress.clear()
            _print_failure(verdict)
            if len(failed) == ENOUGH:
                break
    progress.end()
    print("ends  ", _in_words(ends))
    print("faults", _in_words(counts))
    never = batch.missing(counts)
    if never and len(seeds) >= 200:
        print(f"never happened, so this shows less than it should: {', '.join(never)}")
    return 1 if failed or (never and len(seeds) >= 200) else 0


def _print_failure(verdict: Verdict) -> None:
    print(f"seed {verdict.seed} fails; to repeat it: make simulate SEED={verdict.seed}")
    for violation in verdict.violations[:5]:
        print(f"  {violation}")


def _show(outcome: Outcome, *, shrinking: bool) -> int:
    if shrinking and outcome.violations:
        outcome = shrink(outcome, lambda what: print(f"it fails with {what}"))
    _print_plan(outcome.plan)
    for moment, turn, *what in outcome.trace:
        print(f"{moment:12.6f} {turn:6} {' '.join(map(str, what))}")
    print(f"trace {outcome.digest}, {outcome.seconds:.1f} virtual seconds")
    print("ends  ", _in_words(outcome.ends))
    print("faults", _in_words(outcome.counts))
    for violation in outcome.violations:
        print(f"VIOLATION {violation}")
    return 1 if outcome.violations else 0


def _print_plan(plan: Plan) -> None:
    print(plan.config.pools[0])
    print(f"really kept alive: {plan.keep_alive:g} s; connections: {plan.shapes}")
    for fault in plan.faults:
        print(fault)
    for change in plan.changes:
        print(change)
    if plan.zone is not None:
        print(plan.zone)
    for renaming in plan.renamings:
        print(renaming)
    for before, reload in pairwise([Reload(0.0, "", plan.config), *plan.reloads]):
        lines = compare(before.config, reload.config).lines()
        print(f"reload at {reload.at:.6f}: {'; '.join(lines)}")
    for refusal in plan.refusals:
        print(refusal)
    if plan.rolling is not None:
        print(plan.rolling)
    for visit in plan.visits:
        print(f"client {visit.number} {visit.manner} from {visit.start:.6f} on, {visit.shape}")
        for ask in visit.asks:
            print(f"    {ask}")
    if plan.takeover is not None:
        print(plan.takeover)


def _show_mutations(most: int, jobs: int) -> int:
    missed = 0
    for mutation, verdict in batch.find_all(most, jobs):
        if verdict is None:
            missed += 1
            print(f"{mutation:36} NOT FOUND in {most} seeds")
        else:
            print(f"{mutation:36} seed {verdict.seed:4}  {verdict.violations[0][:100]}", flush=True)
    return 1 if missed else 0


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items())) or "none"


class Progress:
    """How far a batch is, in one line that is written over, or in a few where that is no use."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = self._told = time.monotonic()
        self._seconds = 0.0
        self._line = ""
        self._over = "\r" if sys.stderr.isatty() else ""

    def tell(self, done: int, seconds: float, failed: int) -> None:
        """One more is done, which took so many virtual seconds."""
        self._seconds += seconds
        now = time.monotonic()
        took = max(now - self._began, 1e-9)
        self._line = (
            f"{done}/{self._total} seeds, {failed} failed, "
            f"{self._seconds / 3600:.1f} virtual hours in {took:.0f} s, {done / took:.1f} seeds/s"
        )
        if self._over:
            print(self._over + self._line, end="", file=sys.stderr, flush=True)
        elif now - self._told > RARE:
            self._told = now
            print(self._line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for another line."""
        if self._over:
            print(file=sys.stderr)

    def end(self) -> None:
        """Say it once more, for good."""
        self.clear()
        print(self._line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
