"""Measure lbproxy beside its peers: `python -m benchmarks.macro`."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.macro import certificate, chart, machine, page, results, table
from benchmarks.macro.compare import moved
from benchmarks.macro.measure import Bench, prepared
from benchmarks.macro.peers.caddy import Caddy
from benchmarks.macro.peers.haproxy import HAProxy
from benchmarks.macro.peers.lbproxy import ROOT, LbProxy
from benchmarks.macro.peers.nginx import Nginx
from benchmarks.macro.peers.node import Node
from benchmarks.macro.peers.peer import Peer
from benchmarks.macro.program import ProgramFailed
from benchmarks.macro.results import Run
from benchmarks.macro.workloads import QUICK, WORKLOADS, Workload

RECORDED = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 if it cannot be run here."""
    arguments = _parser().parse_args(argv)
    if arguments.record and (arguments.quick or arguments.workloads or arguments.peers):
        sys.exit("Only a whole run is recorded, since the docs show all of it")
    chosen, workloads = _chosen_peers(arguments), _chosen_workloads(arguments)
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        print(f"The benchmark needs {', '.join(missing)}: apt-get install nginx-light wrk")
        return 1
    before = results.newest(RECORDED)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # What we started is to end with us.
    _raise_descriptors()
    peers = _installed(chosen)
    try:
        run = _run(arguments, workloads, peers)
    except ProgramFailed as error:
        print(f"The origin {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    for note in run.notes:
        print(f"Note: {note}.")
    _keep(run, workloads, arguments.record)
    if any(measure.errors for measure in run.measures):
        print("There were errors, marked with `!`: those numbers say little.")
    if before is not None:
        lines = moved(before, run, workloads, "lbproxy")
        print(f"Against the run of {before.when[:10]}:")
        print("\n".join(f"  {line}" for line in lines or ["nothing moved beyond its rounds"]))
    return 0


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(workload.name for workload in WORKLOADS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.macro", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds of a part, in 2 minutes")
    parser.add_argument("--rounds", type=int, help="rounds of each peer at each workload")
    parser.add_argument("--seconds", type=int, help="seconds of a round")
    parser.add_argument("--workloads", metavar="A,B", help=f"only these of: {names}")
    parser.add_argument("--peers", metavar="A,B", help="only these peers")
    parser.add_argument(
        "--beside",
        metavar="FOLDER",
        type=Path,
        help="measure the lbproxy of another checkout as well, as `beside`",
    )
    parser.add_argument(
        "--record",
        metavar="NAME",
        help="keep the run in benchmarks/results/NAME.json and show it in the docs; "
        "1 takes the date for a name",
    )
    return parser


def _chosen_peers(arguments: argparse.Namespace) -> list[Peer]:
    peers: list[Peer] = [LbProxy("lbproxy", ROOT), HAProxy(), Nginx(), Caddy(), Node()]
    names = [peer.name for peer in peers]
    if arguments.quick:
        # Two minutes are enough for us and the references.
        names = ["lbproxy", *{workload.reference for workload in WORKLOADS}]
    if arguments.peers:
        names = arguments.peers.split(",")
        if unknown := set(names) - {peer.name for peer in peers}:
            sys.exit(f"There is no peer {', '.join(sorted(unknown))}")
    chosen = [peer for peer in peers if peer.name in names]
    if arguments.beside is not None:
        chosen.append(LbProxy("beside", arguments.beside.resolve()))
    return chosen


def _chosen_workloads(arguments: argparse.Namespace) -> list[Workload]:
    names = QUICK if arguments.quick else [workload.name for workload in WORKLOADS]
    if arguments.workloads:
        names = arguments.workloads.split(",")
        if unknown := set(names) - {workload.name for workload in WORKLOADS}:
            sys.exit(f"There is no workload {', '.join(sorted(unknown))}")
    return [workload for workload in WORKLOADS if workload.name in names]


def _installed(peers: Sequence[Peer]) -> dict[str, tuple[Peer, str]]:
    found = {}
    for peer in peers:
        version = peer.version()
        if version is None:
            print(f"Without {peer.name}: {peer.install}")
        else:
            found[peer.name] = (peer, version)
    return found


def _raise_descriptors() -> None:
    """Let us and what we start open as many files as the system lets us."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _cores() -> tuple[frozenset[int], frozenset[int]]:
    """One core for the proxies, another for the load; the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return frozenset(cores[:1]), frozenset(cores[1:2] or cores)


def _run(
    arguments: argparse.Namespace,
    workloads: Sequence[Workload],
    peers: dict[str, tuple[Peer, str]],
) -> Run:
    rounds = arguments.rounds or (3 if arguments.quick else 5)
    seconds = arguments.seconds or (1 if arguments.quick else 2)
    sparing = arguments.quick and not arguments.peers
    now = datetime.now(UTC)
    when = now.isoformat(timespec="seconds")
    here = machine.this()
    proxy_cores, load_cores = _cores()
    versions = {name: version for name, (_, version) in peers.items()}
    notes = []
    if proxy_cores == load_cores:
        notes.append("the proxies and the load shared one core")
    measures: list[results.Measure] = []
    with tempfile.TemporaryDirectory(prefix="lbproxy-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # A worker of nginx that root starts is nobody.
        pem = folder / "site.pem"
        certificate.make(pem, now)
        with prepared(folder, pem, proxy_cores, load_cores) as ground:
            bench = Bench(ground, rounds, seconds, notes)
            run = Run(when, here, rounds, seconds, versions, notes, measures)
            for workload in workloads:
                chosen = [
                    peer
                    for name, (peer, _) in peers.items()
                    if not sparing or name in ("lbproxy", "beside", workload.reference)
                ]
                measures += bench.measure(workload, chosen)
                print("\n".join(table.lines_of(run, workload)), end="\n\n", flush=True)
    return run


def _keep(run: Run, workloads: Sequence[Workload], record: str | None) -> None:
    path = ROOT / "build" / "bench" / f"{run.when[:19].replace(':', '')}.json"
    if record:
        path = RECORDED / f"{run.when[:10] if record == '1' else record}.json"
        CHART.write_text(chart.chart(run, workloads), encoding="utf-8")
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(page.filled(text, table.markdown(run, workloads)), encoding="utf-8")
    results.write(run, path)
    print(f"Written to {os.path.relpath(path)}")


if __name__ == "__main__":
    sys.exit(main())
