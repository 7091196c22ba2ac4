"""A folder of files, and the answer to a request for one of them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes

from lbproxy.errors import ConfigError, MethodNotAllowed, ProxyError, Unavailable
from lbproxy.http1.message import Fields
from lbproxy.static import conditional, encoding, ranges
from lbproxy.static.beneath import OpenFile, Way, open_file, reopen, unchanged
from lbproxy.static.cache import FILE_LIMIT, Entry, FileCache
from lbproxy.static.encoding import IDENTITY
from lbproxy.static.paths import INDEX, names, no_such_file
from lbproxy.static.ranges import Span
from lbproxy.static.representation import (
    CACHE_CONTROL,
    VARY,
    FileAnswer,
    Key,
    Representation,
    begin,
)
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

#: Fields without which a request is for the whole, whatever the client has.
_CONDITIONS = frozenset(
    (b"if-match", b"if-modified-since", b"if-none-match", b"if-unmodified-since", b"range")
)


class Folder:
    """A folder whose files are served."""

    def __init__(
        self,
        root: str | Path,
        now: Callable[[], float] = time.time,
        cache: FileCache | None = None,
        batch: Callable[[], object] = object,
    ) -> None:
        """Name a folder.

        Args:
            root: Its path; links in it are followed anew for each request.
            now: Gives the time that files are dated by, in seconds since 1970.
            cache: Remembers files, perhaps of other folders too.
            batch: Gives the same thing for requests that had all come before the first of them is
                answered: one look at a file, which is later than any of them, does for all.

        Raises:
            ConfigError: If there is no such folder, or it cannot be read.
        """
        self._root = os.fsencode(os.path.abspath(root))
        self._now = now
        self._cache = FileCache() if cache is None else cache
        self._batch = batch
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
        # A path without escapes is its own decoded form; the cache has none that is refused.
        key = self._root, path if b"%" not in path else b"/" + b"/".join(names(path))
        entry = self._cache.get(key)
        if entry is not None:
            if self._is_unchanged(entry):
                try:
                    return self._answer(method, values, key, entry, {})
                except OSError:  # It has changed since, or cannot be opened: the long way tells.
                    pass
            self._cache.drop(key)
        return self._look_up(method, path, values, key)

    def holds(self, answer: FileAnswer) -> bool:
        """Whether a request would have the same answer again that it had before."""
        if answer.key is None:
            return False
        entry = self._cache.get(answer.key)
        return entry is not None and entry.trail is answer.trail and self._is_unchanged(entry)

    def _is_unchanged(self, entry: Entry) -> bool:
        batch = self._batch()
        if batch is not entry.seen_in:
            if not unchanged(entry.trail):
                return False
            entry.seen_in = batch
        return True

    def _look_up(self, method: bytes, path: bytes, values: Values, key: Key) -> FileAnswer:
        """Answer from the disk, and remember what was found."""
        wanted = names(path)
        files: dict[bytes, OpenFile] = {}
        taken: int | None = None
        try:
            with Way(self._root, wanted[:-1]) as way:
                original = way.open(wanted[-1])
                files[IDENTITY] = original
                whole = _open_siblings(way, wanted[-1], original, files)
                entry = _entry(way, wanted[-1], files)
                if whole and way.repeatable and entry.settled(self._now()):
                    self._cache.put(key, entry)
            answer = self._answer(method, values, key, entry, files)
            taken = answer.file
        except IsADirectoryError:
            if path.endswith(b"/"):
                raise no_such_file() from None
            return self._redirect(wanted)
        except OSError as error:
            raise _refusal(error) from error
        finally:
            for file in files.values():
                if file.fd != taken:
                    os.close(file.fd)
        return answer

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
        return _bodiless(301, (b"Location", location), CACHE_CONTROL)

    def _answer(
        self,
        method: bytes,
        values: Values,
        key: Key,
        entry: Entry,
        files: Mapping[bytes, OpenFile],
    ) -> FileAnswer:
        """Choose a representation, and what of it is sent.

        Args:
            method: GET or HEAD.
            values: The request's fields.
            key: Names what there is.
            entry: What there is.
            files: The same, open; or none, if it comes from the cache.
        """
        representations = entry.representations
        coding = encoding.choose(values.get(b"accept-encoding"), representations)
        if coding is None:
            return _not_acceptable(method, representations)
        chosen = representations[coding]
        now = self._now()
        spans = None
        plain = _CONDITIONS.isdisjoint(values)
        if plain and chosen.whole is not None and method == b"GET":
            return chosen.whole
        if not plain:
            status = conditional.judge(values, chosen.etag, chosen.told_modified(now), now)
            if status == 304:
                return FileAnswer(304, chosen.not_modified(), [], None)
            if status == 412:
                return _bodiless(412)
            spans = _spans(method, values, chosen)
        parts: list[bytes | Span]
        if spans is None:
            status, head, parts = 200, chosen.head(now), [Span(0, chosen.size)]
        else:
            status, head, parts = _partial(chosen, chosen.content_fields(now), spans)
        if method == b"HEAD" or not chosen.size or not parts:
            return FileAnswer(status, head, [], None)
        content, file = chosen.content, None
        if content is None:
            content, file = self._content(entry, chosen, files)
        if content is None:
            return FileAnswer(status, head, parts, file)
        parts = [_cut(content, part) for part in parts]
        if spans is None and entry.kept and chosen.modified <= now:
            chosen.whole = FileAnswer(200, head, parts, None, key, entry.trail)
            return chosen.whole
        return FileAnswer(status, head, parts, None)

    def _content(
        self, entry: Entry, chosen: Representation, files: Mapping[bytes, OpenFile]
    ) -> tuple[bytes | None, int | None]:
        """The content of a small file, or a larger one open."""
        file = files[chosen.coding].fd if files else reopen(chosen.step)
        content = None
        try:
            content = self._cache.content(entry, chosen, file)
        finally:
            if not files and (content is not None or chosen.size <= FILE_LIMIT):
                os.close(file)
        return content, file


def _open_siblings(way: Way, name: bytes, original: OpenFile, files: dict[bytes, OpenFile]) -> bool:
    """Add the compressed copies of a file that are not older than itself.

    Returns:
        Whether the way's trail says all of them: it does not of one that cannot be opened.
    """
    whole = True
    for coding, suffix in encoding.SUFFIXES.items():
        try:
            if not way.has(name + suffix):
                continue
            sibling = way.open(name + suffix)
        except OSError:
            whole = False
            continue
        if sibling.modified_ns < original.modified_ns:
            os.close(sibling.fd)
        else:
            files[coding] = sibling
    return whole


def _entry(way: Way, name: bytes, files: dict[bytes, OpenFile]) -> Entry:
    """What is remembered of open files."""
    kind, varies = media_type(name), len(files) > 1
    ordered = [coding for coding in (*encoding.SUFFIXES, IDENTITY) if coding in files]
    return Entry(
        way.trail,
        {
            coding: Representation.of(files[coding], kind, coding, varies=varies)
            for coding in ordered
        },
    )


def _spans(method: bytes, values: Values, chosen: Representation) -> list[Span] | None:
    """The parts that are asked for; `None` for the whole."""
    asked = values.get(b"range", [])
    if method != b"GET" or len(asked) != 1:  # Only GET knows ranges (RFC 9110 section 14.2).
        return None
    if not conditional.range_applies(values, chosen.etag):
        return None
    spans = ranges.select(asked[0], chosen.size)
    if spans is not None and len(spans) > 1 and chosen.coding != IDENTITY:
        return None  # Content-Encoding would speak of the multipart body, which is not coded.
    return spans


def _partial(
    chosen: Representation, fields: Fields, spans: list[Span]
) -> tuple[int, bytes, list[bytes | Span]]:
    """The status, head and body of an answer with some parts, or that there are none."""
    size = chosen.size
    if not spans:
        unsatisfied = (b"Content-Range", b"bytes */%d" % size)
        return 416, begin(416, [unsatisfied, (b"Accept-Ranges", b"bytes"), _length(0)]), []
    if len(spans) == 1:
        own = [
            (b"Content-Type", chosen.media_type),
            (b"Content-Range", ranges.content_range(spans[0], size)),
            _length(spans[0].length),
        ]
        return 206, begin(206, [*fields, *own]), [*spans]
    boundary = b"part-" + chosen.etag.strip(b'"')
    parts, length = ranges.multipart(spans, size, chosen.media_type, boundary)
    own = [(b"Content-Type", b"multipart/byteranges; boundary=" + boundary), _length(length)]
    return 206, begin(206, [*fields, *own]), parts


def _cut(content: bytes, part: bytes | Span) -> bytes:
    """A part of a body whose file has been read."""
    if isinstance(part, bytes):
        return part
    return content[part.offset : part.offset + part.length]


def _not_acceptable(method: bytes, codings: Iterable[bytes]) -> FileAnswer:
    """The client refuses all there is, so it is told what that is (RFC 9110 section 15.5.7)."""
    body = b"Available: " + b", ".join(codings) + b"\n"
    fields = [(b"Content-Type", b"text/plain; charset=utf-8"), VARY, _length(len(body))]
    return FileAnswer(406, begin(406, fields), [] if method == b"HEAD" else [body], None)


def _bodiless(status: int, *fields: tuple[bytes, bytes]) -> FileAnswer:
    return FileAnswer(status, begin(status, [*fields, _length(0)]), [], None)


def _length(length: int) -> tuple[bytes, bytes]:
    return b"Content-Length", b"%d" % length


def _refusal(error: OSError) -> ProxyError:
    """What a client is told of an error: never whether something exists that is not served."""
    if error.errno in _SHORTAGES:
        return Unavailable("Too many files are open.")
    if error.errno in _ABSENCES:
        return no_such_file()
    return ProxyError("The file cannot be read.")
