"""Tests of ranges."""

from __future__ import annotations

from email.parser import BytesParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.static.ranges import LIMIT, Span, content_range, multipart, select

#: What a client may write for one range: numbers around the sizes below, or one left out.
_BOUND = st.none() | st.integers(0, 40)
_PAIR = st.tuples(_BOUND, _BOUND).filter(lambda pair: pair != (None, None))


def written(pairs: list[tuple[int | None, int | None]]) -> bytes:
    """A `Range` with these first and last positions."""
    specs = ("-".join("" if n is None else str(n) for n in pair) for pair in pairs)
    return b"bytes=" + ", ".join(specs).encode()


def meant(pair: tuple[int | None, int | None], size: int) -> list[int]:
    """The positions that a range covers, counted one by one."""
    first, last = pair
    if first is None:
        assert last is not None
        return list(range(size))[-last:] if last else []
    return [n for n in range(size) if first <= n and (last is None or n <= last)]


class SelectTests(SynchronousTestCase):
    """What a `Range` selects."""

    def check(self, value: bytes, expected: list[tuple[int, int]] | None, size: int = 100) -> None:
        """Compare offsets and lengths."""
        spans = select(value, size)
        found = None if spans is None else [(span.offset, span.length) for span in spans]
        self.assertEqual(found, expected, value)

    def test_single(self) -> None:
        """From one position to another, both included."""
        self.check(b"bytes=0-0", [(0, 1)])
        self.check(b"bytes=10-19", [(10, 10)])
        self.check(b"bytes=99-99", [(99, 1)])

    def test_open_end(self) -> None:
        """Without a last position, or with one behind the end, it goes to the end."""
        for value in (b"bytes=90-", b"bytes=90-99", b"bytes=90-100", b"bytes=90-" + b"9" * 5000):
            self.check(value, [(90, 10)])

    def test_suffix(self) -> None:
        """The last bytes, at most all."""
        self.check(b"bytes=-1", [(99, 1)])
        self.check(b"bytes=-100", [(0, 100)])
        self.check(b"bytes=-" + b"9" * 5000, [(0, 100)])

    def test_several(self) -> None:
        """Several come in the order asked; white space and empty members do not matter."""
        self.check(b"bytes=50-59,0-9,-5", [(50, 10), (0, 10), (95, 5)])
        self.check(b"bytes=,0-1 ,\t3-4,,", [(0, 2), (3, 2)])

    def test_unit(self) -> None:
        """The unit's case does not matter; other units are ignored."""
        self.check(b"Bytes=0-1", [(0, 2)])
        for value in (b"lines=0-1", b"bytes", b"bytes:0-1", b"bytes =0-1", b"=0-1", b"0-1", b""):
            self.check(value, None)

    def test_malformed(self) -> None:
        """A malformed member spoils the whole field (RFC 9110 section 14.2)."""
        for spec in (b"-", b"5", b"a-b", b"2-1", b"1-2-3", b"--1", b"+1-2", b"0x1-2", b"1 -2", b""):
            self.check(b"bytes=" + spec, None)
            if spec:
                self.check(b"bytes=0-0," + spec, None)

    def test_unsatisfiable(self) -> None:
        """Nothing is left if nothing asked for exists."""
        for value in (
            b"bytes=100-",
            b"bytes=100-200,300-",
            b"bytes=-0",
            b"bytes=" + b"9" * 5000 + b"-",
        ):
            self.check(value, [])

    def test_partly_unsatisfiable(self) -> None:
        """What does not exist is left out."""
        self.check(b"bytes=200-300,10-19,-0", [(10, 10)])

    def test_empty_file(self) -> None:
        """An empty file has no first byte, and its whole cannot be expressed."""
        self.check(b"bytes=0-", [], size=0)
        self.check(b"bytes=-5", None, size=0)
        self.check(b"bytes=-0", [], size=0)

    def test_leading_zeros(self) -> None:
        """Zeros in front do not matter, however many."""
        self.check(b"bytes=%b1-%b2" % (b"0" * 5000, b"0" * 30), [(1, 2)])

    def test_too_many(self) -> None:
        """More parts than a sensible client asks for are ignored."""
        parts = [b"%d-%d" % (n * 4, n * 4) for n in range(LIMIT + 1)]
        self.assertEqual(len(select(b"bytes=" + b",".join(parts[:-1]), 100) or ()), LIMIT)
        self.check(b"bytes=" + b",".join(parts), None)

    def test_too_much(self) -> None:
        """More bytes than the file has are not sent, which only overlaps could ask for."""
        self.check(b"bytes=0-59,40-79", [(0, 60), (40, 40)])
        self.check(b"bytes=0-59,40-80", None)
        self.check(b"bytes=0-,0-,0-", None)
        self.check(b"bytes=0-,-1", None)

    @given(st.lists(_PAIR, min_size=1, max_size=LIMIT), st.integers(0, 30))
    def test_as_counted(self, pairs: list[tuple[int | None, int | None]], size: int) -> None:
        """The spans cover what the ranges mean, counted one by one, or all is ignored."""
        spans = select(written(pairs), size)
        invalid = any(None not in pair and pair[1] < pair[0] for pair in pairs)  # type: ignore[operator]
        expected = [positions for pair in pairs if (positions := meant(pair, size))]
        whole_of_nothing = size == 0 and any(pair[0] is None and pair[1] for pair in pairs)
        if invalid or whole_of_nothing or sum(map(len, expected)) > size:
            self.assertIsNone(spans)
        else:
            assert spans is not None
            covered = [list(range(s.offset, s.offset + s.length)) for s in spans]
            self.assertEqual(covered, expected)

    @given(st.binary(max_size=40) | st.text("0123456789-, ").map(str.encode), st.integers(0, 1000))
    def test_any_bytes(self, tail: bytes, size: int) -> None:
        """Whatever is asked, spans lie within the file and are not more than it."""
        spans = select(b"bytes=" + tail, size) or []
        for span in spans:
            self.assertTrue(0 <= span.offset < span.offset + span.length <= size, span)
        self.assertLessEqual(len(spans), LIMIT)
        self.assertLessEqual(sum(span.length for span in spans), size)


