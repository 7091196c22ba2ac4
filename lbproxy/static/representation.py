"""What is known of a file in one of its codings, and the heads that are made of it once."""

from __future__ import annotations

import attrs

from lbproxy.http1 import serialize
from lbproxy.http1.message import Fields
from lbproxy.static import dates
from lbproxy.static.beneath import OpenFile, Step
from lbproxy.static.encoding import IDENTITY
from lbproxy.static.ranges import Span

#: A copy is kept, but asked about before each use: names stay when contents change.
CACHE_CONTROL = (b"Cache-Control", b"no-cache")

VARY = (b"Vary", b"Accept-Encoding")


#: The folder that is served, and the path below it, decoded.
Key = tuple[bytes, bytes]


@attrs.frozen
class FileAnswer:
    """A whole answer.

    Attributes:
        status: 200 to 599.
        head: The status line and all fields but those of the message itself, such as `Date`, each
            with its line's end; with the body's length.
        parts: The body in order: bytes, and spans of the file; none for HEAD.
        file: Open, if there are spans; whoever takes the answer closes it.
        key: What it comes from, if the same request has the same answer for as long as that holds.
        trail: The way that has to be as it was for that.
    """

    status: int
    head: bytes
    parts: list[bytes | Span]
    file: int | None
    key: Key | None = None
    trail: tuple[Step, ...] = ()


@attrs.define
class Representation:
    """What is sent of a file, whole or in part (RFC 9110 section 3.2).

    Attributes:
        step: Where the file is, and what tells it from others.
        size: In bytes.
        modified: Seconds since 1970.
        media_type: Of the original, whatever the coding.
        coding: How the content is compressed.
        etag: Its strong entity tag.
        content: The whole of it, once it has been read for the cache.
        whole: The answer with it, once that has been given.
    """

    step: Step
    size: int
    modified: int
    media_type: bytes
    coding: bytes
    etag: bytes
    content: bytes | None
    whole: FileAnswer | None
    _varies: bool
    _head: bytes | None
    _not_modified: bytes | None

    @classmethod
    def of(
        cls, file: OpenFile, media_type: bytes, coding: bytes, *, varies: bool
    ) -> Representation:
        """Describe an open file.

        Args:
            file: It; the description does not keep it.
            media_type: Of the original.
            coding: How it is compressed.
            varies: Whether there are other codings.
        """
        suffix = b"" if coding == IDENTITY else b"-" + coding
        return cls(
            file.step,
            file.size,
            file.modified_ns // 1_000_000_000,
            media_type,
            coding,
            b'"%x-%x%b"' % (file.modified_ns, file.size, suffix),
            None,
            None,
            varies,
            None,
            None,
        )

    def told_modified(self, now: float) -> int:
        """The time of modification; not one in the future (RFC 9110 section 8.8.2.1)."""
        return min(self.modified, int(now))

    def head(self, now: float) -> bytes:
        """The head of an answer with the whole, as `begin` gives it."""
        if self._head is not None:
            return self._head
        own = [(b"Content-Type", self.media_type), (b"Content-Length", b"%d" % self.size)]
        head = begin(200, [*self.content_fields(now), *own])
        if self.modified <= now:
            self._head = head
        return head

    def not_modified(self) -> bytes:
        """The head of a 304."""
        if self._not_modified is None:
            self._not_modified = begin(304, self._cache_fields())
        return self._not_modified

    def content_fields(self, now: float) -> Fields:
        """The fields of all answers with content of it."""
        fields = [
            *self._cache_fields(),
            (b"Last-Modified", dates.write(self.told_modified(now))),
            (b"Accept-Ranges", b"bytes"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]
        if self.coding != IDENTITY:
            fields.append((b"Content-Encoding", self.coding))
        return fields

    def _cache_fields(self) -> Fields:
        """What a cache has to know, also where it has the content (RFC 9110 section 15.4.5)."""
        fields = [CACHE_CONTROL, (b"ETag", self.etag)]
        return [*fields, VARY] if self._varies else fields


def begin(status: int, fields: Fields) -> bytes:
    """A head but for the fields of the message itself, such as `Date`, and the empty line."""
    return serialize.response(status, serialize.reason_phrase(status), serialize.lines(fields))
