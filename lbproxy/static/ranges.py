"""Parts of a representation (RFC 9110 section 14)."""

from __future__ import annotations

import re

import attrs

from lbproxy.http1.message import Fields

#: Parts of one answer. RFC 9110 section 14.2 lets a server ignore what looks like an attack.
LIMIT = 16

_UNIT = re.compile(rb"bytes=", re.IGNORECASE)
_SPEC = re.compile(rb"([0-9]*)-([0-9]*)")

#: Digits beyond which a number exceeds the size of any file.
_DIGITS = 20


@attrs.frozen
class Span:
    """Bytes of a file.

    Attributes:
        offset: Of the first.
        length: How many; at least one.
    """

    offset: int
    length: int


def select(value: bytes, size: int) -> list[Span] | None:
    """Read a `Range` field.

    Args:
        value: The field's value.
        size: Bytes of the representation.

    Returns:
        What was asked for and exists, in the order asked; nothing if none of it exists; `None` if
        the field is to be ignored, because it is malformed, of another unit, or would have more
        parts or more bytes sent than a sensible client asks for.
    """
    unit = _UNIT.match(value)
    if unit is None:
        return None
    specs = [spec for item in value[unit.end() :].split(b",") if (spec := item.strip(b" \t"))]
    if not 0 < len(specs) <= LIMIT:
        return None
    spans = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None or spec == b"-":
            return None
        first, last = match.groups()
        if not first:
            length = min(_number(last), size)
            if length == 0 < _number(last):
                return None  # The whole of an empty file, which no Content-Range can express.
            start = size - length
        else:
            start = _number(first)
            if last and _number(last) < start:
                return None
            length = (min(_number(last) + 1, size) if last else size) - start
        if length > 0:
            spans.append(Span(start, length))
    if sum(span.length for span in spans) > size:
        return None
    return spans


def content_range(span: Span, size: int) -> bytes:
    """A `Content-Range` (RFC 9110 section 14.4)."""
    return b"bytes %d-%d/%d" % (span.offset, span.offset + span.length - 1, size)


def multipart(
    spans: list[Span], size: int, media_type: bytes, boundary: bytes
) -> tuple[list[bytes | Span], int]:
    """The body of an answer with several parts (RFC 9110 section 14.6).

    Returns:
        What it consists of, and its length in bytes.
    """
    parts: list[bytes | Span] = []
    delimiter = b"--" + boundary
    for span in spans:
        fields: Fields = [
            (b"Content-Type", media_type),
            (b"Content-Range", content_range(span, size)),
        ]
        lines = [delimiter, *(b"%b: %b" % field for field in fields)]
        parts += [b"\r\n".join(lines) + b"\r\n\r\n", span]
        delimiter = b"\r\n--" + boundary
    parts.append(delimiter + b"--\r\n")
    return parts, sum(part.length if isinstance(part, Span) else len(part) for part in parts)


def _number(digits: bytes) -> int:
    """A number, or one that is as good where it has more digits than any size."""
    return int(digits.lstrip(b"0")[:_DIGITS] or b"0")
