"""The PROXY protocol, versions 1 and 2: who the client is, as the proxy before us says it.

The sections are those of HAProxy's `proxy-protocol.txt`.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import attrs

from lbproxy.errors import BadPreface

#: Bytes of a header of version 1 at most, with its end (section 2.1).
V1_LIMIT = 107

#: Bytes of a header of version 2 at most, with what it says beyond addresses. The field could
#: say four times as much; a TLS client's certificate fits.
V2_LIMIT = 16384

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

_PORT = rb"(0|[1-9][0-9]{0,4})"
_V1 = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) " + _PORT + b" " + _PORT)
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)

#: Signature, version and command, family and transport, length of the rest (section 2.2).
_V2_HEAD = struct.Struct("!12sBBH")
_V2_INET = struct.Struct("!4s4sHH")
_V2_INET6 = struct.Struct("!16s16sHH")
_V2_UNIX = struct.Struct("108s108s")

_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31


@attrs.frozen
class InetAddress:
    """An address of TCP.

    Attributes:
        host: In numbers, IPv4 or IPv6.
        port: 0 to 65535.
    """

    host: str
    port: int


@attrs.frozen
class UnixAddress:
    """An address of a Unix socket.

    Attributes:
        path: Empty for a socket without a name.
    """

    path: bytes


Address = InetAddress | UnixAddress


@attrs.frozen
class ProxyHeader:
    """What a header says.

    Attributes:
        size: Its length in bytes.
        source: The client's address; `None` if the connection's own addresses are to be taken.
        destination: The address that the client connected to; `None` together with `source`.
    """

    size: int
    source: Address | None = None
    destination: Address | None = None


def parse(data: bytes) -> ProxyHeader | None:
    """Read the header with which a connection begins.

    Args:
        data: All that has come so far.

    Returns:
        The header, or `None` while more has to come.

    Raises:
        BadPreface: If this is none, or one that says what cannot be.
    """
    if data[:12] == _SIGNATURE[: len(data)]:
        return _parse_v2(data)
    if data[:6] == b"PROXY "[: len(data)]:
        return _parse_v1(data)
    raise BadPreface("The connection does not begin with a PROXY header.")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, V1_LIMIT)
    if end < 0:
        if len(data) >= V1_LIMIT:
            raise BadPreface(f"A PROXY header of version 1 has {V1_LIMIT} bytes at most.")
        return None
    line, size = data[:end], end + 2
    if _V1_UNKNOWN.fullmatch(line):
        return ProxyHeader(size)
    found = _V1.fullmatch(line)
    if found is None:
        raise BadPreface("The PROXY header is malformed.")
    family, *hosts = (part.decode("ascii") for part in found.groups()[:3])
    ports = [int(port) for port in found.groups()[3:]]
    kind = IPv4Address if family == "TCP4" else IPv6Address
    if max(ports) > 65535:
        raise BadPreface("The PROXY header has a port that cannot be.")
    try:
        source, destination = (
            InetAddress(str(kind(host)), port) for host, port in zip(hosts, ports, strict=True)
        )
    except ValueError:
        raise BadPreface(f"The PROXY header has an address that is not {family}.") from None
    return ProxyHeader(size, source, destination)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_HEAD.size:
        return None
    _, command, family, length = _V2_HEAD.unpack_from(data)
    size = _V2_HEAD.size + length
    if command not in (_LOCAL, _PROXY):
        raise BadPreface("The PROXY header has an unknown version or command.")
    if family >> 4 > 3 or family & 15 > 2:
        raise BadPreface("The PROXY header has an unknown family or transport.")
    if size > V2_LIMIT:
        raise BadPreface(f"A PROXY header may have {V2_LIMIT} bytes at most.")
    if len(data) < size:
        return None
    if command == _LOCAL:
        return ProxyHeader(size)
    # What follows the addresses are type-length-value fields, which we need not.
    rest = data[_V2_HEAD.size : size]
    try:
        if family == _TCP4:
            return _inet(size, *_V2_INET.unpack_from(rest))
        if family == _TCP6:
            return _inet(size, *_V2_INET6.unpack_from(rest))
        if family == _UNIX_STREAM:
            source, destination = (UnixAddress(_path(path)) for path in _V2_UNIX.unpack_from(rest))
            return ProxyHeader(size, source, destination)
    except struct.error:
        raise BadPreface("The PROXY header is too short for its addresses.") from None
    return ProxyHeader(size)


def _inet(
    size: int, source: bytes, destination: bytes, source_port: int, destination_port: int
) -> ProxyHeader:
    return ProxyHeader(
        size,
        InetAddress(str(ip_address(source)), source_port),
        InetAddress(str(ip_address(destination)), destination_port),
    )


def _path(field: bytes) -> bytes:
    """A path, which ends with its first NUL; that of an abstract socket begins with one."""
    end = field.find(b"\0", 1)
    path = field if end < 0 else field[:end]
    return b"" if path == b"\0" else path


def v1(source: Address | None, destination: Address | None) -> bytes:
    """A header of version 1.

    Args:
        source: The client's address.
        destination: The address that it connected to; where the two are not of one family of
            TCP, the header says that nothing is known.
    """
    if not isinstance(source, InetAddress) or not isinstance(destination, InetAddress):
        return b"PROXY UNKNOWN\r\n"
    hosts = ip_address(source.host), ip_address(destination.host)
    if hosts[0].version != hosts[1].version:
        return b"PROXY UNKNOWN\r\n"
    line = (
        f"PROXY TCP{hosts[0].version} {hosts[0].compressed} {hosts[1].compressed}"
        f" {source.port} {destination.port}\r\n"
    )
    return line.encode("ascii")


def v2(source: Address | None, destination: Address | None) -> bytes:
    """A header of version 2; the arguments as for `v1`."""
    family, addresses = _UNSPEC, b""
    if isinstance(source, InetAddress) and isinstance(destination, InetAddress):
        hosts = ip_address(source.host).packed, ip_address(destination.host).packed
        if len(hosts[0]) == len(hosts[1]):
            family, form = (_TCP4, _V2_INET) if len(hosts[0]) == 4 else (_TCP6, _V2_INET6)
            addresses = form.pack(*hosts, source.port, destination.port)
    elif isinstance(source, UnixAddress) and isinstance(destination, UnixAddress):
        family = _UNIX_STREAM
        addresses = _V2_UNIX.pack(source.path, destination.path)
    return _V2_HEAD.pack(_SIGNATURE, _PROXY, family, len(addresses)) + addresses


#: How a header is written, by its version as in the config.
WRITERS = {"v1": v1, "v2": v2}

#: What says that a connection is our own, by version: a probe.
LOCAL = {"v1": b"PROXY UNKNOWN\r\n", "v2": _V2_HEAD.pack(_SIGNATURE, _LOCAL, _UNSPEC, 0)}
