"""What of a request belongs together, for policies that keep it at one backend."""

from __future__ import annotations

import attrs

from lbproxy.forward.fields import Peer
from lbproxy.forward.routing import normalised
from lbproxy.http1.message import RequestHead


@attrs.frozen
class HashKey:
    """The key of all requests that have one head.

    Attributes:
        said: What the head itself says; `None` if it has no such thing.
        by_client: Whether the key is the client's address.
        forwarded: Whom a trusted peer would be speaking for.
    """

    said: bytes | None = None
    by_client: bool = False
    forwarded: bytes | None = None

    def of(self, peer: Peer) -> bytes | None:
        """The key, or `None`.

        Args:
            peer: Who sent the request. A trusted one speaks for the client that it names last in
                `X-Forwarded-For`, which is the one that it has seen itself.
        """
        if not self.by_client:
            return self.said
        return self.forwarded if peer.trusted and self.forwarded else peer.address


def hash_key(source: str, head: RequestHead, target: bytes) -> HashKey:
    """Find the key in a head.

    Args:
        source: As `hash.key` of a pool: `client`, `path`, `header:NAME` or `cookie:NAME`.
        head: The request's.
        target: The request-target in origin form.
    """
    kind, _, name = source.partition(":")
    if kind == "client":
        lines = head.values.get(b"x-forwarded-for", [b""])
        return HashKey(by_client=True, forwarded=lines[-1].rpartition(b",")[2].strip() or None)
    if kind == "path":
        return HashKey(normalised(target.partition(b"?")[0]))
    if kind == "cookie":
        return HashKey(_cookie(head, name.encode("ascii")))
    found = head.values.get(name.lower().encode("ascii"))
    return HashKey(b", ".join(found) if found else None)


def _cookie(head: RequestHead, name: bytes) -> bytes | None:
    """The value of a cookie, the first of that name (RFC 6265 section 5.4)."""
    for line in head.values.get(b"cookie", ()):
        for pair in line.split(b";"):
            found, equals, value = pair.strip().partition(b"=")
            if equals and found == name:
                return value
    return None
