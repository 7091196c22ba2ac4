"""Real programs for tests that need them: started, waited for by what they print, ended by pid."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 30.0
"""Seconds after which a program that has not said what it should is taken to be stuck."""

ROOT = Path(__file__).resolve().parent.parent
"""The checkout, from which the programs import what they run."""

READY = re.compile(r"ready on http://(?P<host>\S+):(?P<port>\d+)")

LISTENS = re.compile(r"listens on http://\S+:(?P<port>\d+)/")

CONFIG = """\
access_log = false
admin = false

[listeners.web]
endpoint = "tcp:0:interface=127.0.0.1"

[[routes]]
path = "/api/"
pool = "api"
expose_backend = true

[[routes]]
path = "/"
static = "{public}"

[pools.api]
health = {{ interval = 1.0 }}

[[pools.api.backends]]
name = "klein"
address = "127.0.0.1:{klein}"
server = "klein"

[[pools.api.backends]]
name = "flask"
address = "127.0.0.1:{flask}"
server = "gunicorn"
keep_alive = 75.0
"""
"""What the balancer runs with: the shop's page and its two backends."""


def free_port() -> int:
    """A port of the loopback address that nobody listens on, for programs that must be told one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def refuses(port: int) -> bool:
    """Whether nobody listens on a port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # It is closing just now.
        pass
    return False


class Process:
    """A program that runs beside the test, its output read as it comes.

    As a context manager it ends the program, killing what does not stop.

    Attributes:
        port: Where it listens, once its ready line has told; 0 before.
    """

    port: int = 0

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start it.

        Args:
            arguments: The program and its arguments.
            environment: Added to the test's own.
            directory: Where it runs; the checkout is on its import path wherever that is.
            descriptors: What it inherits, beside its output.
        """
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._popen = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONUNBUFFERED": "1",
                **(environment or {}),
            },
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as output:
            for line in output:
                with self._news:
                    self._lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def output(self) -> str:
        """What it has printed so far, on either stream."""
        with self._news:
            return "\n".join(self._lines)

    def wait_for_line(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        """Wait for a line of its output in which the pattern is found.

        Raises:
            AssertionError: If it ended, or `PATIENCE` ran out, without such a line.
        """
        seen = 0
        with self._news:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self._lines)
                if self._ended or not self._news.wait(PATIENCE):
                    printed = "\n".join(self._lines)
                    raise AssertionError(f"no line with {pattern!r}; it printed:\n{printed}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; its exit code, or minus the signal that killed it."""
        code = self._popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> int:
        """End it at once (SIGKILL) and wait."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def start_backend(name: str, store: Path, port: int = 0) -> Process:
    """Start `python -m backend_NAME` on the loopback address and wait until it is ready.

    Args:
        name: `klein` or `flask`.
        store: The SQLite file of its store; made and seeded if there is none.
        port: Where it listens; 0 for a free port, which `Process.port` tells.
    """
    backend = Process(
        [sys.executable, "-m", f"backend_{name}", "--port", str(port)],
        environment={"DATABASE_URL": f"sqlite:///{store.absolute()}"},
    )
    try:
        backend.port = int(backend.wait_for_line(READY)["port"])
    except BaseException:
        backend.kill()
        raise
    return backend


def start_balancer(klein: int, flask: int, config: Path) -> Process:
    """Start the balancer before two backends, on a free port, and wait until it accepts clients.

    Args:
        klein: The Klein backend's port.
        flask: The Flask backend's port.
        config: Where its config file is to be written.
    """
    config.write_text(
        CONFIG.format(public=ROOT / "public", klein=klein, flask=flask), encoding="utf-8"
    )
    twistd = Path(sys.executable).with_name("twistd")
    balancer = Process([twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", config])
    try:
        balancer.port = int(balancer.wait_for_line(LISTENS)["port"])
    except BaseException:
        balancer.kill()
        raise
    return balancer
