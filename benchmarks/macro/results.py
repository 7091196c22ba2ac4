"""What a run found, as it is kept in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import cattrs

from benchmarks.macro.machine import Machine
from benchmarks.macro.summary import Sample, Spread, ratios, spread
from benchmarks.macro.workloads import Workload


@attrs.frozen
class Measure:
    """What one peer did at one workload.

    Attributes:
        workload: Its name.
        peer: Its name.
        samples: One for each round; none if it could not be measured.
        refusal: Why it could not be.
    """

    workload: str
    peer: str
    samples: tuple[Sample, ...] = ()
    refusal: str = ""

    @property
    def cost(self) -> Spread:
        """Over the rounds, of which there is at least one."""
        return spread(sample.cost for sample in self.samples)

    @property
    def errors(self) -> int:
        """In all rounds."""
        return sum(sample.errors for sample in self.samples)


@attrs.frozen
class Run:
    """All that was measured at one time.

    Attributes:
        when: When it began, in ISO 8601.
        machine: Where it ran.
        rounds: How often each was measured.
        seconds: How long a round took.
        versions: Of the peers that took part, in their order.
        notes: What a reader of the numbers must know.
        measures: In the order of the workloads, then of the peers.
    """

    when: str
    machine: Machine
    rounds: int
    seconds: int
    versions: Mapping[str, str]
    notes: Sequence[str]
    measures: Sequence[Measure]

    def measure(self, workload: str, peer: str) -> Measure | None:
        """What a peer did at a workload, if it was measured or refused."""
        for measure in self.measures:
            if (measure.workload, measure.peer) == (workload, peer):
                return measure
        return None

    def ratio(self, workload: Workload, peer: str) -> Spread | None:
        """A peer's cost in proportion to the reference's, if both were measured."""
        measure = self.measure(workload.name, peer)
        reference = self.measure(workload.name, workload.reference)
        if measure is None or reference is None:
            return None
        if not measure.samples or not reference.samples:
            return None
        found = ratios(measure.samples, reference.samples)
        return spread(found) if found else None


def write(run: Run, path: Path) -> None:
    """Keep a run in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(cattrs.unstructure(run), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Run:
    """A run from its file.

    Raises:
        ValueError: If no run is in it.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return cattrs.structure(json.loads(text), Run)
    except (cattrs.BaseValidationError, TypeError, KeyError) as error:
        raise ValueError(f"{path} has no run of these benchmarks: {error}") from error


def newest(folder: Path) -> Run | None:
    """The last run that was recorded in a folder."""
    runs = [read(path) for path in sorted(folder.glob("*.json"))]
    return max(runs, key=lambda run: run.when, default=None)
