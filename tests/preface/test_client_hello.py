"""A ClientHello, peeked at in records and reads of any size."""

from __future__ import annotations

import contextlib
import ssl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import BadPreface
from lbproxy.preface.client_hello import LIMIT, ClientHello, ClientHelloReader


def real_hello(name: str | None, *protocols: str) -> bytes:
    """What Python's TLS client sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def vector(size: int, data: bytes) -> bytes:
    """Bytes behind their number."""
    return len(data).to_bytes(size) + data


def hello(*extensions: tuple[int, bytes], body: bytes | None = None) -> bytes:
    """A handshake message with these extensions."""
    if body is None:
        body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
        body += vector(2, b"".join(kind.to_bytes(2) + vector(2, data) for kind, data in extensions))
    return b"\x01" + vector(3, body)


def records(message: bytes, size: int) -> bytes:
    """A message in records of this size."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def name(host: bytes, kind: int = 0) -> tuple[int, bytes]:
    """The extension with a name."""
    return 0, vector(2, bytes([kind]) + vector(2, host))


def read(*pieces: bytes) -> ClientHello | None:
    """What is read once the last of these has come, and not before."""
    reader = ClientHelloReader()
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    return reader.feed(pieces[-1])


class ClientHelloTests(SynchronousTestCase):
    def test_real(self) -> None:
        """The name and the protocols of a real client."""
        data = real_hello("Db.Example", "h2", "http/1.1")
        self.assertEqual(read(data), ClientHello("db.example", (b"h2", b"http/1.1")))
        self.assertEqual(read(real_hello(None)), ClientHello())

    def test_every_split(self) -> None:
        """However the bytes are cut, into records and into reads."""
        message = hello(name(b"db.example"), (16, vector(2, b"\x02h2")))
        for size in (1, 2, 3, 7, 50, len(message)):
            data = records(message, size)
            for at in range(1, len(data)):
                self.assertEqual(read(data[:at], data[at:]), ClientHello("db.example", (b"h2",)))
            single = [data[at : at + 1] for at in range(len(data))]
            self.assertEqual(read(*single), ClientHello("db.example", (b"h2",)))

    def test_behind(self) -> None:
        """What the client sends behind it is not looked at."""
        data = records(hello(name(b"a.example")), 16384)
        self.assertEqual(read(data + b"GET / HTTP/1.1"), ClientHello("a.example"))

    def test_names(self) -> None:
        """A name without the dot at its end; one of another kind, or an empty one, is none."""
        for extensions, expected in (
            ([name(b"A.example.")], "a.example"),
            ([name(b"a.example", kind=1)], None),
            ([name(b"")], None),
            ([(0x0A0A, b"\0"), name(b"a.example"), (51, b"")], "a.example"),
            ([], None),
        ):
            found = read(records(hello(*extensions), 16384))
            self.assertEqual(found, ClientHello(expected))

    def test_without_extensions(self) -> None:
        """A client of old has none at all."""
        body = b"\x03\x01" + bytes(32) + vector(1, b"") + vector(2, b"\0\1") + vector(1, b"\0")
        self.assertEqual(read(records(hello(body=body), 16384)), ClientHello())

    def test_refused(self) -> None:
        """What is no TLS, or has lengths that cannot be."""
        for data in (
            b"GET / HTTP/1.1\r\n",
            b"\x80\x2e\x01\x03\x01",
            b"\x16\x02\x00\x00\x01\x01",
            b"\x16\x03\x01\x00\x00",
            b"\x16\x03\x01\xff\xff",
            b"\x16\x03\x01\x00\x01\x02",
            b"\x15\x03\x01\x00\x02\x01\x00",
            records(hello(body=b"\x03\x03"), 100),
            records(hello(name("ü".encode())), 100),
            records(hello((0, b"\x00\xff\x00")), 100),
            records(hello((16, vector(2, b"\x05h2"))), 100),
            records(hello(body=bytes(LIMIT)), 4000),
        ):
            with self.assertRaises(BadPreface, msg=data[:20]):
                self.assertIsNone(read(data))

    @given(st.data())
    def test_mutated(self, data: st.DataObject) -> None:
        """A real one with any byte changed is read or refused, or waits for more."""
        message = bytearray(real_hello("db.example", "h2"))
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(BadPreface):
            read(bytes(message))
