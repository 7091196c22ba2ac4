"""Measure, and write what was found into the docs: `python -m benchmarks.slow`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.macro import machine
from benchmarks.macro.page import filled
from benchmarks.macro.peers.lbproxy import ROOT
from benchmarks.macro.program import Program, ProgramFailed, free_ports
from benchmarks.macro.wrk import LoadFailed
from benchmarks.slow.measure import CLOSED, RATE, Bench, Found, backend
from benchmarks.slow.table import table
from lbproxy.config.model import BALANCERS

PAGE = ROOT / "docs" / "balancers.md"

BEGIN = "<!-- What follows is written by `make bench-slow`. -->"
END = "<!-- What was measured ends here. -->"

TITLES = (f"{CLOSED.connections} clients, closed loop", f"{RATE:.0f} requests/s, open loop")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, and replace those of the docs; 1 if it cannot be measured here."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each of the loads (5)")
    parser.add_argument("--balancers", metavar="A,B", help=f"only these of: {', '.join(BALANCERS)}")
    parser.add_argument("--print", action="store_true", help="only print, and leave the docs")
    options = parser.parse_args(argv)
    names = options.balancers.split(",") if options.balancers else BALANCERS
    if unknown := set(names) - set(BALANCERS):
        sys.exit(f"There is no balancer {', '.join(sorted(unknown))}")
    if options.balancers and not options.print:
        sys.exit("Only all balancers are shown in the docs; --print only prints")
    if shutil.which("wrk") is None:
        print("The benchmark needs wrk: apt-get install wrk")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # What we started is to end with us.
    try:
        tables = _measure(names, options.seconds)
    except (LoadFailed, ProgramFailed) as error:
        print(f"It failed: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    when = f"{datetime.now(UTC):%Y-%m-%d}; {machine.this().told()}."
    if not options.print:
        page = PAGE.read_text(encoding="utf-8")
        generated = "\n".join([f"{when}\n", *tables])
        PAGE.write_text(filled(page, generated, BEGIN, END), encoding="utf-8")
    return 0


def _measure(names: Sequence[str], seconds: int) -> list[str]:
    """The tables: of the closed loop, and of the open one."""
    cores = frozenset(os.sched_getaffinity(0))
    found: list[dict[str, Found]] = [{}, {}]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbproxy-slow-")))
        ports = free_ports(2)
        for port in ports:
            place = folder / str(port)
            place.mkdir()
            program = stack.enter_context(Program(backend(port), place, cores))
            program.wait_for(port, "/health")
        bench = Bench(folder, ports, seconds, cores)
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            for kind, each in zip(found, bench.measure(name), strict=True):
                kind[name] = each
    tables = [table(title, kind) for title, kind in zip(TITLES, found, strict=True)]
    print("\n".join(tables), end="")
    return tables


if __name__ == "__main__":
    sys.exit(main())
