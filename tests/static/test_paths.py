"""Tests of what a path names."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import NoRoute, RefusedRequest
from lbproxy.static.paths import names


class NamesTests(SynchronousTestCase):
    """What `names` finds in a path."""

    def test_plain(self) -> None:
        """Each segment is a name."""
        self.assertEqual(names(b"/js/views/menu.js"), [b"js", b"views", b"menu.js"])

    def test_index(self) -> None:
        """A slash at the end stands for the index."""
        self.assertEqual(names(b"/"), [b"index.html"])
        self.assertEqual(names(b"/js/"), [b"js", b"index.html"])

    def test_decoded_once(self) -> None:
        """Spaces and UTF-8 are decoded; what is still encoded then is a literal name."""
        self.assertEqual(names(b"/a%20b/%C3%A9.txt"), [b"a b", "é.txt".encode()])
        self.assertEqual(names(b"/%252e%252e/%252f"), [b"%2e%2e", b"%2f"])
        self.assertEqual(names(b"/a+b"), [b"a+b"])

    def test_overlong_utf_8(self) -> None:
        """An overlong dot or slash is just bytes."""
        self.assertEqual(names(b"/%c0%ae%c0%ae%c0%af"), [b"\xc0\xae\xc0\xae\xc0\xaf"])

    def test_broken_escape(self) -> None:
        """A percent sign without two hex digits is malformed, even in a path that names nothing."""
        for path in (b"/%", b"/a%2", b"/%zz", b"/%2g/..", b"/%u002e", b"/%%32e"):
            error = self.assertRaises(RefusedRequest, names, path)
            self.assertEqual((path, error.status), (path, 400))

    def test_traversal(self) -> None:
        """Dots, separators and NUL lead nowhere, however they are written."""
        for path in (
            b"/..",
            b"/../",
            b"/../etc/passwd",
            b"/a/../b",
            b"/.",
            b"/./a",
            b"/a/.",
            b"/%2e%2e/a",
            b"/%2E./a",
            b"/.%2e/a",
            b"/..%2fa",
            b"/a%2Fb",
            b"/%2f",
            b"/..%5ca",
            b"/..\\a",
            b"/a%5Cb",
            b"/a%00",
            b"/a%00.txt",
            b"/a\0",
        ):
            error = self.assertRaises(NoRoute, names, path)
            self.assertEqual((path, error.status), (path, 404))

    def test_empty_name(self) -> None:
        """Double slashes name nothing, so none can begin a `Location`."""
        for path in (b"//", b"//host", b"//host/..", b"/a//b", b"/a//"):
            self.assertRaises(NoRoute, names, path)

    def test_hidden(self) -> None:
        """A leading dot hides a name, but for `.well-known`."""
        for path in (b"/.env", b"/.git/config", b"/a/.b", b"/%2eenv", b"/...", b"/.well-known/.a"):
            self.assertRaises(NoRoute, names, path)
        self.assertEqual(names(b"/.well-known/a"), [b".well-known", b"a"])

    @given(st.binary(max_size=40))
    def test_any_bytes(self, tail: bytes) -> None:
        """Whatever comes, each name is single, whole and visible, or the path is refused."""
        try:
            found = names(b"/" + tail)
        except RefusedRequest:
            return
        for name in found:
            self.assertNotIn(name, (b"", b".", b".."))
            self.assertFalse(set(name) & set(b"/\\\0"), name)

    @given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=4))
    def test_quoted(self, segments: list[bytes]) -> None:
        """Names survive being encoded, and the separators among them are never split at."""
        path = b"".join(b"/" + quote_from_bytes(name, safe="").encode() for name in segments)
        try:
            found = names(path)
        except NoRoute:
            self.assertTrue(
                any(set(name) & set(b"/\\\0") or name.startswith(b".") for name in segments)
            )
        else:
            self.assertEqual(found, segments)
