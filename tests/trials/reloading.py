"""Reload after reload, while a WebSocket, an event stream, a slow upload and many requests run."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.integration.commands import lbproxy, top
from tests.integration.group import Group, answer, group
from tests.integration.load import Load
from tests.integration.origin import BACKEND, OK, Origin, Wire, polite
from tests.trials.outcome import Outcome, fault

#: Clients that ask all the time.
CLIENTS = 8

#: Bytes of the upload that are sent between two reloads: slow, but enough for `timeouts.body`.
PIECE = 4096

#: The paths of what lasts, which another pool serves than the one that is changed.
LASTING = ("socket", "events", "upload")

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"6\r\ndata\n\n\r\n"


class Lasting:
    """Who serves what lasts.

    Attributes:
        origin: It.
        streams: The connections of its event streams.
    """

    def __init__(self) -> None:
        self.streams: list[Wire] = []
        self.origin = Origin(self._run)

    def _run(self, origin: Origin, wire: Wire) -> None:
        while head := origin.request(wire):
            path = head.split(b" ")[1]
            if path == b"/socket":
                wire.send(UPGRADED)
                while data := wire.exactly(4):
                    wire.send(data[::-1])
            elif path == b"/events":
                wire.send(EVENTS)
                self.streams.append(wire)
                wire.socket.settimeout(None)  # Its client only listens.
                wire.rest()
            else:
                length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
                wire.send(OK.replace(b"2\r\n\r\nok", b"8\r\n\r\n%08d" % len(wire.exactly(length))))


class Guests:
    """Clients of what lasts: one WebSocket, one event stream, one upload."""

    def __init__(self, proxy: Group, lasting: Lasting, pieces: int) -> None:
        """Begin all three.

        Args:
            proxy: The balancer.
            lasting: Who serves them.
            pieces: Of how many the upload is.
        """
        self._lasting = lasting
        self._size = PIECE * pieces
        self._wires = [proxy.connect() for _ in LASTING]
        self._websocket, self._events, self._upload = self._wires
        head = b"%b HTTP/1.1\r\nHost: shop\r\n%b\r\n"
        self._websocket.send(
            head % (b"GET /socket", b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        )
        self._events.send(head % (b"GET /events", b""))
        self._upload.send(head % (b"POST /upload", b"Content-Length: %d\r\n" % self._size))
        assert self._websocket.head().startswith(b"HTTP/1.1 101 ")
        assert self._events.head().startswith(b"HTTP/1.1 200 ")

    def use(self, word: bytes) -> list[str]:
        """Send something through each; what does not arrive."""
        try:
            self._websocket.send(word)
            echoed = self._websocket.exactly(len(word)) == word[::-1]
            self._lasting.streams[0].send(EVENT)
            streamed = self._events.until(EVENT).endswith(EVENT)
            self._upload.send(b"x" * PIECE)
        except OSError as error:
            return [str(error)]
        return ["the WebSocket"] * (not echoed) + ["the event stream"] * (not streamed)

    def end(self) -> list[str]:
        """End them; the upload, if it was not whole."""
        whole = answer(self._upload).endswith(b"%08d" % self._size)
        for wire in self._wires:
            wire.socket.close()
        return [] if whole else ["the upload"]


def edit(folder: Path, old: str, new: str) -> None:
    """Put something else in the place of what stands in the config's file."""
    config = folder / "lbproxy.toml"
    before = config.read_text()
    assert old in before
    config.write_text(before.replace(old, new, 1))


def reloading(folder: Path, workers: int, reloads: int, every: float = 0.0) -> Outcome:
    """Change the config and reload, and see that nothing was cut, lost or refused.

    Each time a backend joins or leaves the pool under load, which may not try anything twice.

    Args:
        folder: Where the balancer's files are; it is made.
        workers: Of the balancer.
        reloads: How many.
        every: Seconds from one to the next, at least.
    """
    folder.mkdir()
    stays, comes, lasting = Origin(polite), Origin(polite), Lasting()
    pool = "slow_start = 0.0\nretry = { attempts = 1 }\nqueue = { length = 1 }"
    with group(folder, stays, pool=pool, top=top(workers)) as proxy:
        _add_lasting(folder, lasting.origin)
        faults = _reload(proxy)
        guests, cut = Guests(proxy, lasting, reloads), []
        with Load(proxy, CLIENTS) as load:
            for number in range(reloads):
                due = time.monotonic() + every
                _change(folder, number, stays, comes)
                faults += _reload(proxy)
                load.wait_for_progress()
                cut += guests.use(b"%04d" % number)
                time.sleep(max(due - time.monotonic(), 0.0))
        cut += guests.end()
        served = len(comes.heads)
    faults += fault("times something that lasts was cut", cut)
    faults += fault("requests failed", [str(each) for each in load.refused])
    if sum(load.lost):
        faults.append(f"{sum(load.lost)} connections of clients were lost")
    if not served:
        faults.append("the backend that joined was never asked")
    return Outcome(
        f"{reloads} reloads, {workers} workers: {sum(load.asked)} requests, {served} of them to the"
        f" backend that came and went; a WebSocket, an event stream and an upload of"
        f" {PIECE * reloads} bytes lived through all of them",
        faults,
    )


def _add_lasting(folder: Path, origin: Origin) -> None:
    routes = "".join(f'[[routes]]\npath = "/{path}"\npool = "lasting"\n' for path in LASTING)
    edit(folder, "[[routes]]", f"{routes}[[routes]]")
    backend = BACKEND.format(name="lasts", port=origin.port).replace("pools.api", "pools.lasting")
    edit(folder, "[pools.api]", f"[pools.lasting]\nhealth = false\n{backend}[pools.api]")


def _change(folder: Path, number: int, stays: Origin, comes: Origin) -> None:
    """Have the second backend join or leave, and the queue be longer by one."""
    last = BACKEND.format(name="a", port=stays.port)
    joined = BACKEND.format(name="b", port=comes.port)
    there = number % 2
    edit(folder, last + there * joined, last + (1 - there) * joined)
    edit(folder, f"length = {number + 1} ", f"length = {number + 2} ")


def _reload(proxy: Group) -> list[str]:
    ended = lbproxy(proxy, "reload", "--reason", "trial")
    if ended.returncode == 0 and ended.stderr == "":
        return []
    return [f"lbproxy reload ended with {ended.returncode}: {ended.stderr}"]
