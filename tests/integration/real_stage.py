"""A scenario on real processes and in real time, with the same requests at the same moments."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs

from lbproxy.testing.scenario.acts import Act
from lbproxy.testing.scenario.asking import request_head
from lbproxy.testing.scenario.requests import Request
from lbproxy.testing.scenario.result import Result
from tests.processes import LISTENS, PATIENCE, Process

BACKEND = Path(__file__).with_name("working_backend.py")

_WORKS = re.compile(r"works at (\d+)")


@attrs.frozen
class Verdict:
    """What can be said of a scenario wherever it was played.

    Attributes:
        failed: Whether a request failed.
        doubled: Whether an unsafe one was worked at more than once.
        reasons: Why requests failed.
        served: The backends that served.
        main: The one that served more than the others.
    """

    failed: bool
    doubled: bool
    reasons: frozenset[str]
    served: frozenset[str]
    main: str


def verdict(requests: Iterable[Request]) -> Verdict:
    """Judge what became of requests."""
    requests = list(requests)
    served = Counter(request.backend for request in requests if not request.failed)
    return Verdict(
        any(request.failed for request in requests),
        any(request.doubled for request in requests),
        frozenset(request.reason for request in requests if request.failed),
        frozenset(served),
        served.most_common(1)[0][0],
    )


class RealStage:
    """The balancer and its backends as processes.

    Attributes:
        requests: What became of the requests.
    """

    def __init__(self, folder: Path, simulated: Result, ports: dict[str, int]) -> None:
        """Prepare.

        Args:
            folder: Has the config, `lbproxy.toml`.
            simulated: What came of the same scenario in the simulator.
            ports: Of the backends, by name.
        """
        self._acts = simulated.acts
        self.requests = [
            Request(each.number, each.sent, each.method, each.target, each.body, each.keyed)
            for each in simulated.requests
        ]
        self._ports = ports
        self._seconds = simulated.scenario.backends[0].latency.median
        self._ends = contextlib.ExitStack()
        self._processes: list[tuple[str, Process]] = []
        self._running: dict[str, Process] = {}
        self._folder = folder
        self._port = 0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._writers: list[asyncio.StreamWriter] = []

    def play(self) -> Verdict:
        """Start all, let all of it happen, and end it."""
        with self._ends:
            for name in self._ports:
                self._start(name)
            twistd = Path(sys.executable).with_name("twistd")
            config = self._folder / "lbproxy.toml"
            balancer = Process([twistd, "-n", "--pidfile=", "lbproxy", "--config", config])
            with balancer:
                self._port = int(balancer.wait_for_line(LISTENS)["port"])
                asyncio.run(self._play())
                assert balancer.stop() == 0, balancer.output
        by_number = {request.number: request for request in self.requests}
        for name, process in self._processes:
            for number in _WORKS.findall(process.output):
                by_number[int(number)].worked.append(name)
        return verdict(self.requests)

    async def _play(self) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                for request in self.requests:
                    group.create_task(self._ask(request, began))
                for act in self._acts:
                    await _until(began + act.at)
                    await self._befall(act)
        finally:
            for writer in self._writers:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _befall(self, act: Act) -> None:
        """Have something happen; a slow machine has it happen late, but never out of order."""
        if act.verb == "back":
            await asyncio.to_thread(self._start, act.backend)
            return
        while act.backend in self._running and not await self._others_up(act.backend):
            await asyncio.sleep(0.01)  # Nobody tells when a probe has passed.
        process = self._running.pop(act.backend)
        await asyncio.to_thread({"kill": process.kill, "stop": process.stop}[act.verb])

    def _start(self, name: str) -> None:
        process = Process(
            [sys.executable, BACKEND, name, str(self._ports[name]), str(self._seconds)]
        )
        self._ends.enter_context(process)
        self._processes.append((name, process))
        self._running[name] = process
        process.wait_for_line("is ready")

    async def _others_up(self, name: str) -> bool:
        """Whether all that run beside a backend are up, as the balancer reports it."""
        reader, writer = await self._connect()
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        _, _, document = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        (pool,) = json.loads(document)["pools"]
        running = {*self._running} - {name}
        return all(each["state"] == "up" for each in pool["backends"] if each["name"] in running)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        return reader, writer

    async def _ask(self, request: Request, began: float) -> None:
        """Send one request at its time, and see what becomes of it."""
        await _until(began + request.sent)
        reader, writer = self._idle.pop() if self._idle else await self._connect()
        head = request_head(
            request.method,
            request.target,
            "localhost",
            (),
            request.number,
            request.body,
            keyed=request.keyed,
        )
        writer.write(head + b"x" * request.body)
        request.how, request.reason = "cut", "cut"
        try:
            start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            content = await reader.readexactly(int(fields["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        finally:
            request.ended = asyncio.get_running_loop().time() - began
        request.status = int(start.split()[1])
        request.backend = fields.get("x-simulated-by", "")
        if request.backend:
            assert fields["x-simulated"] == str(request.number)
            request.how, request.reason = "answered", ""
        else:
            request.how, request.reason = "told", json.loads(content)["reason"]
        if fields.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))


async def _until(moment: float) -> None:
    """Wait until the loop's clock says so: requests and events have their times."""
    await asyncio.sleep(max(moment - asyncio.get_running_loop().time(), 0.0))
