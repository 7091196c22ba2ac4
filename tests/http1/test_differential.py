"""The parsers against h11 and llhttp, on generated and mutated messages.

Whatever we and another reader both accept, both have to read alike: as many messages, with the
same bodies. What we refuse and another accepts is `STRICTER`; what we alone accept is `LOOSER`.
docs/conformance.md shows both tables.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import h11
import httptools
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import MalformedMessage
from lbproxy.http1.message import End
from lbproxy.http1.parser import HeadLimits, RequestParser
from tests.http1.reading import Event, answer, drained, joined

Bodies = list[bytes]

#: Messages of each kind that are compared.
COUNT = 2000

#: What we refuse and h11 or llhttp accepts, each with a message that shows it.
STRICTER: dict[str, bytes] = {
    "Content-Length repeated": b"GET / HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 0\r\nContent-Length: 0",
    "Content-Length as a list": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0",
    "Content-Length with leading zeros": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 00",
    "Content-Length with Transfer-Encoding": b"GET / HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
    "obs-fold": b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c",
    "control in a value": b"GET / HTTP/1.1\r\nHost: a\r\nA: \x01",
    "coding below chunked": b"GET / HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0",
    "Host doubled": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
    "fragment": b"GET /#a HTTP/1.1\r\nHost: a\r\nA: b",
    "bad escape": b"GET /% HTTP/1.1\r\nHost: a\r\nA: b",
    "backslash": b"GET /\\ HTTP/1.1\r\nHost: a\r\nA: b",
    "other scheme": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\nA: b",
    "asterisk without OPTIONS": b"POST * HTTP/1.1\r\nHost: a\r\nA: b",
    "Host missing": b"GET / HTTP/1.1\r\nA: b",
    "Host empty": b"GET / HTTP/1.1\r\nHost:",
    "Host with a comma": b"GET / HTTP/1.1\r\nHost: a,b",
    "Host with a user": b"GET / HTTP/1.1\r\nHost: u@a",
}

_CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

#: What we accept and both refuse: a pattern of such messages, and one that shows it.
LOOSER: dict[str, tuple[re.Pattern[bytes], bytes]] = {
    "unregistered method behind an empty line": (
        re.compile(rb"(?s)(\r\n){1,2}(?!(GET|POST|PUT|HEAD) )[A-Z]++ .*"),
        b"\r\nOST / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "Transfer-Encoding in a trailer": (
        re.compile(rb"(?s).*\r\n0\r\n(.*\r\n)?Transfer-Encoding:.*"),
        _CHUNKED + b"0\r\nTransfer-Encoding: gzip\r\n\r\n",
    ),
    "space before the colon in an answer": (
        re.compile(rb"(?s)HTTP/.*\r\n(?!(?i:content-length|transfer-encoding) )[!-9;-~]++ ++:.*"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer : x\r\n\r\n",
    ),
}

REQUESTS = (
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nSum: 1\r\n\r\n",
    b"HEAD http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
)

ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx",
)

PIECES = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b":", b",", b";", b"0", b"5", b"+", b"-", b"\xff",
    b"Content-Length: 5\r\n", b"Content-Length: 05\r\n", b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Host: b\r\n",
    b" folded\r\n",
    b"A: b\r\n", b"HTTP/1.0", b"HTTP/1.1", b"0\r\n\r\n",
)  # fmt: skip


def mutated(chance: random.Random, seeds: tuple[bytes, ...]) -> bytes:
    """A message with up to two changes."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(3)):
        at = chance.randrange(len(data) + 1)
        end = at + chance.choice((0, 0, 1, 2, 4))
        data[at:end] = chance.choice((b"", *PIECES))
    return bytes(data)


def _bodies(events: list[Event]) -> Bodies:
    """The bodies of the messages that are whole."""
    bodies, body = [], b""
    for event in events:
        if isinstance(event, bytes):
            body += event
        elif isinstance(event, End):
            bodies.append(body)
            body = b""
    return bodies


def our_requests(data: bytes) -> Bodies | None:
    """What we read, if all of it is whole messages."""
    parser = RequestParser(HeadLimits())
    parser.feed(data)
    try:
        events = drained(parser)
    except MalformedMessage:
        return None
    return None if parser.mid_message else _bodies(joined(events))


