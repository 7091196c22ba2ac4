"""A balancer in TCP mode in a process of its own, and what stands behind it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.origin import Wire
from tests.processes import PATIENCE, Process

LISTENER = """
[listeners.{name}]
endpoint = "{prefix}tcp:0:interface=127.0.0.1"
mode = "tcp"
"""

BACKEND = """
[[pools.{pool}.backends]]
name = "{name}"
address = "127.0.0.1:{port}"
"""


def backends(pool: str, *ports: int) -> str:
    """The backends of a pool, named a, b ... in this order."""
    return "".join(
        BACKEND.format(pool=pool, name="abcdef"[place], port=port)
        for place, port in enumerate(ports)
    )


def pool(*ports: int, listener: str = "", prefix: str = "", more: str = "health = false") -> str:
    """A config with one listener and one pool.

    Args:
        ports: Those of the backends.
        listener: More of the listener's keys.
        prefix: Before its endpoint.
        more: The keys of the pool's table.
    """
    first = LISTENER.format(name="db", prefix=prefix) + f'pool = "db"\n{listener}\n'
    return f"{first}[pools.db]\n{more}\n{backends('db', *ports)}"


class StreamBalancer:
    """It, running.

    Attributes:
        process: Its process.
    """

    def __init__(self, folder: Path, config: str) -> None:
        file = folder / "lbproxy.toml"
        file.write_text(f'access_log = "access.log"\nadmin = false\n{config}')
        self._log = folder / "access.log"
        self._wires: list[Wire] = []
        twistd = Path(sys.executable).with_name("twistd")
        self.process = Process(
            [twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", file], directory=folder
        )

    def port(self, listener: str) -> int:
        """Where a listener listens, as soon as it accepts."""
        line = self.process.wait_for_line(rf"\b{re.escape(listener)} listens on \w+://\S+:(\d+)")
        return int(line[1])

    def connect(self, listener: str = "db") -> Wire:
        """A client's connection, which is closed in the end if not before."""
        wire = Wire(socket.create_connection(("127.0.0.1", self.port(listener)), PATIENCE))
        self._wires.append(wire)
        return wire

    def hang_up(self) -> None:
        """Close all connections of clients."""
        for wire in self._wires:
            wire.socket.close()

    def records(self) -> list[dict[str, Any]]:
        """The access log, once the balancer has stopped."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@contextlib.contextmanager
def stream_balancer(folder: Path, config: str) -> Iterator[StreamBalancer]:
    """A balancer that stops with exit code 0 in the end."""
    started = StreamBalancer(folder, config)
    with started.process:
        try:
            yield started
        finally:
            started.hang_up()
        assert started.process.stop() == 0
