"""The load of an open loop: requests that come whatever the answers take, as those of people do.

wrk sends the next request when it has an answer, so one slow answer keeps a client from asking
more; here each latency counts from when the request was to be sent.
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics

import attrs

from benchmarks.macro.wrk import TIMEOUT, Load, LoadFailed

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def run(port: int, path: str, rate: float, seconds: float, seed: int) -> Load:
    """Ask a proxy on the loopback address.

    Args:
        port: Where it listens.
        path: What is asked for, with a number behind it that is another one each time.
        rate: Requests in a second, by a Poisson process.
        seconds: For how long they come.
        seed: Of their times.

    Raises:
        LoadFailed: If too few were answered to tell anything of them.
    """
    arrivals = _Arrivals(port, path)
    asyncio.run(arrivals.run(rate, seconds, random.Random(seed)))
    if len(arrivals.latencies) < 2:
        raise LoadFailed(f"no request was answered, {arrivals.errors} errors")
    cuts = statistics.quantiles(arrivals.latencies, n=100)
    return Load(
        requests=len(arrivals.latencies),
        received=arrivals.received,
        seconds=seconds,
        p50=cuts[49],
        p99=cuts[98],
        errors=arrivals.errors,
    )


@attrs.define
class _Arrivals:
    port: int
    path: str
    latencies: list[float] = attrs.Factory(list)
    received: int = 0
    errors: int = 0
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = attrs.Factory(list)

    async def run(self, rate: float, seconds: float, chance: random.Random) -> None:
        """Send all requests, and wait for their answers."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        end = due + seconds
        async with asyncio.TaskGroup() as group:
            while (due := due + chance.expovariate(rate)) < end:
                await asyncio.sleep(due - loop.time())
                group.create_task(self._ask(due, chance.randrange(2**31)))
        for _, writer in self._idle:
            writer.close()

    async def _ask(self, due: float, number: int) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._answer(f"{self.path}/{number}".encode())
        except (OSError, EOFError, ValueError):
            self.errors += 1
        else:
            self.latencies.append(asyncio.get_running_loop().time() - due)

    async def _answer(self, target: bytes) -> None:
        """Ask on a connection that is idle, or on a new one.

        Raises:
            ValueError: If the answer is none of 200 with a length.
        """
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"GET %b HTTP/1.1\r\nHost: bench\r\n\r\n" % target)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 200 ") or length is None:
                raise ValueError(head)
            self.received += len(head) + len(await reader.readexactly(int(length[1])))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
