"""Clients that have had one answer each and stay connected: what a connection costs in memory."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from benchmarks.macro.wrk import TIMEOUT, LoadFailed

#: Enough for the head and the body of a small answer.
PIECE = 65536


@contextlib.contextmanager
def connected(port: int, path: str, count: int) -> Iterator[None]:
    """Keep clients of the loopback address connected, each of which has had a small answer.

    Raises:
        LoadFailed: If one of them got none.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for number in range(1, count + 1):
            try:
                client = socket.create_connection(("127.0.0.1", port), TIMEOUT)
                stack.enter_context(client)
                client.sendall(request)
                answer = client.recv(PIECE)
            except OSError as error:
                raise LoadFailed(f"client {number} of {count}: {error}") from error
            if b" 200 " not in answer.partition(b"\r\n")[0]:
                raise LoadFailed(f"client {number} of {count} was answered {answer[:40]!r}")
        yield
