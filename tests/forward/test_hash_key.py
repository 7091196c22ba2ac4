"""What of a request belongs together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.forward.fields import Peer
from lbproxy.forward.hash_key import hash_key
from tests.forward.heads import request

CLIENT = Peer(b"192.0.2.7", b"http", trusted=False)
PROXY = Peer(b"10.0.0.1", b"http", trusted=True)


def key(source: str, lines: bytes = b"", target: bytes = b"/", peer: Peer = CLIENT) -> bytes | None:
    """The key of a request."""
    return hash_key(source, request(lines), target).of(peer)


class HashKeyTests(SynchronousTestCase):
    def test_client(self) -> None:
        """The client's address, or what a trusted peer says of it."""
        self.assertEqual(key("client"), b"192.0.2.7")
        forwarded = (
            b"X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 203.0.113.2 , 203.0.113.3\r\n"
        )
        self.assertEqual(key("client", forwarded), b"192.0.2.7")
        self.assertEqual(key("client", forwarded, peer=PROXY), b"203.0.113.3")
        for nothing in (b"", b"X-Forwarded-For:\r\n", b"X-Forwarded-For: a,\r\n"):
            self.assertEqual(key("client", nothing, peer=PROXY), b"10.0.0.1")

    def test_path(self) -> None:
        """The path as routes compare it, without its query."""
        for target in (b"/a/b", b"/a/b?c=d", b"/a//b", b"/a/./x/../b", b"/%61/b"):
            self.assertEqual(key("path", target=target), b"/a/b")

    def test_header(self) -> None:
        """All lines of a field, by its name in whatever case."""
        lines = b"X-Tenant: a\r\nx-tenant:  b \r\n"
        self.assertEqual(key("header:X-TENANT", lines), b"a, b")
        self.assertIsNone(key("header:X-Other", lines))

    def test_cookie(self) -> None:
        """A cookie's value, wherever it stands, and no cookie whose name is longer."""
        for lines in (
            b"Cookie: id=7\r\n",
            b"Cookie: a=b; id=7; id=8\r\n",
            b"Cookie: a=b\r\nCookie: myid=1;id=7\r\n",
        ):
            self.assertEqual(key("cookie:id", lines), b"7")
        self.assertEqual(key("cookie:id", b"Cookie: id=a=b\r\n"), b"a=b")
        for lines in (b"", b"Cookie: ID=7\r\n", b"Cookie: id\r\n", b"Cookie: idx=7\r\n"):
            self.assertIsNone(key("cookie:id", lines))
