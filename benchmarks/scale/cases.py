"""What is simulated for the docs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from benchmarks.scale.simulation import Result, Scenario
from lbproxy.config.model import BALANCERS


@attrs.frozen
class Row:
    """One line of the table: the same for each policy.

    Attributes:
        backends: How many there are.
        results: By the policy's name.
    """

    backends: int
    results: dict[str, Result]


@attrs.frozen
class Case:
    """A situation, with pools of several sizes.

    Attributes:
        title: For people.
        sizes: How many backends.
        scenario: Of a policy and a size.
        value: What is told of a result, as a number.
        shown: The same for people.
    """

    title: str
    sizes: Sequence[int]
    scenario: Callable[[str, int], Scenario]
    value: Callable[[Result], float] = lambda result: result.p99
    shown: Callable[[float], str] = lambda value: seconds(value)

    def run(self, simulate: Callable[[Scenario], Result], most: int) -> list[Row]:
        """Simulate all sizes up to the most."""
        return [
            Row(size, {name: simulate(self.scenario(name, size)) for name in BALANCERS})
            for size in self.sizes
            if size <= most
        ]


def seconds(value: float) -> str:
    """A latency for people."""
    return f"{value * 1000:.0f} ms" if value < 1.0 else f"{value:.1f} s"


SIZES = (1, 2, 3, 10, 100, 1000)

#: The part of what the backends could serve at which queues matter, though all are well.
BUSY = 0.85

CASES = (
    Case("p99, all fast", SIZES, Scenario),
    Case("p99, all fast and busy", SIZES, lambda name, size: Scenario(name, size, load=BUSY)),
    Case("p99, one slow", SIZES[1:], lambda name, size: Scenario(name, size, slow=1)),
    Case("p99, a tenth slow", SIZES[4:], lambda name, size: Scenario(name, size, slow=size // 10)),
    Case(
        "p99, one slow, eight balancers",
        SIZES[1:],
        lambda name, size: Scenario(name, size, slow=1, proxies=8),
    ),
    Case(
        "Failed requests, one broken",
        SIZES[1:],
        lambda name, size: Scenario(name, size, broken=1),
        lambda result: result.failed,
        lambda value: f"{value:.2%}",
    ),
    Case(
        "Imbalance, all fast",
        SIZES[1:],
        Scenario,
        lambda result: result.imbalance,
        lambda value: f"{value:.1f}",
    ),
)


def table(case: Case, rows: Sequence[Row]) -> str:
    """A table for Markdown."""
    lines = [
        f"| {case.title}; backends | {' | '.join(f'`{name}`' for name in BALANCERS)} |",
        f"|---:|{'---:|' * len(BALANCERS)}",
    ]
    for row in rows:
        cells = (case.shown(case.value(row.results[name])) for name in BALANCERS)
        lines.append(f"| {row.backends:,} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
