"""PROXY headers: read at every split, written, and refused where they are none."""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import BadPreface
from lbproxy.preface.proxy_protocol import (
    LOCAL,
    V1_LIMIT,
    V2_LIMIT,
    InetAddress,
    ProxyHeader,
    UnixAddress,
    parse,
    v1,
    v2,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

#: A client and the address that it connected to, in each family.
V4 = InetAddress("203.0.113.7", 51234), InetAddress("198.51.100.2", 443)
V6 = InetAddress("2001:db8::7", 51234), InetAddress("2001:db8::2", 443)
UNIX = UnixAddress(b"/run/client.sock"), UnixAddress(b"/run/us.sock")

#: Beyond the addresses: ALPN, and padding.
TLVS = b"\x01\x00\x02h2" + b"\x04\x00\x03\x00\x00\x00"


def second(command: int, family: int, rest: bytes) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


#: Headers and what they say.
READ: tuple[tuple[bytes, tuple[object, object]], ...] = (
    (b"PROXY TCP4 203.0.113.7 198.51.100.2 51234 443\r\n", V4),
    (b"PROXY TCP6 2001:db8::7 2001:db8::2 51234 443\r\n", V6),
    (b"PROXY TCP6 2001:0DB8:0::7 2001:db8::2 51234 443\r\n", V6),
    (b"PROXY UNKNOWN\r\n", (None, None)),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", (None, None)),
    (v2(*V4), V4),
    (v2(*V6), V6),
    (v2(*UNIX), UNIX),
    (v2(UnixAddress(b""), UnixAddress(b"/us")), (UnixAddress(b""), UnixAddress(b"/us"))),
    (second(0x21, 0x11, v2(*V4)[16:] + TLVS), V4),
    (second(0x20, 0x00, b""), (None, None)),
    (second(0x20, 0x11, v2(*V4)[16:]), (None, None)),
    (second(0x21, 0x00, TLVS), (None, None)),
    (second(0x21, 0x12, v2(*V4)[16:]), (None, None)),
)

#: What is no header, or one that cannot be.
REFUSED = (
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"PROXY\r\n",
    b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
    b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY UNKNOWN " + b"x" * V1_LIMIT,
    second(0x11, 0x11, v2(*V4)[16:]),
    second(0x22, 0x11, v2(*V4)[16:]),
    second(0x21, 0x41, v2(*V4)[16:]),
    second(0x21, 0x13, v2(*V4)[16:]),
    second(0x21, 0x11, v2(*V4)[16:-1]),
    second(0x21, 0x21, v2(*V4)[16:]),
    second(0x21, 0x31, v2(*V4)[16:]),
    second(0x21, 0x11, bytes(V2_LIMIT))[:16],
)


class ParseTests(SynchronousTestCase):
    def test_every_split(self) -> None:
        """A header is read when its last byte has come, not before, whatever stands behind it."""
        for data, said in READ:
            for end in range(len(data)):
                self.assertIsNone(parse(data[:end]), data[:end])
            expected = ProxyHeader(len(data), *said)  # type: ignore[arg-type]
            for behind in (b"", b"\r\n", b"PROXY UNKNOWN\r\n"):
                self.assertEqual(parse(data + behind), expected)

    def test_refused(self) -> None:
        """What is no header is refused at once, or at its end at the latest."""
        for data in REFUSED:
            with self.assertRaises(BadPreface, msg=data):
                for end in range(1, len(data) + 1):
                    self.assertIsNone(parse(data[:end]), data)

    def test_refused_early(self) -> None:
        """The first byte that cannot be of a header is enough."""
        for data in (b"G", b"PROXZ", b"\r\n\r\n\x00\r\nX"):
            self.assertRaises(BadPreface, parse, data)

    @given(st.binary(max_size=300), st.sampled_from((b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE)))
    def test_anything(self, data: bytes, begin: bytes) -> None:
        """Whatever comes is a header, a part of one, or refused."""
        with contextlib.suppress(BadPreface):
            header = parse(begin + data)
            self.assertTrue(header is None or header.size <= len(begin + data))


_PORTS = st.integers(0, 65535)


class WriteTests(SynchronousTestCase):
    @given(
        st.one_of(
            st.tuples(*[st.builds(InetAddress, st.ip_addresses(v=4).map(str), _PORTS)] * 2),
            st.tuples(*[st.builds(InetAddress, st.ip_addresses(v=6).map(str), _PORTS)] * 2),
        ),
        st.sampled_from((v1, v2)),
    )
    def test_read_again(self, addresses: tuple[InetAddress, InetAddress], write: object) -> None:
        """What is written is read as it was, in either version."""
        assert callable(write)
        data = write(*addresses)
        self.assertEqual(parse(data), ProxyHeader(len(data), *addresses))

    def test_first(self) -> None:
        """Version 1 is the line of the specification's example."""
        self.assertEqual(v1(*V4), b"PROXY TCP4 203.0.113.7 198.51.100.2 51234 443\r\n")

    def test_unknown(self) -> None:
        """Addresses that a version has no form for are not told."""
        for pair in ((None, None), (V4[0], V6[1]), (V4[0], UNIX[1]), UNIX):
            self.assertEqual(v1(*pair), b"PROXY UNKNOWN\r\n")
        for pair in ((None, None), (V4[0], V6[1]), (V4[0], UNIX[1])):
            self.assertEqual(v2(*pair), SIGNATURE + b"\x21\x00\x00\x00")

    def test_local(self) -> None:
        """A connection of our own has no client."""
        for data in LOCAL.values():
            self.assertEqual(parse(data), ProxyHeader(len(data)))
