"""A folder of files, and the answer to a request for one of them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes

import attrs

from lbproxy.errors import ConfigError, MethodNotAllowed, ProxyError, Unavailable
from lbproxy.http1.message import Fields
from lbproxy.static import conditional, dates, encoding, ranges
from lbproxy.static.beneath import OpenFile, open_file
from lbproxy.static.encoding import IDENTITY
from lbproxy.static.paths import INDEX, names, no_such_file
from lbproxy.static.ranges import Span
from lbproxy.static.types import media_type

__all__ = ["FileAnswer", "Folder", "Span"]

Values = Mapping[bytes, list[bytes]]

#: What the machine lacks for a while, which says nothing about the file.
_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))

#: What a request for something unusual may meet: all the same to the client.
_ABSENCES = frozenset(
    (
        errno.EACCES,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENODEV,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    )
)

#: A copy is kept, but asked about before each use: names stay when contents change.
_CACHE_CONTROL = (b"Cache-Control", b"no-cache")

_VARY = (b"Vary", b"Accept-Encoding")


@attrs.frozen
class FileAnswer:
    """A whole answer.

    Attributes:
        status: 200 to 599.
        fields: All but those of the message itself, such as `Date`; with the body's length.
        parts: The body in order: bytes, and spans of the file; none for HEAD.
        file: Open, if there are spans; whoever takes the answer closes it.
    """

    status: int
    fields: Fields
    parts: list[bytes | Span]
    file: int | None


@attrs.frozen
class _Representation:
    """What is sent of a file, whole or in part (RFC 9110 section 3.2)."""

    file: OpenFile
    media_type: bytes
    coding: bytes
    varies: bool

    @property
    def etag(self) -> bytes:
        coding = b"" if self.coding == IDENTITY else b"-" + self.coding
        return b'"%x-%x%b"' % (self.file.modified_ns, self.file.size, coding)

    def cache_fields(self) -> Fields:
        """What a cache has to know, also where it has the content (RFC 9110 section 15.4.5)."""
        fields = [_CACHE_CONTROL, (b"ETag", self.etag)]
        return [*fields, _VARY] if self.varies else fields


class Folder:
    """A folder whose files are served."""

    def __init__(self, root: str | Path, now: Callable[[], float] = time.time) -> None:
        """Name a folder.

        Args:
            root: Its path; links in it are followed anew for each request.
            now: Gives the time that files are dated by, in seconds since 1970.

        Raises:
            ConfigError: If there is no such folder, or it cannot be read.
        """
        self._root = os.fsencode(os.path.abspath(root))
        self._now = now
        try:
            os.close(os.open(self._root, os.O_RDONLY | os.O_DIRECTORY))
            os.stat(os.path.join(self._root, b"."))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"cannot serve the folder {os.fspath(root)!r}: {reason}") from error

    def answer(self, method: bytes, path: bytes, values: Values) -> FileAnswer:
        """Answer a request.

        Args:
            method: Only GET and HEAD are known.
            path: Begins with a slash; behind the route's prefix, as it came, without the query.
            values: The request's fields by lower-case name.

        Raises:
            MethodNotAllowed: For other methods.
            RefusedRequest: If the path is malformed; as `NoRoute` if nothing is served there.
            Unavailable: If too many files are open.
            ProxyError: If the disk fails.
        """
        if method not in (b"GET", b"HEAD"):
            raise MethodNotAllowed("Files are only read.", "GET, HEAD")
        wanted = names(path)
        try:
            original = open_file(self._root, wanted)
        except IsADirectoryError:
            if path.endswith(b"/"):
                raise no_such_file() from None
            return self._redirect(wanted)
        except OSError as error:
            raise _refusal(error) from error
        files = {**self._siblings(wanted, original), IDENTITY: original}
        taken: int | None = None
        try:
            answer = self._answer(method, values, wanted[-1], files)
            taken = answer.file
        finally:
            for file in files.values():
                if file.fd != taken:
                    os.close(file.fd)
        return answer

    def _siblings(self, wanted: list[bytes], original: OpenFile) -> dict[bytes, OpenFile]:
        """The compressed copies of a file that are not older than itself, by coding."""
        *folders, name = wanted
        siblings: dict[bytes, OpenFile] = {}
        for coding, suffix in encoding.SUFFIXES.items():
            try:
                sibling = open_file(self._root, [*folders, name + suffix])
            except OSError:
                continue
            if sibling.modified_ns < original.modified_ns:
                os.close(sibling.fd)
            else:
                siblings[coding] = sibling
        return siblings

    def _redirect(self, wanted: list[bytes]) -> FileAnswer:
        """Lead to the same name with a slash, so that the index's own links work.

        The reference is relative, as the route's prefix is not known here; with its leading dot no
        name can be taken for a scheme or a host.
        """
        try:
            os.close(open_file(self._root, [*wanted, INDEX]).fd)
        except OSError as error:
            raise _refusal(error) from error
        location = b"./" + quote_from_bytes(wanted[-1]).encode() + b"/"
        return FileAnswer(301, [(b"Location", location), _CACHE_CONTROL, _length(0)], [], None)

    def _answer(
        self, method: bytes, values: Values, name: bytes, files: dict[bytes, OpenFile]
    ) -> FileAnswer:
        """Choose a representation, and what of it is sent."""
        siblings = [coding for coding in files if coding != IDENTITY]
        coding = encoding.choose(values.get(b"accept-encoding"), siblings)
        if coding is None:
            return _not_acceptable(method, files)
        chosen = _Representation(files[coding], media_type(name), coding, bool(siblings))
        now = self._now()
        # A date in the future must not be told (RFC 9110 section 8.8.2.1).
        modified = min(chosen.file.modified_ns // 1_000_000_000, int(now))
        status = conditional.judge(values, chosen.etag, modified, now)
        if status == 304:
            return FileAnswer(304, chosen.cache_fields(), [], None)
        if status == 412:
            return FileAnswer(412, [_length(0)], [], None)
        fields = [
            *chosen.cache_fields(),
            (b"Last-Modified", dates.write(modified)),
            (b"Accept-Ranges", b"bytes"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]
        if coding != IDENTITY:
            fields.append((b"Content-Encoding", coding))
        spans = _spans(method, values, chosen)
        if spans is not None:
            return _partial(chosen, fields, spans)
        size = chosen.file.size
        fields += [(b"Content-Type", chosen.media_type), _length(size)]
        if method == b"HEAD" or not size:
            return FileAnswer(200, fields, [], None)
        return FileAnswer(200, fields, [Span(0, size)], chosen.file.fd)


def _spans(method: bytes, values: Values, chosen: _Representation) -> list[Span] | None:
    """The parts that are asked for; `None` for the whole."""
    asked = values.get(b"range", [])
    if method != b"GET" or len(asked) != 1:  # Only GET knows ranges (RFC 9110 section 14.2).
        return None
    if not conditional.range_applies(values, chosen.etag):
        return None
    spans = ranges.select(asked[0], chosen.file.size)
    if spans is not None and len(spans) > 1 and chosen.coding != IDENTITY:
        return None  # Content-Encoding would speak of the multipart body, which is not coded.
    return spans


def _partial(chosen: _Representation, fields: Fields, spans: list[Span]) -> FileAnswer:
    """An answer with some parts of a representation, or with the news that there are none."""
    size = chosen.file.size
    if not spans:
        unsatisfied = (b"Content-Range", b"bytes */%d" % size)
        return FileAnswer(416, [unsatisfied, (b"Accept-Ranges", b"bytes"), _length(0)], [], None)
    if len(spans) == 1:
        own = [
            (b"Content-Type", chosen.media_type),
            (b"Content-Range", ranges.content_range(spans[0], size)),
            _length(spans[0].length),
        ]
        return FileAnswer(206, [*fields, *own], [*spans], chosen.file.fd)
    boundary = b"part-" + chosen.etag.strip(b'"')
    parts, length = ranges.multipart(spans, size, chosen.media_type, boundary)
    own = [(b"Content-Type", b"multipart/byteranges; boundary=" + boundary), _length(length)]
    return FileAnswer(206, [*fields, *own], parts, chosen.file.fd)


def _not_acceptable(method: bytes, files: dict[bytes, OpenFile]) -> FileAnswer:
    """The client refuses all there is, so it is told what that is (RFC 9110 section 15.5.7)."""
    body = b"Available: " + b", ".join(files) + b"\n"
    fields = [(b"Content-Type", b"text/plain; charset=utf-8"), _VARY, _length(len(body))]
    return FileAnswer(406, fields, [] if method == b"HEAD" else [body], None)


def _length(length: int) -> tuple[bytes, bytes]:
    return b"Content-Length", b"%d" % length


def _refusal(error: OSError) -> ProxyError:
    """What a client is told of an error: never whether something exists that is not served."""
    if error.errno in _SHORTAGES:
        return Unavailable("Too many files are open.")
    if error.errno in _ABSENCES:
        return no_such_file()
    return ProxyError("The file cannot be read.")
