"""The name and the protocols that a TLS client asks for, read without ending its TLS."""

from __future__ import annotations

import attrs

from lbproxy.errors import BadPreface

#: Bytes that are read at most: one record's worth. What is usual are a few hundred, and with
#: post-quantum key shares two thousand.
LIMIT = 16384

_HANDSHAKE = 22  # A record's type (RFC 8446 section 5.1).
_CLIENT_HELLO = 1  # A handshake message's type (section 4).
_SERVER_NAME = 0  # RFC 6066 section 3.
_PROTOCOLS = 16  # RFC 7301 section 3.1.
_HOST_NAME = 0


@attrs.frozen
class ClientHello:
    """What a client asks for.

    Attributes:
        server_name: In lower case and without a dot at its end; `None` if it names none.
        protocols: Those that it offers by ALPN, the preferred one first.
    """

    server_name: str | None = None
    protocols: tuple[bytes, ...] = ()


class ClientHelloReader:
    """Reads a `ClientHello` as it comes, in records and reads of any size."""

    def __init__(self) -> None:
        self._records = bytearray()
        self._read = 0
        self._message = bytearray()

    def feed(self, data: bytes) -> ClientHello | None:
        """Take more bytes.

        Returns:
            The message, once it is whole, or `None` while more has to come.

        Raises:
            BadPreface: If this is no TLS, or a message that is too long or malformed.
        """
        self._records += data
        records = self._records
        while len(records) > self._read:
            if records[self._read] != _HANDSHAKE:
                raise BadPreface("The connection does not begin with a TLS handshake.")
            if len(records) < self._read + 5:
                break
            if records[self._read + 1] != 3:
                raise BadPreface("The connection is of an unknown version of TLS.")
            size = int.from_bytes(records[self._read + 3 : self._read + 5])
            if not 0 < size <= LIMIT:
                raise BadPreface("The TLS record has a length that cannot be.")
            if len(records) < self._read + 5 + size:
                break
            self._message += records[self._read + 5 : self._read + 5 + size]
            self._read += 5 + size
            hello = self._whole()
            if hello is not None:
                return hello
        if len(records) >= LIMIT:
            raise BadPreface(f"The ClientHello does not end within {LIMIT} bytes.")
        return None

    def _whole(self) -> ClientHello | None:
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise BadPreface("The TLS handshake does not begin with a ClientHello.")
        end = 4 + int.from_bytes(message[1:4])
        if len(message) >= 4 and end > LIMIT:
            raise BadPreface(f"The ClientHello does not end within {LIMIT} bytes.")
        if len(message) < max(end, 4):
            return None
        return _parse(_Bytes(bytes(message[4:end])))


class _Bytes:
    """Bytes that are taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise BadPreface("The ClientHello has a length that cannot be.")
        self._at += count
        return taken

    def vector(self, size: int) -> bytes:
        """As many bytes as the number before them, which has `size` bytes, says."""
        return self.take(int.from_bytes(self.take(size)))


def _parse(body: _Bytes) -> ClientHello:
    """Read the message's body (RFC 8446 section 4.1.2)."""
    body.take(2 + 32)  # The version and the random.
    body.vector(1)  # The session's id.
    body.vector(2)  # The cipher suites.
    body.vector(1)  # The compression methods.
    if not body:
        return ClientHello()
    extensions = _Bytes(body.vector(2))
    name: str | None = None
    protocols: tuple[bytes, ...] = ()
    while extensions:
        kind = int.from_bytes(extensions.take(2))
        content = _Bytes(extensions.vector(2))
        if kind == _SERVER_NAME:
            name = _server_name(_Bytes(content.vector(2)))
        elif kind == _PROTOCOLS:
            protocols = tuple(_each(_Bytes(content.vector(2))))
    return ClientHello(name, protocols)


def _server_name(names: _Bytes) -> str | None:
    while names:
        kind, name = names.take(1)[0], names.vector(2)
        if kind == _HOST_NAME:
            try:
                return name.decode("ascii").lower().removesuffix(".") or None
            except UnicodeDecodeError:
                raise BadPreface("The name in the ClientHello is not ASCII.") from None
    return None


def _each(protocols: _Bytes) -> list[bytes]:
    found = []
    while protocols:
        found.append(protocols.vector(1))
    return found
