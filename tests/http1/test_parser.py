"""What the parsers read, in whatever pieces it comes, and what they refuse."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import HeadTooLarge, MalformedMessage, TargetTooLong, UnsupportedVersion
from lbproxy.http1.message import End, Framing, RequestHead, ResponseHead
from lbproxy.http1.parser import HeadLimits, RequestParser, ResponseParser
from tests.http1.reading import answer, answer_refusal, drained, refusal, requests

REQUESTS = (
    b"\r\nGET /a?b=%20c HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t two words \t\r\n\r\n"
    b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5;x="a\\"b";y\r\nhello\r\n00a\r\n0123456789\r\n0\r\nSum: 1\r\n\r\n'
    b"GET /d HTTP/1.0\r\n\r\n"
)

ANSWER = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"
)


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    """A request with `Host` and these field lines."""
    return b"\r\n".join((line, b"Host: a", *lines, b"", b""))


class SplitTests(SynchronousTestCase):
    """The same bytes give the same events, in whatever pieces they come."""

    def test_requests_at_every_split(self) -> None:
        """Pipelined requests, cut in two anywhere."""
        whole = requests(REQUESTS)
        for at in range(len(REQUESTS)):
            self.assertEqual(requests(REQUESTS[:at], REQUESTS[at:]), whole)

    def test_requests_byte_by_byte(self) -> None:
        """Pipelined requests, a byte at a time."""
        pieces = [REQUESTS[at : at + 1] for at in range(len(REQUESTS))]
        self.assertEqual(requests(*pieces), requests(REQUESTS))

    def test_answer_at_every_split(self) -> None:
        """An informational and a chunked answer, cut in two anywhere."""
        whole = answer(ANSWER)
        self.assertEqual(len(whole), 4)
        for at in range(len(ANSWER)):
            self.assertEqual(answer(ANSWER[:at], ANSWER[at:]), whole)

    def test_refused_at_every_split(self) -> None:
        """What is refused whole is refused in pieces."""
        data = get(b"Content-Length: 1", b"Transfer-Encoding: chunked")
        for at in range(len(data)):
            with self.assertRaises(MalformedMessage):
                requests(data[:at], data[at:])


class RequestTests(SynchronousTestCase):
    """What a request is read as."""

    def test_events_of_pipelined_requests(self) -> None:
        """Each request has its head, its body and its end, in order."""
        events = requests(REQUESTS)
        heads = [event for event in events if isinstance(event, RequestHead)]
        self.assertEqual([head.target for head in heads], [b"/a?b=%20c", b"/b", b"/c", b"/d"])
        self.assertEqual(heads[0].fields[1:], [(b"X", b""), (b"Y", b"two words")])
        self.assertEqual(
            [event for event in events if isinstance(event, bytes)], [b"hello", b"hello0123456789"]
        )
        self.assertEqual(events[7], End([(b"Sum", b"1")]))
        self.assertEqual(heads[3].minor, 0)

    def test_empty_lines_before(self) -> None:
        """One or two empty lines before a request are overlooked, a third is not."""
        self.assertIsNone(refusal(b"\r\n\r\n" + get()))
        self.assertIsNotNone(refusal(b"\r\n\r\n\r\n" + get()))

    def test_later_minor_version(self) -> None:
        """HTTP/1.2 is read as HTTP/1.1."""
        head = requests(get(line=b"GET / HTTP/1.2"))[0]
        assert isinstance(head, RequestHead)
        self.assertEqual(head.minor, 1)

    def test_other_versions(self) -> None:
        """Other major versions are 505, and what is no version is 400."""
        for version in (b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.1"):
            error = refusal(get(line=b"GET / " + version))
            self.assertIsInstance(error, UnsupportedVersion)
        self.assertIsInstance(refusal(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), UnsupportedVersion)
        for version in (
            b"http/1.1",
            b"HTTP/1",
            b"HTTP/1.10",
            b"HTTP/11",
            b"HTTP 1.1",
            b"HTTP/+1.1",
        ):
            self.assertIs(type(refusal(get(line=b"GET / " + version))), MalformedMessage)

    def test_request_line(self) -> None:
        """A request line has three parts with one space between them."""
        for line in (
            b"GET /",
            b"GET  / HTTP/1.1",
            b"GET /  HTTP/1.1",
            b" GET / HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b"G(T / HTTP/1.1",
            b"GET /a b HTTP/1.1",
        ):
            self.assertIsNotNone(refusal(get(line=line)), line)

    def test_methods_are_case_sensitive(self) -> None:
        """A method is given as it came, known or not."""
        head = requests(get(line=b"get / HTTP/1.1"))[0]
        assert isinstance(head, RequestHead)
        self.assertEqual(head.method, b"get")

    def test_target_forms(self) -> None:
        """All four forms are read, each with the methods it is for."""
        for line in (
            b"GET /a",
            b"GET http://A/b?c",
            b"OPTIONS *",
            b"OPTIONS http://a",
            b"GET /[]{}|^`%41",
            b"CONNECT a:1",
        ):
            self.assertIsNone(refusal(get(line=line + b" HTTP/1.1")), line)

    def test_bad_targets(self) -> None:
        """Fragments, users, other schemes, bad escapes and forms for other methods are refused."""
        for line in (
            b"GET /a#b",
            b"GET http://u@a/",
            b"GET ftp://a/",
            b"GET *",
            b"GET a:1",
            b"CONNECT /a",
            b"CONNECT a",
            b"GET a",
            b"GET /%",
            b"GET /%g0",
            b"GET /a\\b",
            b"GET http:///x",
            b"GET /\xff",
            b'GET /"',
            b"GET /<a>",
        ):
            self.assertIsNotNone(refusal(get(line=line + b" HTTP/1.1")), line)

    def test_host(self) -> None:
        """`Host` is one valid host with an optional port."""
        for host in (b"a", b"a.b:80", b"127.0.0.1:3000", b"[::1]:3000", b"xn--a_b"):
            data = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
            self.assertIsNone(refusal(data), host)
        for host in (
            b"",
            b"a b",
            b"u@a",
            b"a/b",
            b"a,b",
            b"a:b",
            b"a:123456",
            b"[::1",
            b"a#",
            b"a\\",
        ):
            data = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
            self.assertEqual(getattr(refusal(data), "status", None), 400, host)

    def test_host_missing(self) -> None:
        """HTTP/1.1 needs `Host`, HTTP/1.0 does not."""
        self.assertIsNotNone(refusal(b"GET / HTTP/1.1\r\n\r\n"))
        self.assertIsNone(refusal(b"GET / HTTP/1.0\r\n\r\n"))

    def test_host_doubled(self) -> None:
        """Two `Host` lines are refused, equal ones too."""
        self.assertIsNotNone(refusal(get(b"host: a")))
        self.assertIsNotNone(refusal(get(b"Host: a", line=b"GET / HTTP/1.0")))

    def test_host_against_target(self) -> None:
        """`Host` is ignored if the target is absolute, and has to be valid all the same."""
        self.assertIsNone(refusal(get(line=b"GET http://b/ HTTP/1.1")))
        self.assertIsNotNone(refusal(b"GET http://b/ HTTP/1.1\r\nHost: a,b\r\n\r\n"))
        self.assertIsNotNone(refusal(b"GET http://b/ HTTP/1.1\r\n\r\n"))


class FieldSyntaxTests(SynchronousTestCase):
    """What no field line may be, in requests, answers and trailers."""

    BAD = (
        b"A : b",
        b" A: b",
        b"\tA: b",
        b"A: b\r\n c",
        b": b",
        b"A",
        b"",
        b"A: b\nC: d",
        b"A: b\rC: d",
        b"A: \x00",
        b"A: \x0b",
        b"A: \x7f",
        b"A\x00: b",
        b"A(: b",
        b"\xc3: b",
    )

    def test_requests(self) -> None:
        """Each is refused with 400."""
        for line in self.BAD:
            if line:
                self.assertEqual(getattr(refusal(get(line)), "status", None), 400, line)
                first = b"GET / HTTP/1.1\r\n" + line + b"\r\nHost: a\r\n\r\n"
                self.assertEqual(getattr(refusal(first), "status", None), 400, line)

    def test_answers(self) -> None:
        """Each is refused in an answer, but for what has an own test."""
        for line in self.BAD:
            if line and line != b"A : b":
                data = b"HTTP/1.1 200 OK\r\nServer: x\r\n" + line + b"\r\n\r\n"
                self.assertIsNotNone(answer_refusal(data), line)

    def test_space_before_colon_of_answers(self) -> None:
        """It is removed, but not where it might hide the end of the answer."""
        head = answer(b"HTTP/1.1 200 OK\r\nA : b : c\r\nC\t: d\r\n\r\n")[0]
        assert isinstance(head, ResponseHead)
        self.assertEqual(head.fields, [(b"A", b"b : c"), (b"C", b"d")])
        for line in (b"Content-Length : 0", b"TRANSFER-ENCODING\t: chunked", b"A b : c"):
            self.assertIsNotNone(answer_refusal(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"), line)

    def test_trailers(self) -> None:
        """Each is refused in a trailer section."""
        for line in self.BAD:
            if line:
                data = get(b"Transfer-Encoding: chunked") + b"0\r\n" + line + b"\r\n\r\n"
                self.assertIsNotNone(refusal(data), line)

    def test_bare_line_feeds(self) -> None:
        """A head with bare LF is refused before it is whole."""
        self.assertIsNotNone(refusal(b"GET / HTTP/1.1\nHost: a\n\n"))
        self.assertIsNotNone(refusal(b"\x16\x03\x01\x02\x00\x01"))

    def test_obs_text(self) -> None:
        """Values may have bytes above ASCII, which go through as they are."""
        head = requests(get(b"A: \xc3\xa9"))[0]
        assert isinstance(head, RequestHead)
        self.assertEqual(head.values[b"a"], [b"\xc3\xa9"])

    def test_order_is_kept(self) -> None:
        """Lines of one name stay apart and in order."""
        head = requests(get(b"A: 1", b"B: 2", b"a: 3"))[0]
        assert isinstance(head, RequestHead)
        self.assertEqual(head.fields[1:], [(b"A", b"1"), (b"B", b"2"), (b"a", b"3")])
        self.assertEqual(head.values[b"a"], [b"1", b"3"])


class LimitTests(SynchronousTestCase):
    """Limits hold exactly, and name themselves."""

    def test_head(self) -> None:
        """A head of the limit passes; a byte more is 431, whole or not."""
        data = get(b"A: b")
        self.assertIsNone(refusal(data, HeadLimits(head=len(data))))
        for sent in (data, data[:-1]):
            error = refusal(sent, HeadLimits(head=len(sent) - 1))
            assert isinstance(error, HeadTooLarge)
            self.assertEqual((error.status, error.knob), (431, "limits.head"))

    def test_fields(self) -> None:
        """A field more than the limit is 431."""
        self.assertIsNone(refusal(get(b"A: b"), HeadLimits(fields=2)))
        error = refusal(get(b"A: b"), HeadLimits(fields=1))
        assert isinstance(error, HeadTooLarge)
        self.assertEqual(error.knob, "limits.fields")

    def test_target(self) -> None:
        """A target longer than the limit is 414, also if it is longer than a head may be."""
        limits = HeadLimits(head=100, target=10)
        self.assertIsNone(refusal(get(line=b"GET /23456789a HTTP/1.1"), limits))
        for size in (10, 500):
            error = refusal(get(line=b"GET /" + size * b"a" + b" HTTP/1.1"), limits)
            assert isinstance(error, TargetTooLong)
            self.assertEqual((error.status, error.knob), (414, "limits.target"))

    def test_trailers(self) -> None:
        """Trailers have the limits of a head."""
        data = get(b"Transfer-Encoding: chunked") + b"0\r\n" + b"A: b\r\n" * 4 + b"\r\n"
        self.assertIsInstance(refusal(data, HeadLimits(fields=3)), HeadTooLarge)
        self.assertIsNone(refusal(data, HeadLimits(fields=4)))

    def test_answers(self) -> None:
        """An answer's head has limits too."""
        start = b"HTTP/1.1 200 OK\r\n"
        self.assertIsInstance(answer_refusal(start + b"A: b\r\n" * 201 + b"\r\n"), HeadTooLarge)
        self.assertIsInstance(answer_refusal(start + b"A: " + b"b" * 65536), HeadTooLarge)


