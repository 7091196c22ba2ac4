"""Requests that may come twice: the first answer is kept beside what it tells of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, delete, insert, select

from ordering.answers import Answer, encoded
from ordering.calls import Call
from ordering.problems import KeyReused
from ordering.schema import idempotency

KEPT = 24 * 60 * 60 * 1000
"""Milliseconds for which a key stands for its request."""


def once(
    connection: Connection, call: Call, new: msgspec.Struct, now: int, work: Callable[[], Answer]
) -> Answer:
    """Do `work`, unless a request with the same key was answered: then give that answer again.

    Runs in the transaction of the work, so there is never one without the other. Only what was
    done is kept: a refusal changed nothing, and the same request may succeed later.

    Raises:
        KeyReused: If the key came with another request.
    """
    key = call.key
    if key is None:
        return work()
    fingerprint = hashlib.sha256(call.path.encode() + b"\0" + msgspec.json.encode(new)).hexdigest()
    connection.execute(delete(idempotency).where(idempotency.c.created_at < now - KEPT))
    row = connection.execute(select(idempotency).where(idempotency.c.key == key)).one_or_none()
    if row is not None:
        if row.fingerprint != fingerprint:
            raise KeyReused("The key was used for another request; make a new one for this.")
        fields = [("Idempotency-Replayed", "true")]
        if row.location is not None:
            fields.insert(0, ("Location", row.location))
        return encoded(row.status, row.body, *fields)
    done = work()
    connection.execute(
        insert(idempotency).values(
            key=key,
            fingerprint=fingerprint,
            status=done.status,
            location=dict(done.fields).get("Location"),
            body=done.body,
            created_at=now,
        )
    )
    return done
