"""Tests of answers from a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import tempfile
from pathlib import Path
from unittest import mock
from urllib.parse import urljoin

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import (
    ConfigError,
    MethodNotAllowed,
    NoRoute,
    ProxyError,
    RefusedRequest,
    Unavailable,
)
from lbproxy.static import dates
from lbproxy.static.files import Folder
from tests.static.folder import MODIFIED, NOW, FolderCase, Got, fields_of, read_whole


class FolderTests(FolderCase):
    """Which folders can be served."""

    def test_no_folder(self) -> None:
        """What is no folder is a mistake in the config, which is named."""
        file = self.write("a", b"a")
        for path in (self.root / "absent", file):
            error = self.assertRaises(ConfigError, Folder, path)
            self.assertIn(str(path), str(error))

    def test_relative(self) -> None:
        """A relative path keeps its meaning when the working directory changes."""
        self.write("a.txt", b"abc")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root.parent)
        self.folder = Folder("root")
        os.chdir("/")
        self.assertEqual(self.ask(b"/a.txt").body, b"abc")

    def test_replaced(self) -> None:
        """A folder that takes the place of another is served from then on."""
        self.write("a.txt", b"old")
        self.root.rename(self.outside / "old")
        self.assertRaises(NoRoute, self.ask, b"/a.txt")
        self.write("a.txt", b"new")
        self.assertEqual(self.ask(b"/a.txt").body, b"new")


class AnswerTests(FolderCase):
    """Which file is answered with, and what is told of it."""

    def test_whole(self) -> None:
        """A file comes whole, with all that is known of it."""
        self.write("a.txt", b"abc")
        got = self.ask(b"/a.txt")
        self.assertEqual((got.status, got.body), (200, b"abc"))
        self.assertEqual(
            dict(got.fields),
            {
                b"Accept-Ranges": b"bytes",
                b"Cache-Control": b"no-cache",
                b"Content-Length": b"3",
                b"Content-Type": b"text/plain; charset=utf-8",
                b"ETag": b'"%x-3"' % (MODIFIED * 10**9),
                b"Last-Modified": dates.write(MODIFIED),
                b"X-Content-Type-Options": b"nosniff",
            },
        )

    def test_head(self) -> None:
        """HEAD tells the same as GET, and opens nothing for the taker."""
        self.write("a.txt", b"abc")
        answer = self.folder.answer(b"HEAD", b"/a.txt", {})
        self.assertEqual((answer.parts, answer.file), ([], None))
        self.assertEqual(fields_of(answer), self.ask(b"/a.txt").fields)

    def test_empty_file(self) -> None:
        """An empty file has no span to be read."""
        self.write("a.txt", b"")
        answer = self.folder.answer(b"GET", b"/a.txt", {})
        self.assertEqual((answer.status, answer.parts, answer.file), (200, [], None))
        self.assertIn((b"Content-Length", b"0"), fields_of(answer))

    def test_index(self) -> None:
        """A folder's address gives its index."""
        self.write("index.html", b"top")
        self.write("a/index.html", b"below")
        self.assertEqual(self.ask(b"/").body, b"top")
        self.assertEqual(self.ask(b"/a/").body, b"below")
        self.assertEqual(self.ask(b"/a/").field(b"Content-Type"), b"text/html; charset=utf-8")

    def test_folder_without_slash(self) -> None:
        """A folder's name leads to its address, whatever the prefix and the name."""
        for name, path in (
            ("a", b"/a"),
            ("a b/c", b"/a%20b/c"),
            ("http:x", b"/http:x"),
            ("é\r\nX: y", b"/%C3%A9%0D%0AX:%20y"),
        ):
            self.write(f"{name}/index.html", b"index")
            got = self.ask(path)
            location = (got.field(b"Location") or b"").decode("ascii")
            self.assertEqual((got.status, got.field(b"Content-Length")), (301, b"0"), name)
            self.assertNotIn("\r", location)
            for prefix in ("http://shop", "http://shop/static/files"):
                led = urljoin(prefix + path.decode(), location)
                self.assertTrue(led.startswith(prefix + "/") and led.endswith("/"), led)
                self.assertEqual(self.ask(led.removeprefix(prefix).encode()).body, b"index")

    def test_folder_without_index(self) -> None:
        """A folder that has no index does not show that it exists."""
        self.root.joinpath("a").mkdir()
        self.root.joinpath("b/index.html").mkdir(parents=True)
        for path in (b"/", b"/a", b"/a/", b"/b", b"/b/"):
            self.assertRaises(NoRoute, self.ask, path)

    def test_below_a_file(self) -> None:
        """A file is no folder."""
        self.write("a.txt", b"abc")
        for path in (b"/a.txt/", b"/a.txt/b"):
            self.assertRaises(NoRoute, self.ask, path)

    def test_names(self) -> None:
        """Names with spaces, UTF-8 and percent signs are found by their encoded form."""
        for name, path in (
            ("a b.txt", b"/a%20b.txt"),
            ("é.txt", b"/%C3%A9.txt"),
            ("%2e%2e", b"/%252e%252e"),
            (".well-known/a", b"/.well-known/a"),
        ):
            self.write(name, name.encode())
            self.assertEqual(self.ask(path).body, name.encode())

    def test_hidden(self) -> None:
        """Dot files are hidden, and so is what lies in dot folders."""
        for name in (".env", ".git/config", "a/.b"):
            self.write(name, b"secret")
            self.assertRaises(NoRoute, self.ask, b"/" + name.encode())

    def test_methods(self) -> None:
        """Other methods are refused alike whether the file exists or not; methods have a case."""
        self.write("a.txt", b"abc")
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"get"):
            for path in (b"/a.txt", b"/absent", b"/.."):
                error = self.assertRaises(MethodNotAllowed, self.ask, path, method)
                self.assertEqual((error.status, error.allow), (405, "GET, HEAD"))

    def test_links(self) -> None:
        """A link inside the folder is served by its own name's type; one that leaves is not."""
        self.write("a.txt", b"abc")
        self.root.joinpath("b.html").symlink_to("a.txt")
        self.root.joinpath("c.txt").symlink_to(self.outside / "secret.txt")
        got = self.ask(b"/b.html")
        self.assertEqual(
            (got.body, got.field(b"Content-Type")), (b"abc", b"text/html; charset=utf-8")
        )
        self.assertRaises(NoRoute, self.ask, b"/c.txt")

    def test_future(self) -> None:
        """A date in the future is told as the present (RFC 9110 section 8.8.2.1)."""
        self.write("a.txt", b"abc", NOW + 3600)
        self.assertEqual(self.ask(b"/a.txt").field(b"Last-Modified"), dates.write(NOW))

    def test_errors(self) -> None:
        """What the system says is told as far as it is the client's business."""
        for number, expected in (
            (errno.EACCES, NoRoute),
            (errno.EMFILE, Unavailable),
            (errno.ENFILE, Unavailable),
            (errno.EIO, ProxyError),
        ):
            with mock.patch("os.open", side_effect=OSError(number, "no")):
                error = self.assertRaises(ProxyError, self.ask, b"/a.txt")
            self.assertIs(type(error), expected)


