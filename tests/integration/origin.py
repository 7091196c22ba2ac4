"""A scripted origin server and a balancer before it, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.processes import PATIENCE, Process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """One connection, read by what it brings.

    Attributes:
        socket: The connection itself.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self._read = b""

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def until(self, marker: bytes) -> bytes:
        """Read up to a marker and with it; what came if the connection ends before."""
        while marker not in self._read:
            data = self.socket.recv(65536)
            if not data:
                break
            self._read += data
        place = self._read.find(marker)
        end = len(self._read) if place < 0 else place + len(marker)
        taken, self._read = self._read[:end], self._read[end:]
        return taken

    def exactly(self, count: int) -> bytes:
        """Read so many bytes; fewer if the connection ends before."""
        while len(self._read) < count:
            data = self.socket.recv(65536)
            if not data:
                break
            self._read += data
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def rest(self) -> bytes:
        """Read until the connection ends; a reset is an end."""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65536):
                self._read += data
        taken, self._read = self._read, b""
        return taken

    def head(self) -> bytes:
        """Read a message's head."""
        return self.until(b"\r\n\r\n")

    def reset(self) -> None:
        """End the connection with a reset."""
        linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


class Origin:
    """Runs a script for each connection, in threads.

    Attributes:
        port: Where it listens, by default on 127.0.0.1.
        heads: The heads of the requests that scripts have read with `request`.
    """

    def __init__(
        self, script: Callable[[Origin, Wire], None], *, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self._script = script
        self._listening = socket.create_server((host, port))
        self.port: int = self._listening.getsockname()[1]
        self.heads: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def request(self, wire: Wire) -> bytes:
        """Read a request's head, and remember it."""
        head = wire.head()
        if head:
            self.heads.append(head)
        return head

    def close(self) -> None:
        """Refuse connections from now on."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._script(self, Wire(connection))


def polite(origin: Origin, wire: Wire) -> None:
    """Answer each request without a body."""
    while origin.request(wire):
        wire.send(OK)


def script(act: Callable[[Wire], None]) -> Callable[[Origin, Wire], None]:
    """A script that reads one head, and then acts."""

    def run(origin: Origin, wire: Wire) -> None:
        if origin.request(wire):
            act(wire)

    return run


CONFIG = """
access_log = "access.log"
{top}
[listeners.web]
endpoint = "{endpoint}"
[[routes]]
path = "/"
pool = "api"
expose_backend = true
retry_on = [502, 503, 504]
[pools.api]
health = {health}
{pool}
"""

BACKEND = """
[[pools.api.backends]]
name = "{name}"
address = "127.0.0.1:{port}"
"""


class Balancer:
    """A balancer in a process of its own.

    Attributes:
        process: It.
        log: Its access log.
    """

    def __init__(
        self,
        folder: Path,
        ports: list[int],
        pool: str,
        health: str,
        top: str = "admin = false",
        endpoint: str = "tcp:0:interface=127.0.0.1",
        backend: str = "",
    ) -> None:
        config = folder / "lbproxy.toml"
        backends = [
            f"{BACKEND.format(name='abcdef'[place], port=port)}{backend}\n"
            for place, port in enumerate(ports)
        ]
        text = CONFIG.format(pool=pool, health=health, top=top, endpoint=endpoint)
        config.write_text(text + "".join(backends))
        twistd = Path(sys.executable).with_name("twistd")
        self.log = folder / "access.log"
        self.process = Process(
            [twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", config], directory=folder
        )
        self.process.port = int(self.process.wait_for_line(r"listens on http://\S+:(\d+)/")[1])

    def connect(self) -> Wire:
        """A client's connection to it."""
        return Wire(socket.create_connection(("127.0.0.1", self.process.port)))

    def ask(self, request: bytes) -> bytes:
        """Send a request on a connection of its own, and read until that ends."""
        wire = self.connect()
        with wire.socket:
            wire.send(request)
            return wire.rest()


@contextlib.contextmanager
def balancer(
    folder: Path, *origins: Origin, pool: str = "", health: str = "false"
) -> Iterator[Balancer]:
    """A balancer before some origins, which stops with exit code 0 in the end.

    Args:
        folder: Where its files are.
        origins: Its backends, named a, b ... in this order.
        pool: More keys of the pool's table.
        health: The pool's `health`; none by default.
    """
    started = Balancer(folder, [origin.port for origin in origins], pool, health)
    with started.process:
        yield started
        assert started.process.stop() == 0
