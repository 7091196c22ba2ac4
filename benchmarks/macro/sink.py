"""Takes the lines of access logs that a proxy sends over TCP, and forgets them."""

from __future__ import annotations

import selectors
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

#: Bytes taken at a time.
PIECE = 1 << 18


def arguments(port: int) -> list[str]:
    """How it is started."""
    return [sys.executable, "-P", str(Path(__file__).resolve()), str(port)]


def serve(argv: Sequence[str]) -> None:
    """Listen on the loopback address, and read what comes until the process is ended."""
    listening = socket.create_server(("127.0.0.1", int(argv[0])))
    with listening, selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listening:
                    selector.register(listening.accept()[0], selectors.EVENT_READ)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                try:
                    piece = key.fileobj.recv(PIECE)
                except OSError:
                    piece = b""
                if not piece:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


if __name__ == "__main__":
    serve(sys.argv[1:])
