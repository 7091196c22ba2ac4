"""A program that runs beside the measurement: on its own core, and ended whatever happens."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.macro.peers.peer import Command

#: Seconds that a program has to begin, and to end before it is killed.
PATIENCE = 15.0

TAIL = 600
"""Characters of a program's output that are shown if it fails."""


class ProgramFailed(Exception):
    """A program did not start or did not answer; the text says what it printed."""


class Program:
    """A running program; as a context manager it ends the program and its children."""

    def __init__(self, command: Command, folder: Path, cores: Collection[int]) -> None:
        """Start it.

        Args:
            command: What to start.
            folder: Where it runs, and where its output goes.
            cores: Where it may run.
        """
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self._popen = subprocess.Popen(
                command.arguments,
                cwd=folder,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end it in our own order.
                preexec_fn=functools.partial(os.sched_setaffinity, 0, cores),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def wait_for(self, port: int, path: str, *, tls: bool = False) -> None:
        """Wait until it answers a request with 200.

        Raises:
            ProgramFailed: If it ends, or does not answer in time.
        """
        end = time.monotonic() + PATIENCE
        while not answers(port, path, tls=tls):
            self.check()
            if time.monotonic() > end:
                raise ProgramFailed(f"does not answer; it printed: {self._tail()}")
            time.sleep(0.05)

    def check(self) -> None:
        """See that it runs.

        Raises:
            ProgramFailed: If it has ended.
        """
        status = self._popen.poll()
        if status is not None:
            raise ProgramFailed(f"ended with status {status}; it printed: {self._tail()}")

    def _tail(self) -> str:
        return self._output.read_text("utf-8", "replace").strip()[-TAIL:] or "nothing"

    def stop(self) -> None:
        """End it, and kill what is left of it and its children."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)  # The group is its own.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def answers(port: int, path: str, *, tls: bool) -> bool:
    """Whether a request on the loopback address is answered with 200."""
    connection: http.client.HTTPConnection
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # The certificate is one that we made.
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2.0, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