class MultipartTests(SynchronousTestCase):
    """The body with several parts."""

    def test_bytes(self) -> None:
        """The layout is that of RFC 9110 section 14.6."""
        parts, length = multipart([Span(0, 2), Span(5, 1)], 9, b"text/plain", b"B")
        content = b"abcdefghi"
        body = b"".join(
            content[part.offset : part.offset + part.length] if isinstance(part, Span) else part
            for part in parts
        )
        self.assertEqual(
            body,
            b"--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/9\r\n\r\nab"
            b"\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/9\r\n\r\nf"
            b"\r\n--B--\r\n",
        )
        self.assertEqual(length, len(body))

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=2, max_size=6))
    def test_read_by_another(self, pairs: list[tuple[int, int]]) -> None:
        """Python's own reader of MIME finds the parts, and the length is that of the body."""
        content = bytes(range(65, 65 + 30))
        parts, length = multipart([Span(*pair) for pair in pairs], 30, b"text/plain", b"part-1")
        body = b"".join(
            content[part.offset : part.offset + part.length] if isinstance(part, Span) else part
            for part in parts
        )
        self.assertEqual(length, len(body))
        head = b"Content-Type: multipart/byteranges; boundary=part-1\r\n\r\n"
        read: Any = BytesParser().parsebytes(head + body)
        self.assertEqual(
            [(part["Content-Range"], part.get_payload()) for part in read.get_payload()],
            [
                (content_range(Span(*pair), 30).decode(), content[pair[0] :][: pair[1]].decode())
                for pair in pairs
            ],
        )

    def test_content_range(self) -> None:
        """First and last position are both included."""
        self.assertEqual(content_range(Span(3, 4), 10), b"bytes 3-6/10")
        self.assertEqual(content_range(Span(0, 1), 1), b"bytes 0-0/1")