def our_answer(data: bytes) -> Bodies | None:
    """What we read, up to the end of the connection."""
    try:
        return _bodies(answer(data, closed=True))
    except MalformedMessage:
        return None


def h11_bodies(data: bytes, *, request: bool) -> Bodies | None:
    """What h11 reads of one message and, of requests, those behind it."""
    connection = h11.Connection(h11.SERVER if request else h11.CLIENT)
    bodies: Bodies = []
    body = b""
    try:
        if not request:
            connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        if not request:
            connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                bodies.append(body)
                if not request or connection.trailing_data[0] == b"":
                    return bodies
                rest = connection.trailing_data[0]
                more = h11_bodies(rest, request=True)
                return None if more is None else bodies + more
            elif (
                event is h11.NEED_DATA
                or event is h11.PAUSED
                or isinstance(event, h11.ConnectionClosed)
            ):
                return bodies
    except h11.RemoteProtocolError:
        return None


class _Listener:
    """Gathers what llhttp tells."""

    def __init__(self) -> None:
        self.bodies: Bodies = []
        self._body = b""
        self.status: Callable[[], int] | None = None

    def on_message_begin(self) -> None:
        """A message begins."""
        self._body = b""

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """It is whole; a 1xx is no answer."""
        if self.status is None or self.status() >= 200:
            self.bodies.append(self._body)


def llhttp_bodies(data: bytes, *, request: bool) -> Bodies | None:
    """What llhttp reads."""
    listener = _Listener()
    parser: Any
    if request:
        parser = httptools.HttpRequestParser(listener)
    else:
        parser = httptools.HttpResponseParser(listener)
        listener.status = parser.get_status_code
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return listener.bodies


def _is_defended(data: bytes) -> bool:
    return any(pattern.fullmatch(data) for pattern, _ in LOOSER.values())


class DifferentialTests(SynchronousTestCase):
    """Nothing is framed by us otherwise than by others."""

    def test_requests(self) -> None:
        """Generated and mutated requests."""
        chance = random.Random(9112)
        both = 0
        for _ in range(COUNT):
            data = mutated(chance, REQUESTS)
            ours = our_requests(data)
            if ours is None:
                continue
            others = h11_bodies(data, request=True), llhttp_bodies(data, request=True)
            for theirs in others:
                if theirs is not None:
                    both += 1
                    self.assertEqual(ours, theirs, data)
            if others == (None, None):
                self.assertTrue(_is_defended(data), data)
        self.assertGreater(both, COUNT // 4)

    def test_answers(self) -> None:
        """Generated and mutated answers, those that whole heads begin."""
        chance = random.Random(9110)
        both = 0
        for _ in range(COUNT):
            data = mutated(chance, ANSWERS)
            ours = our_answer(data)
            if ours is None or b"HTTP/1.1 101" in data:
                continue
            theirs = h11_bodies(data, request=False)
            if theirs is not None:
                both += 1
                self.assertEqual(ours, theirs, data)
            counted = llhttp_bodies(data, request=False)
            if counted:  # It cannot be told of the connection's end.
                self.assertEqual(ours[:1], counted[:1], data)
            if theirs is None and counted is None:
                self.assertTrue(_is_defended(data), data)
        self.assertGreater(both, COUNT // 4)

    def test_stricter(self) -> None:
        """Each class that we refuse is one that another accepts."""
        for name, lines in STRICTER.items():
            data = lines + b"\r\n\r\n"
            self.assertIsNone(our_requests(data), name)
            theirs = h11_bodies(data, request=True) or llhttp_bodies(data, request=True)
            self.assertTrue(theirs, name)

    def test_looser(self) -> None:
        """Each class that we alone accept is one that both others refuse."""
        for name, (_, data) in LOOSER.items():
            request = not data.startswith(b"HTTP/")
            self.assertIsNotNone(our_requests(data) if request else our_answer(data), name)
            self.assertTrue(_is_defended(data), name)
            self.assertIsNone(h11_bodies(data, request=request), name)
            self.assertIsNone(llhttp_bodies(data, request=request), name)
