"""One workload, all peers: rounds in turn, so that each has its neighbours in time."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from benchmarks.macro import idle, origin, processes, sink, wrk
from benchmarks.macro.peers.peer import Command, NotBuilt, Peer, Place
from benchmarks.macro.program import Program, ProgramFailed, free_ports
from benchmarks.macro.results import Measure
from benchmarks.macro.summary import Sample
from benchmarks.macro.workloads import Workload
from benchmarks.macro.wrk import Load, LoadFailed

#: Seconds of load before the first round, in which code is compiled and pools are filled.
WARMING = 1

#: Seconds after a round for the proxy to hear that the clients are gone, which is part of its cost.
SETTLING = 0.05

#: Idle clients that are there before memory is measured.
FIRST = 1000

#: The origin is one program on two ports.
ORIGINS = 2


@attrs.frozen
class Ground:
    """What all measurements of a run share.

    Attributes:
        folder: For all that is written.
        site: The files that are served.
        certificate: For TLS.
        origins: The ports of the origin.
        sink: The port that takes log lines.
        proxy_cores: Where the proxies run.
        load_cores: Where all else runs.
    """

    folder: Path
    site: Path
    certificate: Path
    origins: Sequence[int]
    sink: int
    proxy_cores: frozenset[int]
    load_cores: frozenset[int]


@contextlib.contextmanager
def prepared(
    folder: Path, certificate: Path, proxy_cores: frozenset[int], load_cores: frozenset[int]
) -> Iterator[Ground]:
    """Start the origin, and what takes log lines.

    Args:
        folder: An empty one.
        certificate: A PEM file with a chain and a key.
        proxy_cores: Where the proxies are to run.
        load_cores: Where all else is to run.

    Raises:
        ProgramFailed: If the origin does not answer.
    """
    site = folder / "site"
    origin.make_site(site)
    *origins, inner, sink_port = free_ports(ORIGINS + 2)
    places = {name: folder / name for name in ("origin", "sink")}
    for place in places.values():
        place.mkdir()
    serving = Command(origin.arguments(places["origin"], site, origins, inner))
    taking = Command(sink.arguments(sink_port))
    with (
        Program(serving, places["origin"], load_cores) as program,
        Program(taking, places["sink"], load_cores),
    ):
        for port in origins:
            program.wait_for(port, "/health")
        yield Ground(folder, site, certificate, origins, sink_port, proxy_cores, load_cores)


@attrs.define
class Runner:
    """A peer at a workload, and what it has done so far.

    Attributes:
        command: How it is started, once that is known.
        program: While it runs, but for workloads in which each round has its own.
        refusal: Why it is not measured; empty while it is.
    """

    peer: Peer
    place: Place
    command: Command | None = None
    program: Program | None = None
    samples: list[Sample] = attrs.Factory(list)
    refusal: str = ""


@attrs.define
class Bench:
    """Measures workloads on a ground.

    Attributes:
        rounds: How often each is measured.
        seconds: How long a round takes.
        notes: What the peers said of themselves.
    """

    ground: Ground
    rounds: int
    seconds: int
    notes: list[str] = attrs.Factory(list)
    _seeds: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    def measure(self, workload: Workload, peers: Sequence[Peer]) -> list[Measure]:
        """Measure those peers that can do it; one that fails does not stop the others."""
        folder = self.ground.folder / workload.name
        able = [peer for peer in peers if workload.kind in peer.kinds]
        runners = [Runner(peer, self._place(workload, folder / peer.name)) for peer in able]
        try:
            if workload.idle:
                self._measure_idle(workload, runners)
            else:
                self._measure_load(workload, runners)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # The logs are large.
        return [
            # What broke half-way is not shown by halves.
            Measure(workload.name, runner.peer.name, (), runner.refusal)
            if runner.refusal
            else Measure(workload.name, runner.peer.name, tuple(runner.samples))
            for runner in runners
        ]

    def _place(self, workload: Workload, folder: Path) -> Place:
        folder.mkdir(parents=True, exist_ok=True)
        port, spare = free_ports(2)
        ground = self.ground
        return Place(
            kind=workload.kind,
            folder=folder,
            port=port,
            spare_port=spare,
            origins=ground.origins,
            site=ground.site,
            certificate=ground.certificate,
            sink=ground.sink,
        )

    def _measure_load(self, workload: Workload, runners: Sequence[Runner]) -> None:
        with contextlib.ExitStack() as stack:
            for runner in runners:
                with self._guarding(runner):
                    runner.program = stack.enter_context(self._start(runner))
                    runner.program.wait_for(runner.place.port, workload.path, tls=workload.tls)
            for runner in runners:
                if runner.program is not None and not runner.refusal:
                    with self._guarding(runner):
                        self._load(workload, runner.place, WARMING)
            for turn, runner in enumerate(in_turns(runners, self.rounds)):
                if runner.program is not None and not runner.refusal:
                    with self._guarding(runner):
                        sample = self._sample(workload, runner.place, runner.program, turn)
                        runner.samples.append(sample)

    def _load(self, workload: Workload, place: Place, seconds: int) -> Load:
        cores, seed = self.ground.load_cores, next(self._seeds)
        return wrk.run(workload, place.port, seconds, place.folder, cores, seed)

    def _sample(self, workload: Workload, place: Place, program: Program, turn: int) -> Sample:
        before = processes.cpu_seconds(program.pid)
        load = self._load(workload, place, self.seconds)
        time.sleep(SETTLING)
        cpu = processes.cpu_seconds(program.pid) - before
        program.check()
        if not load.requests:
            raise LoadFailed(f"no request was answered, {load.errors} errors")
        answers = load.received / workload.size if workload.size else load.requests
        return Sample(
            turn=turn,
            cost=cpu * 1e6 / answers,
            rate=answers / load.seconds,
            p50=load.p50,
            p99=load.p99,
            resident=processes.resident(program.pid),
            errors=load.errors,
        )

    def _measure_idle(self, workload: Workload, runners: Sequence[Runner]) -> None:
        """Each round has a process of its own: what one has had once, it has ready."""
        for turn, runner in enumerate(in_turns(runners, self.rounds)):
            if runner.refusal:
                continue
            port, count = runner.place.port, workload.connections
            with self._guarding(runner), self._start(runner) as program:
                program.wait_for(port, workload.path, tls=workload.tls)
                # The first of them fill memory that the process has from its start.
                with idle.connected(port, workload.path, FIRST):
                    before = processes.resident(program.pid)
                    with idle.connected(port, workload.path, count):
                        after = processes.resident(program.pid)
                cost = (after - before) / 1024 / count
                runner.samples.append(Sample(turn, cost, 0.0, 0.0, 0.0, after, 0))

    def _start(self, runner: Runner) -> Program:
        if runner.command is None:
            runner.command = runner.peer.prepare(runner.place)
            self.notes += [note for note in runner.command.notes if note not in self.notes]
        return Program(runner.command, runner.place.folder, self.ground.proxy_cores)

    @contextlib.contextmanager
    def _guarding(self, runner: Runner) -> Iterator[None]:
        try:
            yield
        except NotBuilt as error:
            runner.refusal = told("not supported", error, runner.place)
        except (LoadFailed, ProgramFailed) as error:
            runner.refusal = told("failed", error, runner.place)


def told(what: str, error: Exception, place: Place) -> str:
    """An error in one line, without the names of folders that are gone when it is read."""
    text = str(error).replace(f"{place.folder}/", "")
    return f"{what}: {'; '.join(text.splitlines())}"


def in_turns(runners: Sequence[Runner], rounds: int) -> Iterator[Runner]:
    """Every other round goes backwards, so that none is always the first."""
    for number in range(rounds):
        yield from runners[:: -1 if number % 2 else 1]
