"""Times and the ids that are made from them; both start from milliseconds since 1970."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(moment: int) -> str:
    """A moment as RFC 3339 writes it, in UTC and to the millisecond."""
    text = (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def new_id(moment: int) -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): later ones sort later."""
    value = moment << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
