"""Tests of media types."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.static.types import media_type


class MediaTypeTests(SynchronousTestCase):
    """The type of a file by its name."""

    def test_web(self) -> None:
        """What a page is made of has the type that browsers insist on; text says it is UTF-8."""
        for name, expected in (
            (b"index.html", b"text/html; charset=utf-8"),
            (b"a.css", b"text/css; charset=utf-8"),
            (b"a.js", b"text/javascript; charset=utf-8"),
            (b"a.mjs", b"text/javascript; charset=utf-8"),
            (b"a.txt", b"text/plain; charset=utf-8"),
            (b"a.json", b"application/json"),
            (b"a.js.map", b"application/json"),
            (b"a.webmanifest", b"application/manifest+json"),
            (b"a.wasm", b"application/wasm"),
            (b"a.svg", b"image/svg+xml"),
            (b"a.png", b"image/png"),
            (b"a.jpg", b"image/jpeg"),
            (b"a.webp", b"image/webp"),
            (b"a.avif", b"image/avif"),
            (b"favicon.ico", b"image/vnd.microsoft.icon"),
            (b"a.woff2", b"font/woff2"),
            (b"a.pdf", b"application/pdf"),
            (b"a.mp4", b"video/mp4"),
            (b"a.xml", b"application/xml"),
        ):
            self.assertEqual(media_type(name), expected, name)

    def test_case(self) -> None:
        """The ending's case does not matter."""
        self.assertEqual(media_type(b"A.HTML"), b"text/html; charset=utf-8")

    def test_unknown(self) -> None:
        """What is not known is bytes."""
        for name in (b"a", b"a.unknown", b"a.", b"html", b"a.\xff\xfe", b"a.html\xc3\xa9"):
            self.assertEqual(media_type(name), b"application/octet-stream", name)

    def test_archive(self) -> None:
        """A compressed file that is itself asked for has the type of its compression."""
        self.assertEqual(media_type(b"a.tar.gz"), b"application/gzip")
        self.assertEqual(media_type(b"a.js.br"), b"application/octet-stream")

    def test_no_url(self) -> None:
        """A name is no URL, whatever it looks like."""
        self.assertEqual(media_type(b"data:text/html,x"), b"application/octet-stream")
