"""Mutated messages by the thousand, through a balancer that has to stay as it was."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import h11

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer

#: Messages in each direction.
COUNT = 5000

#: A normal request is made after so many of them.
BETWEEN = 250

#: What the balancer's memory may grow by, in KiB.
GROWTH = 20 * 1024

#: Seconds after which a request is taken to lack its end; the client goes away then.
SHORT = 0.05

NORMAL = b"GET /normal HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /c HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nT: v\r\n\r\n",
    b"GET http://shop/d HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive, x\r\nX: y\r\n\r\n",
    b"HEAD /e HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /f HTTP/1.0\r\n\r\n",
]

ANSWERS = [
    OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: v\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil close",
    b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n',
]

PIECES = [
    *(bytes([byte]) for byte in b"\0\t\n\r :;,\x7f\x80\xff0aZ"),
    b"\r\n",
    b"\r\n\r\n",
    b"Content-Length: 7\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Host: other\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b" folded\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"ffffffffffffffffff",
    b"-1",
]


def mutated(chance: random.Random, message: bytes) -> bytes:
    """A message with one or two things wrong with it."""
    for _ in range(chance.randint(1, 2)):
        place = chance.randrange(len(message) + 1)
        until = min(len(message), place + chance.choice((0, 0, 1, 2, 9)))
        message = message[:place] + chance.choice((b"", *PIECES)) + message[until:]
    return message


def resident(of: Balancer) -> int:
    """The balancer's memory, in KiB."""
    status = Path(f"/proc/{of.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def seed() -> int:
    """By which the messages are made; `LBPROXY_SEED` repeats a run."""
    return int(os.environ.get("LBPROXY_SEED", "1"))


def test_requests(tmp_path: Path) -> None:
    """Whatever clients send, backends get requests that h11 reads, and normal ones are answered."""
    unreadable: list[tuple[bytes, str]] = []
    requests = 0

    def read(origin: Origin, wire: Wire) -> None:
        nonlocal requests
        reader, got = h11.Connection(h11.SERVER), b""
        while True:
            try:
                event = reader.next_event()
            except h11.RemoteProtocolError as error:
                if got and "peer closed" not in str(error):
                    unreadable.append((got, str(error)))
                return
            if event is h11.NEED_DATA:
                data = wire.socket.recv(65536)
                got += data
                reader.receive_data(data)
            elif isinstance(event, h11.EndOfMessage):
                requests += 1
                reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                reader.send(h11.EndOfMessage())
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                if reader.our_state is not h11.DONE:
                    return
                reader.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return

    chance = random.Random(seed())
    with balancer(tmp_path, Origin(read), pool="ejection = false") as proxy:
        before = 0
        for number in range(COUNT):
            wire = proxy.connect()
            with wire.socket, contextlib.suppress(ConnectionError, TimeoutError):
                wire.send(mutated(chance, chance.choice(REQUESTS)) + NORMAL)
                wire.socket.settimeout(SHORT)
                wire.rest()
            if number % BETWEEN == 0:
                assert proxy.ask(NORMAL).startswith(b"HTTP/1.1 200 "), number
            if number == COUNT // 5:
                before = resident(proxy)
        assert resident(proxy) - before < GROWTH
        assert "Traceback" not in proxy.process.output
    assert unreadable == []
    assert requests > COUNT // 10  # Else too little came through to say anything.


def test_answers(tmp_path: Path) -> None:
    """Whatever backends answer, clients get one answer that h11 reads, or see that it was cut."""
    chance = random.Random(seed())

    def act(origin: Origin, wire: Wire) -> None:
        head = origin.request(wire)
        if b" /normal " in head:
            wire.send(OK)
        elif head:
            wire.send(mutated(chance, chance.choice(ANSWERS)))

    with balancer(tmp_path, Origin(act), pool="ejection = false") as proxy:
        before = 0
        for number in range(COUNT):
            method = b"HEAD" if number % 10 == 0 else b"GET"
            answer = proxy.ask(method + NORMAL[3:].replace(b"normal", b"any"))
            assert readable(method, answer), (number, answer)
            if number % BETWEEN == 0:
                assert proxy.ask(NORMAL).startswith(b"HTTP/1.1 200 "), number
            if number == COUNT // 5:
                before = resident(proxy)
        assert resident(proxy) - before < GROWTH
        assert "Traceback" not in proxy.process.output


def readable(method: bytes, answer: bytes) -> bool:
    """Whether h11 reads one answer and nothing behind it; an answer that is cut is one, too."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/any", headers=[("Host", "shop")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(answer)
    reader.receive_data(b"")
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.EndOfMessage):
                return not reader.trailing_data[0]
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return False
            if isinstance(event, h11.ConnectionClosed):
                return not answer
    except h11.RemoteProtocolError as error:
        return "peer closed" in str(error) or not answer
