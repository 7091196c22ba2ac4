"""One balancer before two real backends: all is well, and then one of them is slow."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import attrs

from benchmarks.macro import wrk
from benchmarks.macro.peers.lbproxy import ROOT, LbProxy
from benchmarks.macro.peers.peer import Command, Kind, Place
from benchmarks.macro.program import PATIENCE, Program, free_ports
from benchmarks.macro.workloads import Workload
from benchmarks.macro.wrk import Load
from benchmarks.slow import arrivals

#: Seconds by which the slow one takes longer.
SLOWER = 0.2

#: Threads of each backend: one alone has enough for all that the load has under way.
THREADS = 16

#: Requests in a second of the open loop: one backend alone could serve them.
RATE = 250.0

#: The closed loop. Each request has a path of its own, by which `consistent_hash` places it.
CLOSED = Workload("work", "some milliseconds of work", "/work", 12, varied=True)

#: Seconds of load that are not counted: before all, and after a backend has become slow.
WARMING, CHANGING = 1, 2


@attrs.frozen
class Found:
    """What the clients of one balancer saw.

    Attributes:
        fast: While both backends are fast.
        slow: While one of them is slow.
    """

    fast: Load
    slow: Load

    @property
    def ratio(self) -> float:
        """By how many times the slowest hundredth got slower."""
        return self.slow.p99 / self.fast.p99


@attrs.frozen
class Bench:
    """Measures balancers before two backends that run.

    Attributes:
        folder: For all that is written.
        backends: Their ports.
        seconds: How long each load takes.
        cores: Where all runs.
    """

    folder: Path
    backends: Sequence[int]
    seconds: int
    cores: frozenset[int]

    def measure(self, balancer: str) -> tuple[Found, Found]:
        """The closed loop and the open one.

        Raises:
            ProgramFailed: If the balancer does not answer.
            LoadFailed: If there was no load.
        """
        folder = self.folder / balancer
        folder.mkdir()
        port, spare = free_ports(2)
        # Nothing is written there, and there is no TLS.
        place = Place(Kind.HTTP, folder, port, spare, self.backends, folder, folder / "none", 0)
        keys = f'balancer = "{balancer}"'
        if balancer == "consistent_hash":
            keys += '\nhash = { key = "path" }'
        command = LbProxy("lbproxy", ROOT, keys).prepare(place)
        with Program(command, folder, self.cores) as program:
            program.wait_for(port, "/work/0")
            self._closed(place, WARMING)
            fast = self._closed(place, self.seconds), self._open(place)
            make_slower(self.backends[0], SLOWER)
            try:
                self._closed(place, CHANGING)
                slow = self._closed(place, self.seconds), self._open(place)
            finally:
                make_slower(self.backends[0], 0.0)
            program.check()
        closed, opened = zip(fast, slow, strict=True)
        return Found(*closed), Found(*opened)

    def _closed(self, place: Place, seconds: int) -> Load:
        return wrk.run(CLOSED, place.port, seconds, place.folder, self.cores, seed=1)

    def _open(self, place: Place) -> Load:
        return arrivals.run(place.port, CLOSED.path, RATE, self.seconds, seed=1)


def backend(port: int) -> Command:
    """How a backend is started."""
    arguments = [
        *(sys.executable, "-m", "gunicorn", "benchmarks.slow.backend:app"),
        *("--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread"),
        *("--threads", str(THREADS)),
        *("--keep-alive", "75"),
        "--no-control-socket",
    ]
    return Command(arguments, {"PYTHONPATH": str(ROOT)})


def make_slower(port: int, seconds: float) -> None:
    """Have a backend take so much longer for each request from now on."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("POST", f"/slower?seconds={seconds}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
