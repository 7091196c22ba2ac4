"""The balancer itself is restarted, and its clients go on."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from tests.integration.activated import Port
from tests.integration.crowd import Crowd
from tests.integration.echo import echo
from tests.integration.group import ASK, answer
from tests.integration.origin import Origin, Wire, polite
from tests.processes import PATIENCE

#: So many clients on a new connection for each request, and so many that keep theirs.
NEW, KEPT = 4, 4


class Clients(Crowd):
    """Clients as browsers are: whose kept connection has ended without a word asks again.

    Attributes:
        failed: What else went wrong.
    """

    def __init__(self, port: Port) -> None:
        super().__init__(NEW + KEPT)
        self._port = port
        self.failed: list[object] = []

    def _run(self, number: int) -> None:
        while not self._over.is_set():
            try:
                wire = self._port.connect()
                with wire.socket:
                    self._use(number, wire)
            except OSError as error:
                self.failed.append(error)
                return

    def _use(self, number: int, wire: Wire) -> None:
        """Ask once, or until the balancer does not want the connection any more."""
        request = (
            ASK if number < KEPT else ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        told = _told(wire, request)
        while told.endswith(b"ok"):
            self.asked[number] += 1
            if b"\r\nConnection: close\r\n" in told or self._over.is_set():
                return
            told = _told(wire, request)
            if not told:
                return
        self.failed.append(told)


def _told(wire: Wire, request: bytes) -> bytes:
    """The answer; empty if there was not a byte of it."""
    with contextlib.suppress(ConnectionError):
        wire.send(request)
    return answer(wire)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ahead", [False, True], ids=["behind", "ahead"])
def test_under_load(tmp_path: Path, workers: int, ahead: bool) -> None:
    """The next balancer is started when the last one begins to end, or before: no request fails."""
    with Port(tmp_path, workers, Origin(polite)) as port:
        running = port.serving()
        with Clients(port) as clients:
            for _ in range(2):
                clients.wait_for_progress()
                before = running
                if ahead:
                    running = port.serving()
                    clients.wait_for_progress()
                before.signal(signal.SIGTERM)
                if not ahead:
                    running = port.start()
                assert before.wait() == 0, before.output
                assert "Traceback" not in before.output
                clients.wait_for_progress()
        assert clients.failed == []
        assert running.stop() == 0, running.output
        lines = port.lines()
        assert {line["status"] for line in lines} == {200}
        assert len(lines) == sum(clients.asked)


@pytest.mark.parametrize("workers", [1, 2])
def test_wait_in_the_queue(tmp_path: Path, workers: int) -> None:
    """While none runs clients are not refused: the next one answers them."""
    with Port(tmp_path, workers, Origin(polite)) as port:
        assert port.serving().stop() == 0
        waiting = [port.connect() for _ in range(32)]
        for wire in waiting:
            wire.send(ASK)
        running = port.start()
        for wire in waiting:
            with wire.socket:
                assert answer(wire).endswith(b"ok")
        assert running.stop() == 0, running.output


def test_just_connected(tmp_path: Path) -> None:
    """Who was accepted when the balancer stops, and has not asked yet, is answered by it."""
    with Port(tmp_path, 1, Origin(polite)) as port:
        running = port.serving()
        early, second = port.connect(), port.connect()
        with early.socket, second.socket:
            second.send(ASK)
            assert answer(second)  # They are accepted in order, so the first one is too.
            running.signal(signal.SIGTERM)
            running.wait_for_line("finishing what runs; ")
            early.send(ASK)
            told = answer(early)
        assert told.endswith(b"ok") and b"\r\nConnection: close\r\n" in told
        assert running.wait() == 0, running.output


class Feed:
    """An origin's streams of numbered events, each by its path; an event follows when one is read.

    Attributes:
        read: The number that each stream's client had last.
    """

    def __init__(self, count: int) -> None:
        self.read = [0] * count
        self._news = threading.Condition()

    def have(self, stream: int, number: int) -> None:
        """A client has an event."""
        with self._news:
            self.read[stream] = number
            self._news.notify_all()

    def _is_read(self, stream: int, number: int) -> bool:
        """Wait until that is so."""
        with self._news:
            return self._news.wait_for(lambda: self.read[stream] >= number, PATIENCE)

    def __call__(self, origin: Origin, wire: Wire) -> None:
        """Send what follows the event that the client had last, in pieces."""
        head = origin.request(wire)
        stream = int(head.split(b" ")[1][1:])
        number = int(head.partition(b"\r\nLast-Event-ID: ")[2].partition(b"\r\n")[0])
        wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        while self._is_read(stream, number):
            number += 1
            for piece in (b"id: %d\nda" % number, b"ta: event %d\n" % number, b"\n"):
                wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))


class Readers(Crowd):
    """Clients as `EventSource` is, which come again with the number that they had last.

    Attributes:
        numbers: Of the events that each of them had, in order.
        ends: How often the stream of each of them has ended.
        failed: What ended otherwise than whole.
    """

    def __init__(self, port: Port, feed: Feed) -> None:
        super().__init__(len(feed.read))
        self._port = port
        self._feed = feed
        self.numbers: list[list[int]] = [[] for _ in self.asked]
        self.ends = [0 for _ in self.asked]
        self.failed: list[object] = []

    def _run(self, number: int) -> None:
        try:
            while not self._over.is_set():
                wire = self._port.connect()
                with wire.socket:
                    self._follow(number, wire)
        except OSError as error:
            self.failed.append(error)

    def _follow(self, number: int, wire: Wire) -> None:
        """Take events until the stream ends, or all is over."""
        last = self.numbers[number][-1] if self.numbers[number] else 0
        ask = b"GET /%d HTTP/1.1\r\nHost: shop\r\nLast-Event-ID: %d\r\n\r\n"
        wire.send(ask % (number, last))
        assert b"\r\nTransfer-Encoding: chunked\r\n" in wire.head()
        event = b""
        while not self._over.is_set():
            size = wire.until(b"\r\n")
            event += wire.exactly(int(size or b"-1", 16))
            wire.exactly(2)
            if size == b"0\r\n" and not event:
                self.ends[number] += 1
                return
            if size in (b"", b"0\r\n"):
                self.failed.append((number, size, event))
                return
            if event.endswith(b"\n\n"):
                self._take(number, event)
                event = b""

    def _take(self, number: int, event: bytes) -> None:
        got = int(event.partition(b"\n")[0].removeprefix(b"id: "))
        assert event == b"id: %d\ndata: event %d\n\n" % (got, got)
        self.numbers[number].append(got)
        self.asked[number] += 1
        self._feed.have(number, got)


@pytest.mark.parametrize("workers", [1, 2])
def test_event_streams(tmp_path: Path, workers: int) -> None:
    """A client that follows events misses none and gets none twice, over three balancers."""
    feed = Feed(3)
    with Port(tmp_path, workers, Origin(feed), more="stop.spread = 0.5\n") as port:
        running = port.serving()
        with Readers(port, feed) as readers:
            for restarts in range(1, 3):
                readers.wait_for_progress()
                running.signal(signal.SIGTERM)
                before, running = running, port.start()
                assert before.wait() == 0, before.output
                assert "are cut" not in before.output
                readers.wait_for_progress()
                # Who comes back may meet another worker that has not been told yet, and ends too.
                assert all(restarts <= ends <= restarts * workers for ends in readers.ends)
        assert running.stop() == 0, running.output
        assert readers.failed == []
        for numbers in readers.numbers:
            assert numbers == list(range(1, len(numbers) + 1))
        told = [(line["status"], line["reason"]) for line in port.lines()]
        assert told.count((200, "stopped")) >= 2 * 3
        assert set(told) <= {(200, "stopped"), (200, "client_gone")}


def test_websocket(tmp_path: Path) -> None:
    """Both ends of a WebSocket are told why it closes, and the client may come again at once."""
    with echo() as server, Port(tmp_path, 1, server.origin) as port:
        running = port.serving()
        address = f"ws://127.0.0.1:{port.number}/"
        with connect_websocket(address) as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
            running.signal(signal.SIGTERM)
            before, running = running, port.start()
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert before.wait() == 0, before.output
        with connect_websocket(address) as client:
            client.send("again")
            assert client.recv(PATIENCE) == "again"
        assert running.stop() == 0, running.output
        assert [line["reason"] for line in port.lines()] == ["stopped", "answered"]
    assert server.codes == [1001, 1000]
