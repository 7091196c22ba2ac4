"""Balancers that are started one after another on one listening socket, as systemd starts them."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any, Self

from tests.integration.group import HEALTH, answer
from tests.integration.origin import BACKEND, CONFIG, Origin, Wire
from tests.processes import LISTENS, PATIENCE, Process

#: Passes on the descriptor of its first argument as systemd does (`sd_listen_fds(3)`), and becomes
#: the program that follows.
START = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Port:
    """A port that outlives the balancers behind it.

    Attributes:
        number: Of the port.
    """

    def __init__(self, folder: Path, workers: int, *origins: Origin, more: str = "") -> None:
        """Listen; until a balancer is started, clients wait.

        Args:
            folder: Where the balancers' files are.
            workers: Of each balancer.
            origins: Its backends, named a, b ... in this order.
            more: More keys at the beginning of the config.
        """
        self._folder = folder
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._started: list[Process] = []
        self.number: int = self._socket.getsockname()[1]
        self._log = folder / "access.log"
        top = f"workers = {workers}\nadmin = false\n{more}"
        endpoint = "systemd:domain=INET:name=web"
        backends = [
            BACKEND.format(name="abcdef"[place], port=origin.port)
            for place, origin in enumerate(origins)
        ]
        text = CONFIG.format(top=top, endpoint=endpoint, pool="", health="false")
        (folder / "lbproxy.toml").write_text(text + "".join(backends))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for process in self._started:
            process.kill()

    def start(self) -> Process:
        """Start a balancer."""
        twistd = Path(sys.executable).with_name("twistd")
        program: list[str | Path] = [
            twistd,
            "--nodaemon",
            "--pidfile=",
            "lbproxy",
            "--config",
            "lbproxy.toml",
        ]
        shared = self._socket.fileno()
        started = Process(
            [sys.executable, "-c", START, str(shared), *program],
            directory=self._folder,
            descriptors=[shared],
        )
        self._started.append(started)
        return started

    def serving(self) -> Process:
        """Start one, and wait until it answers."""
        started = self.start()
        started.wait_for_line(LISTENS)
        wire = self.connect()
        with wire.socket:
            wire.send(HEALTH)
            assert answer(wire)
        return started

    def lines(self) -> list[dict[str, Any]]:
        """The access log, but for looks at the health."""
        told = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in told if "pool" in line]

    def connect(self) -> Wire:
        """A client's connection."""
        return Wire(socket.create_connection(("127.0.0.1", self.number), PATIENCE))