class ConditionalTests(FolderCase):
    """Conditional requests for a file."""

    def setUp(self) -> None:
        """Have a file whose validators are known."""
        super().setUp()
        self.write("a.txt", b"abc")
        self.etag = self.ask(b"/a.txt").field(b"ETag") or b""

    def test_not_modified(self) -> None:
        """A 304 has what caches need, and no body or description of one."""
        for method in (b"GET", b"HEAD"):
            got = self.ask(b"/a.txt", method, if_none_match=self.etag)
            self.assertEqual(
                got, Got(304, [(b"Cache-Control", b"no-cache"), (b"ETag", self.etag)], b"")
            )
        self.assertEqual(self.ask(b"/a.txt", if_modified_since=dates.write(MODIFIED)).status, 304)

    def test_failed(self) -> None:
        """A failed precondition gives 412, without a body."""
        for method in (b"GET", b"HEAD"):
            got = self.ask(b"/a.txt", method, if_match=b'"x"')
            self.assertEqual(got, Got(412, [(b"Content-Length", b"0")], b""))

    def test_changed(self) -> None:
        """The tag changes with the time of modification, and with the size."""
        for content, modified in ((b"xyz", MODIFIED + 0.001), (b"abcd", MODIFIED)):
            self.write("a.txt", content, modified)
            got = self.ask(b"/a.txt", if_none_match=self.etag)
            self.assertEqual((got.status, got.body), (200, content))

    def test_before_range(self) -> None:
        """Preconditions come before ranges."""
        got = self.ask(b"/a.txt", if_none_match=self.etag, range=b"bytes=9-")
        self.assertEqual(got.status, 304)

    def test_absent(self) -> None:
        """What is not there has no preconditions (RFC 9110 section 13.2.1)."""
        self.assertRaises(NoRoute, self.ask, b"/b.txt", if_match=b"*")