class ChunkedTests(SynchronousTestCase):
    """What a chunked body may be."""

    START = get(b"Transfer-Encoding: chunked")

    def test_bad_chunks(self) -> None:
        """Other sizes, line ends and lengths are refused."""
        for body in (
            b"+5\r\nhello\r\n",
            b"-1\r\n",
            b"0x5\r\nhello\r\n",
            b"5\nhello\n",
            b"5 \r\nhello",
            b" 5\r\nhello",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n0\n\n",
            b"\r\n",
            b"g\r\n",
            b"5;\r\nhello",
            b"5;a=\r\nhello",
            b"5;a\nb\r\nhello",
            b'5;a="b\r\nhello',
            b"5_0\r\n",
            b"10000000000000000\r\n",
            b"8000000000000000\r\n",
            b"5;a\rb\r\n",
        ):
            self.assertIsNotNone(refusal(self.START + body), body)

    def test_extensions(self) -> None:
        """Extensions are read over, with bad white space, and not passed on."""
        body = b'5 ; a = b ;c="d;\\"e"\r\nhello\r\n0;z\r\n\r\n'
        self.assertEqual(requests(self.START + body)[1:], [b"hello", End([])])

    def test_long_lines(self) -> None:
        """A long first line of a chunk, and many extensions in one body, are refused."""
        self.assertIsNotNone(refusal(self.START + b"5;" + b"a" * 600))
        self.assertIsNotNone(refusal(self.START + (b"1;" + b"a" * 400 + b"\r\nx\r\n") * 50))

    def test_chunks_are_not_gathered(self) -> None:
        """A chunk's bytes are given before it is whole."""
        self.assertEqual(requests(self.START + b"ff\r\nhello")[1:], [b"hello"])


