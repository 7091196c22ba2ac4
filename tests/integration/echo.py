"""A WebSocket server that sends back whatever it gets."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import attrs
from websockets.sync.server import ServerConnection, serve

from tests.integration.origin import Origin, polite


@attrs.frozen
class Echo:
    """It, running.

    Attributes:
        origin: Stands for it as a backend: its port is the server's.
        codes: Those with which its connections were closed.
    """

    origin: Origin
    codes: list[int | None] = attrs.field(factory=list)


@contextlib.contextmanager
def echo() -> Iterator[Echo]:
    """Serve until the context ends."""
    origin = Origin(polite)
    origin.close()
    running = Echo(origin)

    def answer(peer: ServerConnection) -> None:
        for message in peer:
            peer.send(message)
        running.codes.append(peer.close_code)

    with serve(answer, "127.0.0.1", 0) as server:
        origin.port = server.socket.getsockname()[1]
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield running
        finally:
            server.shutdown()
            serving.join()
