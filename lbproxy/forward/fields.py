"""What changes in the fields of a message on its way: hop-by-hop out, Via and Forwarded in.

All `Connection` lines are read before anything is removed, and what we set is added after, so that
no peer can remove it by naming it there (CVE-2021-33197, CVE-2021-32813, CVE-2024-45410).
"""

from __future__ import annotations

import attrs

from lbproxy.http1 import grammar, serialize
from lbproxy.http1.message import (
    CHUNKED,
    LENGTH,
    NONE,
    UNTIL_CLOSE,
    Fields,
    Framing,
    Head,
    RequestHead,
    ResponseHead,
    Values,
    members,
)

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

#: What `Connection` mostly says, which names no field.
_NOMINATES_NOTHING = (None, [b"keep-alive"], [b"close"])

_DATE = grammar.field_named(b"date")
_EVENTS = b"text/event-stream"

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
        lines: The field lines that tell a backend of it.
    """

    address: bytes
    scheme: bytes
    trusted: bool
    subject: bytes = b""
    tls: str = ""
    lines: bytes = attrs.field(init=False)

    @lines.default
    def _lines(self) -> bytes:
        lines = [(b"X-Forwarded-For", self.address), (b"X-Forwarded-Proto", self.scheme)]
        if self.subject:
            lines.append((CLIENT_SUBJECT, self.subject))
        return serialize.lines(lines)


def upgrade_to(head: RequestHead) -> bytes | None:
    """The protocol that a request may switch to, or `None`.

    Only `websocket` is offered on: what we do not know we could not tunnel safely, and a server
    may ignore `Upgrade` (RFC 9110 section 7.8). `Upgrade` without its connection option counts
    for nothing, and so does one in a request with a body or of HTTP/1.0.
    """
    control = head.control
    if b"upgrade" not in control or not head.minor or head.framing is not NONE:
        return None
    offered = members(control, b"upgrade")
    if offered != [b"websocket"] or b"upgrade" not in members(control, b"connection"):
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


def _kept_block(head: Head, drops: frozenset[bytes]) -> bytes:
    """The block of the lines that go on.

    Mostly all of `control` is to be dropped and nothing besides: then it is there already.
    """
    control = head.control
    if control.get(b"connection") in _NOMINATES_NOTHING and drops.issuperset(control):
        return head.kept
    return b"\n" + serialize.lines(_kept(head.fields, head.values, drops))


def framing_line(framing: Framing, length: int) -> bytes:
    """The field line that announces a body's end, or nothing."""
    if framing is LENGTH:
        return b"Content-Length: %d\r\n" % length
    if framing is CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b""


def _via(head: Head) -> bytes:
    return VIA if head.minor else b"1.0 " + PSEUDONYM


def _appended(values: Values, name: bytes, last: bytes) -> bytes:
    return b", ".join((*values.get(name, ()), last))


