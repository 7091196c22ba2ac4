"""What changes in the fields of a message on its way: hop-by-hop out, Via and Forwarded in.

All `Connection` lines are read before anything is removed, and what we set is added after, so that
no peer can remove it by naming it there (CVE-2021-33197, CVE-2021-32813, CVE-2024-45410).
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lbproxy.http1.message import Fields, Framing, RequestHead, ResponseHead

Values = dict[bytes, list[bytes]]

#: Our name in `Via` (RFC 9110 section 7.6.3).
PSEUDONYM = b"lbproxy"
VIA = b"1.1 " + PSEUDONYM

#: Fields of one connection, which are never forwarded (RFC 9110 section 7.6.1), and those that say
#: where a body ends, which are written anew from the framing that the parser decided.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"content-length",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)

#: What says who the client is. A backend believes these, so only a trusted peer may bring them.
FORWARDED = frozenset(
    (
        b"client-cert",
        b"client-cert-chain",
        b"forwarded",
        b"x-forwarded-by",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
    )
)

#: Whom the client's certificate is for, which only the listener that saw it can say.
CLIENT_SUBJECT = b"X-Client-Cert-Subject"

_REQUEST_DROPS = HOP_BY_HOP | FORWARDED | {b"host", b"x-request-id", CLIENT_SUBJECT.lower()}
_REQUEST_DROPS_OF_TRUSTED = HOP_BY_HOP | {
    CLIENT_SUBJECT.lower(),
    b"host",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-request-id",
}
_RESPONSE_DROPS = HOP_BY_HOP | {b"x-request-id"}
_TRAILER_DROPS = _REQUEST_DROPS | {b"trailer", b"via", b"x-served-by"}


@attrs.frozen
class Peer:
    """Who sent a request, as a backend is told.

    Attributes:
        address: The peer's IP address, or `unix`.
        scheme: `http` or `https`, as the listener speaks.
        trusted: Whether what it says of its own client is believed.
        subject: Whom its certificate is for, by RFC 4514; empty if it has shown none.
        tls: The version and cipher of its connection; empty if that is plain.
    """

    address: bytes
    scheme: bytes
    trusted: bool
    subject: bytes = b""
    tls: str = ""


def members(values: Values, name: bytes) -> list[bytes]:
    """The members of a list-valued field over all its lines, in lower case (RFC 9110, 5.6.1)."""
    lines = values.get(name)
    if lines is None:
        return []
    listed = (member.strip(b" \t").lower() for line in lines for member in line.split(b","))
    return [member for member in listed if member]


def wants_close(minor: int, values: Values) -> bool:
    """Whether the sender ends the connection after this message (RFC 9112 section 9.3)."""
    if minor and b"connection" not in values:
        return False
    options = members(values, b"connection")
    return b"close" in options or (minor == 0 and b"keep-alive" not in options)


def upgrade_to(head: RequestHead) -> bytes | None:
    """The protocol that a request may switch to, or `None`.

    Only `websocket` is offered on: what we do not know we could not tunnel safely, and a server
    may ignore `Upgrade` (RFC 9110 section 7.8). `Upgrade` without its connection option counts
    for nothing, and so does one in a request with a body or of HTTP/1.0.
    """
    if b"upgrade" not in head.values or not head.minor or head.framing is not Framing.NONE:
        return None
    offered = members(head.values, b"upgrade")
    if offered != [b"websocket"] or b"upgrade" not in members(head.values, b"connection"):
        return None
    return b"websocket"


def _kept(fields: Fields, values: Values, drops: frozenset[bytes]) -> Fields:
    """The field lines that go on: without `drops` and what `Connection` nominates.

    A name with an underscore goes where the one with hyphens would go: WSGI servers take both for
    the same.
    """
    nominated = members(values, b"connection")
    if nominated:
        drops = drops.union(nominated)
    kept: Fields = []
    for line in fields:
        name = line[0].lower()
        if name in drops or (b"_" in name and name.replace(b"_", b"-") in drops):
            continue
        kept.append(line)
    return kept


def _framing_field(framing: Framing, length: int) -> Iterable[tuple[bytes, bytes]]:
    if framing is Framing.LENGTH:
        return ((b"Content-Length", b"%d" % length),)
    if framing is Framing.CHUNKED:
        return ((b"Transfer-Encoding", b"chunked"),)
    return ()


def _appended(values: Values, name: bytes, last: bytes) -> bytes:
    return b", ".join((*values.get(name, ()), last))


def _one_hop_fewer(line: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """`Max-Forwards` counts down (RFC 9110 section 7.6.2); other lines stay."""
    name, value = line
    if name.lower() != b"max-forwards" or not value.isdigit() or len(value) > 9:
        return line
    return name, b"%d" % max(int(value) - 1, 0)


def request_fields(
    head: RequestHead, host: bytes, peer: Peer, request_id: bytes, upgrade: bytes | None
) -> Fields:
    """The fields that a backend gets.

    Args:
        head: The request as it came.
        host: What the client asked for: `Host`, or the authority of an absolute target.
        peer: Who sent it.
        request_id: Goes in `X-Request-Id`.
        upgrade: What `upgrade_to` gave.
    """
    values = head.values
    fields: Fields = [(b"Host", host)]
    drops = _REQUEST_DROPS_OF_TRUSTED if peer.trusted else _REQUEST_DROPS
    if not head.minor and b"expect" in values:
        drops |= {b"expect"}  # RFC 9110 section 10.1.1
    fields += _kept(head.fields, values, drops)
    if b"max-forwards" in values and head.method in (b"OPTIONS", b"TRACE"):
        fields = [_one_hop_fewer(line) for line in fields]
    if peer.trusted:
        fields.append((b"X-Forwarded-For", _appended(values, b"x-forwarded-for", peer.address)))
        proto = values.get(b"x-forwarded-proto", (peer.scheme,))[-1]
        fields.append((b"X-Forwarded-Proto", proto))
        fields.append((b"X-Forwarded-Host", values.get(b"x-forwarded-host", (host,))[-1]))
    else:
        fields.append((b"X-Forwarded-For", peer.address))
        fields.append((b"X-Forwarded-Proto", peer.scheme))
        fields.append((b"X-Forwarded-Host", host))
    if peer.subject:
        fields.append((CLIENT_SUBJECT, peer.subject))
    fields.append((b"X-Request-Id", request_id))
    fields.append((b"Via", VIA if head.minor else b"1.0 " + PSEUDONYM))
    fields += _framing_field(head.framing, head.length)
    if upgrade is not None:
        fields += ((b"Connection", b"upgrade"), (b"Upgrade", upgrade))
    return fields


def response_fields(head: ResponseHead, request_id: bytes, date: bytes) -> Fields:
    """The end-to-end fields that a client gets, all but those of the connection and the framing.

    Args:
        head: The backend's answer.
        request_id: Goes in `X-Request-Id`.
        date: Goes in `Date` if the backend sent none (RFC 9110 section 6.6.1).
    """
    fields = _kept(head.fields, head.values, _RESPONSE_DROPS)
    if b"date" not in head.values or b"date" in members(head.values, b"connection"):
        fields.append((b"Date", date))
    fields.append((b"X-Request-Id", request_id))
    fields.append((b"Via", VIA if head.minor else b"1.0 " + PSEUDONYM))
    if head.framing is Framing.NONE and head.status != 204 and head.status >= 200:
        # The answer to HEAD, or 304: what the length would be (RFC 9110 section 8.6).
        lengths = head.values.get(b"content-length")
        if lengths:
            fields.append((b"Content-Length", lengths[0]))
    return fields


def informational_fields(head: ResponseHead) -> Fields:
    """The fields of a 1xx answer, which go on but for those of the connection."""
    return _kept(head.fields, head.values, _RESPONSE_DROPS)


def framing_fields(framing: Framing, length: int) -> Fields:
    """The field that announces a body's end, or none."""
    return list(_framing_field(framing, length))


def trailer_fields(trailers: Fields) -> Fields:
    """The trailers that go on: the rules for fields hold for them too (CVE-2026-88004)."""
    return _kept(trailers, {}, _TRAILER_DROPS) if trailers else trailers