class RangeTests(FolderCase):
    """Ranges of a file."""

    def setUp(self) -> None:
        """Have a file of ten bytes."""
        super().setUp()
        self.write("a.txt", b"0123456789")
        self.etag = self.ask(b"/a.txt").field(b"ETag") or b""

    def test_single(self) -> None:
        """One range comes by itself."""
        got = self.ask(b"/a.txt", range=b"bytes=2-4")
        self.assertEqual((got.status, got.body), (206, b"234"))
        self.assertEqual(got.field(b"Content-Range"), b"bytes 2-4/10")
        self.assertEqual(got.field(b"Content-Length"), b"3")
        self.assertEqual(got.field(b"Content-Type"), b"text/plain; charset=utf-8")
        self.assertEqual(got.field(b"ETag"), self.etag)

    def test_several(self) -> None:
        """Several ranges come as parts, and no Content-Range speaks of all."""
        got = self.ask(b"/a.txt", range=b"bytes=0-1,-2")
        self.assertEqual(got.status, 206)
        self.assertIsNone(got.field(b"Content-Range"))
        media, _, boundary = (got.field(b"Content-Type") or b"").partition(b"; boundary=")
        self.assertEqual(media, b"multipart/byteranges")
        self.assertEqual(got.body.count(b"--" + boundary), 3)
        self.assertIn(b"\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n", got.body)
        self.assertEqual(got.field(b"Content-Length"), b"%d" % len(got.body))

    def test_unsatisfiable(self) -> None:
        """A range behind the end gives 416 with the size."""
        got = self.ask(b"/a.txt", range=b"bytes=10-")
        self.assertEqual((got.status, got.body), (416, b""))
        self.assertEqual(got.field(b"Content-Range"), b"bytes */10")
        self.assertEqual(got.field(b"Content-Length"), b"0")

    def test_ignored(self) -> None:
        """Malformed, doubled and greedy fields are ignored."""
        for value in (b"bytes=x", b"bytes=" + b"0-0," * 17, b"bytes=0-,0-", [b"bytes=0-0"] * 2):
            got = self.ask(b"/a.txt", range=value)
            self.assertEqual((got.status, got.body), (200, b"0123456789"), value)

    def test_head(self) -> None:
        """HEAD knows no ranges (RFC 9110 section 14.2)."""
        for value in (b"bytes=0-1", b"bytes=99-"):
            got = self.ask(b"/a.txt", b"HEAD", range=value)
            self.assertEqual((got.status, got.field(b"Content-Length")), (200, b"10"))

    def test_if_range(self) -> None:
        """A range counts only for the representation that the client has a part of."""
        got = self.ask(b"/a.txt", range=b"bytes=0-1", if_range=self.etag)
        self.assertEqual((got.status, got.body), (206, b"01"))
        for value in (b'"x"', b"W/" + self.etag, dates.write(MODIFIED)):
            for asked in (b"bytes=0-1", b"bytes=99-"):
                got = self.ask(b"/a.txt", range=asked, if_range=value)
                self.assertEqual((got.status, got.body), (200, b"0123456789"))


