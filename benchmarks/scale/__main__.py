"""Simulate, and write what came of it into the docs: `python -m benchmarks.scale`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.macro.page import filled
from benchmarks.scale.cases import CASES, table
from benchmarks.scale.chart import chart
from benchmarks.scale.simulation import simulate

PAGE = Path(__file__).parents[2] / "docs" / "balancers.md"

BEGIN = "<!-- What follows is written by `make bench-scale`. -->"
END = "<!-- What is simulated ends here. -->"


def main() -> None:
    """Print the tables, and replace those of the docs and their chart."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chance is drawn from it (1)")
    parser.add_argument("--most", type=int, default=1000, help="only pools up to this size (1000)")
    parser.add_argument("--print", action="store_true", help="only print, and leave the docs")
    options = parser.parse_args()
    found, tables = [], []
    for case in CASES:
        print()
        rows = case.run(lambda scenario: simulate(scenario, options.seed), options.most)
        found.append((case, rows))
        tables.append(table(case, rows))
        print(tables[-1], end="", flush=True)
    if not options.print:
        page = PAGE.read_text(encoding="utf-8")
        generated = "![The tables below as a chart](balancers.svg)\n\n" + "\n".join(tables)
        PAGE.write_text(filled(page, generated, BEGIN, END), encoding="utf-8")
        PAGE.with_suffix(".svg").write_text(chart(found), encoding="utf-8")


if __name__ == "__main__":
    main()
