"""gunicorn as it is installed, which closes idle connections after 2 s, and pauses as long."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path

from tests.integration.asking import ask
from tests.integration.origin import Balancer
from tests.processes import PATIENCE, Process, free_port
from tests.trials.outcome import Outcome, fault

#: Seconds for which connections stay idle; gunicorn closes them in the middle of that.
PAUSE = (1.5, 2.5)

#: One client in so many writes, with a POST that nothing may send twice.
WRITERS = 3

#: gunicorn's threads. Its `worker_connections` (1000) is far above the pool's `max_in_flight`, so
#: that it keeps all connections that the balancer makes.
THREADS = 8


def keep_alive(folder: Path, backend: str, clients: int, waves: int) -> Outcome:
    """Send requests in waves, and see that each was answered and nothing was done twice.

    The balancer takes the connection that was used last. So that all of them grow old, every
    other wave comes at once, as wide as there are clients, after the same pause for all; in those
    between each client draws its own.

    Args:
        folder: Where the balancer's files are; it is made.
        backend: More keys of the backend's table.
        clients: Connections, which stay.
        waves: Requests on each of them.
    """
    folder.mkdir()
    with gunicorn() as origin:
        started = Balancer(folder, [origin.port], "", "false", backend=backend)
        with started.process as process:
            crowd = Waves(process.port, random.Random(clients))
            asyncio.run(crowd.run(clients, waves))
            stopped = process.stop()
        written = Counter(ask(origin.port, "GET", "/written").value)
        kept, late = connections_of(started.log)
    doubled = [name for name, times in written.items() if times > 1]
    lost = [name for name in crowd.written if name not in written]
    faults = [
        *fault("requests failed", crowd.failed),
        *fault("notes were written twice", doubled),
        *fault("notes were answered and not written", lost),
    ]
    if stopped != 0:
        faults.append(f"the balancer ended with {stopped}")
    told = (
        f"gunicorn's keep-alive of 2 s, {backend or 'nothing said of the server'}: "
        f"{crowd.answered} requests of {clients} clients, {len(crowd.written)} POSTs among them, "
        f"{len(crowd.failed)} failed, {len(doubled)} doubled; "
        f"{kept} went on a connection that was kept, {late} found it closed and were sent again"
    )
    return Outcome(told, faults)


def gunicorn() -> Process:
    """Start it with its own defaults but for the threads."""
    port = free_port()
    origin = Process(
        [
            *(sys.executable, "-m", "gunicorn", "tests.trials.notes:app"),
            *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
            *("--threads", str(THREADS), "--no-control-socket"),
        ]
    )
    origin.port = port
    try:
        origin.wait_for_line("Booting worker")
    except BaseException:
        origin.kill()
        raise
    return origin


def connections_of(log: Path) -> tuple[int, int]:
    """How many requests went on a connection that was kept, and how many met its end there."""
    records = list(map(json.loads, log.read_text(encoding="utf-8").splitlines()))
    kept = sum(record["attempts"][0].get("reused", False) for record in records)
    return kept, sum(len(record["attempts"]) > 1 for record in records)


class Waves:
    """Clients that keep their connections and pause between their requests.

    Attributes:
        answered: Requests with an answer of 200.
        written: The names of the notes that were answered so.
        failed: What else came of a request.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        self._port = port
        self._chance = chance
        self.answered = 0
        self.written: list[str] = []
        self.failed: list[str] = []

    async def run(self, clients: int, waves: int) -> None:
        """Send all requests."""
        async with asyncio.TaskGroup() as group:
            pauses = [
                [self._chance.uniform(*PAUSE)] * clients
                if wave % 2
                else [self._chance.uniform(*PAUSE) for _ in range(clients)]
                for wave in range(waves)
            ]
            barrier = asyncio.Barrier(clients)
            for number, of_client in enumerate(zip(*pauses, strict=True)):
                group.create_task(self._run(number, of_client, barrier))

    async def _run(self, number: int, pauses: tuple[float, ...], barrier: asyncio.Barrier) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for wave, pause in enumerate(pauses):
            await barrier.wait()
            await asyncio.sleep(pause)
            name = f"note-{number}-{wave}" if number % WRITERS == 0 else ""
            try:
                async with asyncio.timeout(PATIENCE):
                    status = await self._ask(reader, writer, name)
            except (OSError, EOFError) as error:
                self.failed.append(repr(error))
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                continue
            if status != 200:
                self.failed.append(f"{'POST' if name else 'GET'} was answered {status}")
                continue
            self.answered += 1
            if name:
                self.written.append(name)
        writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> int:
        body = b"x" * 500 if name else b""
        method = "POST" if name else "GET"
        head = f"{method} /{name} HTTP/1.1\r\nHost: notes\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(line for line in lines if line.startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
        return int(lines[0].split()[1])