def _one_hop_fewer(line: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """`Max-Forwards` counts down (RFC 9110 section 7.6.2); other lines stay."""
    name, value = line
    if name.lower() != b"max-forwards" or not value.isdigit() or len(value) > 9:
        return line
    return name, b"%d" % max(int(value) - 1, 0)


def _counted_down(head: RequestHead, drops: frozenset[bytes]) -> bytes:
    fields = _kept(head.fields, head.values, drops)
    return b"\n" + serialize.lines([_one_hop_fewer(line) for line in fields])


class RequestTemplate:
    """A request as a backend gets it, ready but for who sent it and its id."""

    __slots__ = ("_after", "_before", "_between", "_head", "_host", "_start")

    def __init__(
        self, head: RequestHead, target: bytes, host: bytes, upgrade: bytes | None
    ) -> None:
        """Prepare.

        Args:
            head: The request as it came.
            target: The request-target in origin form.
            host: What the client asked for: `Host`, or the authority of an absolute target.
            upgrade: What `upgrade_to` gave.
        """
        self._head = head
        self._host = host
        # The kept block begins with the LF of the line before it.
        self._start = serialize.request(head.method, target, b"Host: %b\r" % host)
        self._before = self._start + self._kept(_REQUEST_DROPS)
        self._between = b"X-Forwarded-Host: %b\r\nX-Request-Id: " % host
        end = b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade if upgrade is not None else b""
        self._after = b"\r\nVia: %b\r\n%b%b\r\n" % (
            _via(head),
            framing_line(head.framing, head.length),
            end,
        )

    def message(self, peer: Peer, request_id: bytes) -> bytes:
        """The head as it goes on the wire.

        Args:
            peer: Who sent it.
            request_id: Goes in `X-Request-Id`.
        """
        if peer.trusted:
            return self._believed(peer, request_id)
        return b"".join((self._before, peer.lines, self._between, request_id, self._after))

    def _believed(self, peer: Peer, request_id: bytes) -> bytes:
        """With what a trusted peer says of its own client, and that peer added."""
        values, host = self._head.control, self._host
        lines = [
            (b"X-Forwarded-For", _appended(values, b"x-forwarded-for", peer.address)),
            (b"X-Forwarded-Proto", values.get(b"x-forwarded-proto", (peer.scheme,))[-1]),
            (b"X-Forwarded-Host", values.get(b"x-forwarded-host", (host,))[-1]),
            (b"X-Request-Id", request_id),
        ]
        if peer.subject:
            lines.insert(0, (CLIENT_SUBJECT, peer.subject))
        kept = self._kept(_REQUEST_DROPS_OF_TRUSTED)
        return b"".join((self._start, kept, serialize.lines(lines)[:-2], self._after))

    def _kept(self, drops: frozenset[bytes]) -> bytes:
        head = self._head
        if not head.minor and b"expect" in head.control:
            drops |= {b"expect"}  # RFC 9110 section 10.1.1
        if b"max-forwards" in head.control and head.method in (b"OPTIONS", b"TRACE"):
            return _counted_down(head, drops)
        return _kept_block(head, drops)


class ResponseTemplate:
    """An answer as a client gets it, ready but for its id and what is of the connection.

    Attributes:
        is_event_stream: Whether it is one of events, which come when they come.
        shows_events: Whether we can see where one of them ends, and end the answer there.
    """

    __slots__ = ("_after", "_before", "_dated", "is_event_stream", "shows_events")

    def __init__(self, head: ResponseHead) -> None:
        """Prepare a backend's answer."""
        kept = _kept_block(head, _RESPONSE_DROPS)
        self._dated = _DATE.search(kept) is not None
        self._before = b"HTTP/1.1 %d %b\r%bX-Request-Id: " % (head.status, head.reason, kept)
        length = b""
        if head.framing is LENGTH:
            length = framing_line(LENGTH, head.length)
        elif head.status >= 200 and head.status != 204 and b"content-length" in head.control:
            # The answer to HEAD, or 304: what the length would be (RFC 9110 section 8.6).
            length = b"Content-Length: %b\r\n" % head.control[b"content-length"][0]
        self._after = b"\r\nVia: %b\r\n%b" % (_via(head), length)
        media = head.values.get(b"content-type", [b""])[0] if _EVENTS in kept else b""
        self.is_event_stream = media.startswith(_EVENTS)
        open_ended = head.framing is CHUNKED or head.framing is UNTIL_CLOSE
        encoded = self.is_event_stream and b"content-encoding" in head.values
        self.shows_events = self.is_event_stream and open_ended and not encoded

    def begin(self, request_id: bytes, date: bytes) -> bytes:
        """The status line and the lines that have nothing to do with the client's connection.

        Args:
            request_id: Goes in `X-Request-Id`.
            date: Goes in `Date` if the backend sent none (RFC 9110 section 6.6.1).
        """
        if self._dated:
            return b"".join((self._before, request_id, self._after))
        return b"%b%b%bDate: %b\r\n" % (self._before, request_id, self._after, date)


def informational_lines(head: ResponseHead) -> bytes:
    """The field lines of a 1xx answer, which go on but for those of the connection."""
    return _kept_block(head, _RESPONSE_DROPS)[1:]


def trailer_fields(trailers: Fields) -> Fields:
    """The trailers that go on: the rules for fields hold for them too (CVE-2026-88004)."""
    return _kept(trailers, {}, _TRAILER_DROPS) if trailers else trailers