class ResponseTests(SynchronousTestCase):
    """What an answer is read as."""

    def test_no_body(self) -> None:
        """Answers to HEAD, 204 and 304 end with their head, whatever length they announce."""
        for status, method in ((b"200", b"HEAD"), (b"304", b"GET")):
            data = b"HTTP/1.1 " + status + b" x\r\nContent-Length: 5\r\n\r\n"
            head, end = answer(data, method=method)
            assert isinstance(head, ResponseHead)
            self.assertIs(head.framing, Framing.NONE)
            self.assertEqual(end, End([]))
        self.assertEqual(len(answer(b"HTTP/1.1 204 x\r\n\r\n")), 2)

    def test_body_announced_where_none_may_be(self) -> None:
        """1xx and 204 that announce a body are refused."""
        for status in (b"100", b"204"):
            for line in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
                data = b"HTTP/1.1 " + status + b" x\r\n" + line + b"\r\n\r\n"
                self.assertIsNotNone(answer_refusal(data), data)

    def test_informational(self) -> None:
        """Any number of 1xx heads come before the answer's own."""
        events = answer(b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + b"HTTP/1.1 204 x\r\n\r\n")
        heads = [event.status for event in events if isinstance(event, ResponseHead)]
        self.assertEqual(heads, [100, 100, 204])

    def test_switching_protocols(self) -> None:
        """After 101 the bytes are not HTTP."""
        parser = ResponseParser()
        parser.expect(b"GET")
        parser.feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x00")
        self.assertEqual(len(drained(parser)), 1)
        self.assertEqual(parser.take_rest(), b"\x81\x00")

    def test_until_close(self) -> None:
        """Without a length the end of the connection is the end of the answer."""
        data = b"HTTP/1.0 200 OK\r\n\r\n"
        self.assertEqual(answer(data, b"abc", closed=True)[1:], [b"abc", End([])])
        self.assertEqual(answer(data, closed=True)[1:], [End([])])

    def test_cut(self) -> None:
        """An answer that breaks off is no whole answer, at any byte."""
        for data in (ANSWER, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"):
            for at in range(1, len(data)):
                with self.assertRaises(MalformedMessage):
                    answer(data[:at], closed=True)

    def test_status_line(self) -> None:
        """A reason may be missing; a status has three digits from 1 to 5 first."""
        for line in (b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 a\tb \xe9"):
            self.assertIsNone(answer_refusal(line + b"\r\n\r\n"), line)
        for line in (
            b"HTTP/1.1 20",
            b"HTTP/1.1 2000",
            b"HTTP/1.1 600 x",
            b"HTTP/1.1 099 x",
            b"HTTP/1.1  200",
            b"http/1.1 200 OK",
            b"HTTP/2.0 200 OK",
            b"200 OK",
            b"",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1 +20 OK",
            b"ICY 200 OK",
        ):
            self.assertIsNotNone(answer_refusal(line + b"\r\n\r\n"), line)

    def test_nothing_expected(self) -> None:
        """What comes behind an answer is kept, and is no answer until one is expected."""
        parser = ResponseParser()
        parser.expect(b"GET")
        parser.feed(b"HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 y\r\n\r\n")
        self.assertEqual(len(drained(parser)), 2)
        self.assertEqual(parser.buffered, 18)
        self.assertFalse(parser.mid_message)


class StateTests(SynchronousTestCase):
    """What a parser says of itself."""

    def test_mid_message(self) -> None:
        """A message is under way from its first byte until its end."""
        parser = RequestParser(HeadLimits())
        self.assertFalse(parser.mid_message)
        for byte in get(b"Content-Length: 1"):
            parser.feed(bytes([byte]))
            parser_events = drained(parser)
            self.assertTrue(parser.mid_message)
        self.assertEqual(len(parser_events), 1)
        parser.feed(b"x")
        drained(parser)
        self.assertFalse(parser.mid_message)

    def test_memory_of_a_body(self) -> None:
        """A long body passes through, and nothing of it is kept."""
        parser = RequestParser(HeadLimits())
        piece = bytes(65536)
        parser.feed(get(b"Content-Length: %d" % (len(piece) * 1000)))
        drained(parser)
        for _ in range(1000):
            parser.feed(piece)
            self.assertIs(parser.next_event(), piece)
            self.assertEqual(parser.buffered, 0)
        self.assertEqual(drained(parser), [End([])])

    def test_nothing_after_an_error(self) -> None:
        """Behind what was refused no message is looked for."""
        parser = RequestParser(HeadLimits())
        parser.feed(b"GET\r\n\r\n" + get())
        with self.assertRaises(MalformedMessage):
            parser.next_event()
        self.assertIsNone(parser.next_event())

    def test_rest_of_a_request(self) -> None:
        """What came behind a head is there for a tunnel."""
        parser = RequestParser(HeadLimits())
        parser.feed(get() + b"\x81\x00")
        parser.next_event()
        self.assertEqual(parser.take_rest(), b"\x81\x00")
