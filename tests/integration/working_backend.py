"""`python working_backend.py NAME PORT SECONDS`: a small real server for scenarios.

It works at each request for some seconds and says so on standard output; `/health` is answered at
once. At SIGTERM it takes nothing new, finishes what runs, and ends.
"""

from __future__ import annotations

import asyncio
import signal
import sys


class Server:
    """Keeps connections, and knows which of them are at work."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._idle: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._ending = False

    async def run(self, port: int) -> None:
        """Serve until told to end."""
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        print(f"{self._name} is ready", flush=True)
        await told.wait()
        server.close()
        self._ending = True
        for writer in list(self._idle):
            writer.close()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while not self._ending:
                self._idle.add(writer)
                head = await reader.readuntil(b"\r\n\r\n")
                self._idle.discard(writer)
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # Whoever asked has gone, or waits for nothing any more.
        finally:
            self._idle.discard(writer)
            writer.close()
            self._serving.discard(task)

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = head.decode().rstrip().split("\r\n")[1:]
        fields = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        await reader.readexactly(int(fields.get("content-length", 0)))
        number = fields.get("x-simulated", "0")
        if number != "0":
            print(f"works at {number}", flush=True)
            await asyncio.sleep(self._seconds)
        closes = self._ending or fields.get("connection") == "close"
        said = "Connection: close\r\n" if closes else ""
        writer.write(
            f"HTTP/1.1 200 OK\r\nX-Simulated: {number}\r\nX-Simulated-By: {self._name}\r\n"
            f"{said}Content-Length: 2\r\n\r\nok".encode()
        )
        await writer.drain()
        if closes:
            raise ConnectionResetError


if __name__ == "__main__":
    asyncio.run(Server(sys.argv[1], float(sys.argv[3])).run(int(sys.argv[2])))
