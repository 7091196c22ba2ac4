"""Where bodies end, and what is refused because two readers could disagree."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import MalformedMessage, UnsupportedCoding
from lbproxy.http1.framing import request_framing, response_framing
from lbproxy.http1.message import Framing

Values = dict[bytes, list[bytes]]
TE, CL = b"transfer-encoding", b"content-length"


class FramingTests(SynchronousTestCase):
    """Section 6.3 of RFC 9112, for requests and answers."""

    def refused(self, values: Values, minor: int = 1) -> None:
        """Check that a request and an answer with these fields are refused."""
        with self.assertRaises(MalformedMessage):
            request_framing(minor, values)
        with self.assertRaises(MalformedMessage):
            response_framing(b"GET", 200, minor, values)

    def test_accepted(self) -> None:
        """Each framing from the one way to announce it."""
        self.assertEqual(request_framing(1, {}), (Framing.NONE, 0))
        self.assertEqual(request_framing(1, {CL: [b"0"]}), (Framing.LENGTH, 0))
        self.assertEqual(request_framing(0, {CL: [b"12"]}), (Framing.LENGTH, 12))
        self.assertEqual(request_framing(1, {TE: [b"CHUNKED"]}), (Framing.CHUNKED, 0))
        self.assertEqual(response_framing(b"GET", 200, 1, {}), (Framing.UNTIL_CLOSE, 0))
        self.assertEqual(response_framing(b"GET", 200, 1, {CL: [b"7"]}), (Framing.LENGTH, 7))
        self.assertEqual(response_framing(b"GET", 200, 1, {TE: [b"chunked"]}), (Framing.CHUNKED, 0))
        self.assertEqual(response_framing(b"HEAD", 200, 1, {CL: [b"7"]}), (Framing.NONE, 0))
        self.assertEqual(response_framing(b"CONNECT", 200, 1, {}), (Framing.NONE, 0))

    def test_both(self) -> None:
        """Transfer-Encoding with Content-Length is refused."""
        self.refused({TE: [b"chunked"], CL: [b"5"]})

    def test_transfer_encoding_in_http_1_0(self) -> None:
        """Transfer-Encoding in HTTP/1.0 is refused."""
        self.refused({TE: [b"chunked"]}, minor=0)

    def test_lengths(self) -> None:
        """A length is one decimal number without sign, zero before it, list or white space."""
        for length in (
            b"+5",
            b"-5",
            b"0x5",
            b"5, 5",
            b"5,",
            b"05",
            b"00",
            b"",
            b"5 5",
            b"5.0",
            b"1e1",
            b"1_0",
            b"5;",
            b"\xb2",
            b"9223372036854775808",
            b"1" * 5000,
        ):
            self.refused({CL: [length]})
        largest = b"9223372036854775807"
        self.assertEqual(request_framing(1, {CL: [largest]}), (Framing.LENGTH, 2**63 - 1))

    def test_lengths_repeated(self) -> None:
        """Two lengths are refused, equal ones too."""
        self.refused({CL: [b"5", b"6"]})
        self.refused({CL: [b"5", b"5"]})

    def test_codings(self) -> None:
        """A coding list that does not end with one `chunked` is refused."""
        for codings in (
            [b"identity"],
            [b"gzip"],
            [b"chunked, chunked"],
            [b"chunked", b"chunked"],
            [b"chunked, gzip"],
            [b""],
            [b"chunked,"],
            [b", chunked"],
            [b"xchunked"],
            [b"chunked;a=b"],
            [b'"chunked"'],
            [b"\x0bchunked"],
            [b"chunked", b""],
        ):
            self.refused({TE: codings})

    def test_other_codings(self) -> None:
        """Another coding below `chunked` is 501."""
        for codings in ([b"gzip, chunked"], [b"gzip", b"chunked"]):
            with self.assertRaises(UnsupportedCoding) as caught:
                request_framing(1, {TE: codings})
            self.assertEqual(caught.exception.status, 501)

    def test_answers_without_body(self) -> None:
        """A bad length is refused even where it announces nothing, for it would go on."""
        for method, status in ((b"HEAD", 200), (b"GET", 304), (b"GET", 204)):
            with self.assertRaises(MalformedMessage):
                response_framing(method, status, 1, {CL: [b"5, 6"]})
