"""What is written is read as it was meant."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.http1 import serialize
from lbproxy.http1.message import End, Fields, RequestHead, ResponseHead
from tests.http1.reading import answer, requests

NAMES = st.from_regex(rb"X-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", fullmatch=True)
VALUES = st.from_regex(rb"([!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
CHUNKS = st.lists(st.binary(max_size=50), max_size=6)


class SerializeTests(SynchronousTestCase):
    """Heads and chunks on the wire."""

    @settings(max_examples=100)
    @given(FIELDS, CHUNKS, FIELDS)
    def test_request_round_trip(
        self, fields: Fields, chunks: list[bytes], trailers: Fields
    ) -> None:
        """A request is read as it was written."""
        fields = [(b"Host", b"a"), *fields, (b"Transfer-Encoding", b"chunked")]
        data = serialize.request(b"POST", b"/a", serialize.lines(fields)) + b"\r\n"
        data += b"".join(map(serialize.chunk, chunks)) + serialize.last_chunk(trailers)
        head, *body, end = requests(data)
        assert isinstance(head, RequestHead)
        self.assertEqual((head.method, head.target, head.fields), (b"POST", b"/a", fields))
        self.assertEqual(body, [b"".join(chunks)] if any(chunks) else [])
        self.assertEqual(end, End(trailers))

    @settings(max_examples=100)
    @given(st.integers(200, 599), VALUES, FIELDS, st.binary(max_size=50))
    def test_response_round_trip(
        self, status: int, reason: bytes, fields: Fields, body: bytes
    ) -> None:
        """An answer is read as it was written."""
        fields = [*fields, (b"Content-Length", b"%d" % len(body))]
        if status in (204, 304):
            fields, body = fields[:-1], b""
        head, *rest = answer(
            serialize.response(status, reason, serialize.lines(fields)) + b"\r\n" + body
        )
        assert isinstance(head, ResponseHead)
        self.assertEqual((head.status, head.reason, head.fields), (status, reason, fields))
        self.assertEqual(rest, [body, End([])] if body else [End([])])

    def test_empty_chunk(self) -> None:
        """No data is no chunk, which would end the body."""
        self.assertEqual(serialize.chunk(b""), b"")

    def test_reasons(self) -> None:
        """Phrases are those of RFC 9110, and an unregistered status has none."""
        self.assertEqual(serialize.reason_phrase(413), b"Content Too Large")
        self.assertEqual(serialize.reason_phrase(404), b"Not Found")
        self.assertEqual(serialize.reason_phrase(599), b"")
        self.assertIn(b" 599 \r\n", serialize.response(599, b"", b""))
