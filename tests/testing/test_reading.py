"""The simulator's own reading of HTTP/1.1, and the bytes of its bodies."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.payload import PERIOD, body
from lbproxy.testing.reading import Head, MessageReader, Unreadable

ANSWER = b"HTTP/1.1 200 OK\r\nX-Ask: 1\r\n"


class Told:
    """Notes what was read."""

    def __init__(self, bodies: bool = True) -> None:
        self.told: list[object] = []
        self._bodies = bodies

    def on_head(self, head: Head) -> bool:
        self.told.append(head.start[1])
        return self._bodies and head.status >= 200

    def on_body(self, data: bytes) -> None:
        self.told.append(data)

    def on_whole(self) -> None:
        self.told.append("whole")


class ReadingTests(SynchronousTestCase):
    def check(self, data: bytes, *awaited: object, bodies: bool = True) -> MessageReader:
        """One read, and one byte at a time, come to the same."""
        for pieces in ([data], [data[place : place + 1] for place in range(len(data))]):
            told = Told(bodies)
            reader = MessageReader(told, until_close=True)
            for piece in pieces:
                reader.feed(piece)
            if len(pieces) == 1:
                self.assertEqual(told.told, list(awaited))
            else:
                joined = b"".join(each for each in told.told[1:] if isinstance(each, bytes))
                once = b"".join(each for each in awaited[1:] if isinstance(each, bytes))
                self.assertEqual(joined, once)
                self.assertEqual(told.told.count("whole"), awaited.count("whole"))
        return reader

    def test_length(self) -> None:
        """A body of known length, and what follows it."""
        data = ANSWER + b"Content-Length: 3\r\n\r\nabc"
        self.check(data, b"200", b"abc", "whole")
        self.check(data + data, b"200", b"abc", "whole", b"200", b"abc", "whole")
        self.check(ANSWER + b"Content-Length: 0\r\n\r\n", b"200", "whole")

    def test_chunks(self) -> None:
        """A body in chunks, with trailers."""
        data = (
            ANSWER + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
        )
        self.check(data, b"200", b"abc", b"de", "whole")

    def test_until_close(self) -> None:
        """A body that the end of the connection ends."""
        reader = self.check(ANSWER + b"\r\nabc", b"200", b"abc")
        self.assertTrue(reader.begun)
        self.assertTrue(reader.end())

    def test_no_body(self) -> None:
        """An answer to HEAD has none, and a 1xx is no answer."""
        self.check(ANSWER + b"Content-Length: 3\r\n\r\n", b"200", "whole", bodies=False)
        hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        self.check(hint + ANSWER + b"Content-Length: 0\r\n\r\n", b"103", b"200", "whole")

    def test_cut(self) -> None:
        """An end within a message is not one between two."""
        reader = self.check(ANSWER + b"Content-Length: 3\r\n\r\nab", b"200", b"ab")
        self.assertFalse(reader.end())

    def test_unreadable(self) -> None:
        """What is no message is refused."""
        for data in (
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            ANSWER + b"Transfer-Encoding: gzip\r\n\r\n",
            ANSWER + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            ANSWER + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ):
            with self.assertRaises(Unreadable):
                MessageReader(Told(), until_close=True).feed(data)


class PayloadTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """Any part of a body is what stands there in the whole of it."""
        whole = body("answer", 7, 0, 5 * PERIOD)
        for start, size in ((0, 0), (1, 3), (PERIOD - 1, 2), (PERIOD, 3 * PERIOD)):
            self.assertEqual(body("answer", 7, start, size), whole[start : start + size])

    def test_differ(self) -> None:
        """The bodies of two requests differ, and so do a request's and its answer's."""
        drawn = {body(way, number, 0, 40) for way in ("request", "answer") for number in range(50)}
        self.assertEqual(len(drawn), 100)