class CompressedTests(FolderCase):
    """Files that lie compressed beside the original."""

    def setUp(self) -> None:
        """Have one file in three codings, and one in a single one."""
        super().setUp()
        self.write("a.js", b"original")
        self.write("a.js.br", b"brotli")
        self.write("a.js.gz", b"zipped", MODIFIED + 1)
        self.write("b.js", b"alone")

    def test_chosen(self) -> None:
        """The client's choice is sent, with the type of the original and a tag of its own."""
        tags = set()
        for asked, coding, body in (
            (b"gzip, br", b"br", b"brotli"),
            (b"gzip", b"gzip", b"zipped"),
            (b"", None, b"original"),
        ):
            got = self.ask(b"/a.js", accept_encoding=asked)
            self.assertEqual((got.status, got.body), (200, body))
            self.assertEqual(got.field(b"Content-Encoding"), coding)
            self.assertEqual(got.field(b"Content-Type"), b"text/javascript; charset=utf-8")
            self.assertEqual(got.field(b"Content-Length"), b"%d" % len(body))
            self.assertEqual(got.field(b"Vary"), b"Accept-Encoding")
            tags.add(got.field(b"ETag"))
        self.assertEqual(len(tags), 3)

    def test_vary(self) -> None:
        """Caches hear of the choice wherever there is one, and nowhere else."""
        got = self.ask(b"/a.js")
        self.assertEqual((got.body, got.field(b"Vary")), (b"original", b"Accept-Encoding"))
        again = self.ask(b"/a.js", if_none_match=got.field(b"ETag") or b"")
        self.assertEqual((again.status, again.field(b"Vary")), (304, b"Accept-Encoding"))
        self.assertIsNone(self.ask(b"/b.js", accept_encoding=b"br").field(b"Vary"))

    def test_stale(self) -> None:
        """A copy that is older than the original is not used."""
        self.write("a.js.br", b"old", MODIFIED - 1)
        self.assertEqual(self.ask(b"/a.js", accept_encoding=b"br, gzip").body, b"zipped")

    def test_leaving(self) -> None:
        """A copy that is a link to the outside is not used."""
        path = self.root / "b.js.br"
        path.symlink_to(self.outside / "secret.txt")
        self.assertEqual(self.ask(b"/b.js", accept_encoding=b"br").body, b"alone")

    def test_range(self) -> None:
        """A range is one of the coded bytes; several are not given of them."""
        got = self.ask(b"/a.js", accept_encoding=b"br", range=b"bytes=0-1")
        self.assertEqual((got.status, got.body), (206, b"br"))
        self.assertEqual(got.field(b"Content-Range"), b"bytes 0-1/6")
        self.assertEqual(got.field(b"Content-Encoding"), b"br")
        got = self.ask(b"/a.js", accept_encoding=b"br", range=b"bytes=0-1,3-3")
        self.assertEqual((got.status, got.body), (200, b"brotli"))

    def test_conditional(self) -> None:
        """The tag of one coding does not stand for another."""
        tag = self.ask(b"/a.js", accept_encoding=b"br").field(b"ETag") or b""
        for asked, status in ((b"br", 304), (b"gzip", 200)):
            got = self.ask(b"/a.js", accept_encoding=asked, if_none_match=tag)
            self.assertEqual(got.status, status)

    def test_not_acceptable(self) -> None:
        """Who refuses all there is hears what that is, whatever the preconditions."""
        got = self.ask(b"/a.js", accept_encoding=b"*;q=0", if_match=b'"x"')
        self.assertEqual((got.status, got.body), (406, b"Available: br, gzip, identity\n"))
        head = self.ask(b"/a.js", b"HEAD", accept_encoding=b"*;q=0")
        self.assertEqual((head.status, head.fields, head.body), (406, got.fields, b""))

    def test_itself(self) -> None:
        """A compressed file can be asked for as what it is."""
        got = self.ask(b"/a.js.gz")
        self.assertEqual((got.body, got.field(b"Content-Encoding")), (b"zipped", None))
        self.assertEqual(got.field(b"Content-Type"), b"application/gzip")

    def test_nothing_left_open(self) -> None:
        """Whatever is answered, no file stays open but the one that the taker closes."""
        self.write("c/index.html", b"index")
        before = os.listdir("/proc/self/fd")
        for path in (b"/a.js", b"/c", b"/c/", b"/absent", b"/a.js/b"):
            for method in (b"GET", b"HEAD"):
                for values in (
                    {},
                    {"accept_encoding": b"br"},
                    {"accept_encoding": b"*;q=0"},
                    {"if_match": b'"x"'},
                    {"if_none_match": b"*"},
                    {"range": b"bytes=0-1,3-3"},
                    {"range": b"bytes=99-"},
                ):
                    with contextlib.suppress(NoRoute):
                        self.ask(path, method, **values)
                    self.assertEqual(os.listdir("/proc/self/fd"), before, (path, values))


class TraversalTests(FolderCase):
    """Paths in every encoding."""

    @given(
        st.lists(st.sampled_from(("..", ".", "", "a", "in", "out", "outside", "secret.txt"))),
        st.randoms(use_true_random=False),
    )
    def test_any_encoding(self, segments: list[str], chance: random.Random) -> None:
        """However dots and slashes are written, the secret outside is never served."""
        path = "/" + "/".join(segments)
        written = path[0] + "".join(
            chance.choice((c, f"%{ord(c):02x}", f"%{ord(c):02X}", f"%25{ord(c):02x}"))
            for c in path[1:]
        )
        with tempfile.TemporaryDirectory() as base:
            root, outside = Path(base, "root"), Path(base, "outside")
            for folder, content in ((root / "a", "open"), (outside, "secret")):
                folder.mkdir(parents=True)
                folder.joinpath("secret.txt").write_text(content)
            root.joinpath("in").symlink_to("a")
            root.joinpath("out").symlink_to("../outside")
            try:
                answer = Folder(root).answer(b"GET", written.encode(), {})
            except RefusedRequest:
                return
            self.assertEqual(read_whole(answer), b"open")
