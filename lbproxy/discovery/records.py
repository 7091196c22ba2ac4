"""What the records of an answer say of the name that was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import attrs
from twisted.names import dns

#: Steps from alias to alias that are taken: more are a circle, or a mistake.
ALIASES = 8


@attrs.frozen
class Found:
    """Records of one type.

    Attributes:
        name: Who has them: the name asked for, or what it is an alias of.
        payloads: What they say.
        ttl: Seconds for which that holds: each alias on the way counts too.
    """

    name: dns.Name
    payloads: tuple[Any, ...]
    ttl: float


def found(name: dns.Name, kind: int, records: Iterable[dns.RRHeader]) -> Found:
    """Find what was asked for among the records of an answer, by way of its aliases.

    Records of others are not heeded: nobody has asked for them.

    Args:
        name: That was asked for.
        kind: A type of records.
        records: The answer's, in any order.
    """
    records = [record for record in records if record.cls == dns.IN]
    ttl = float("inf")
    for _ in range(ALIASES):
        own = [record for record in records if record.name == name]
        wanted = [record for record in own if record.type == kind]
        alias = next((record for record in own if record.type == dns.CNAME), None)
        if wanted or alias is None:
            ttl = min([ttl, *(record.ttl for record in wanted)])
            return Found(name, tuple(record.payload for record in wanted), ttl)
        name = cast(Any, alias.payload).name
        ttl = min(ttl, alias.ttl)
    return Found(name, (), ttl)
