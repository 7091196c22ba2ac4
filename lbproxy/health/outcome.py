"""How a probe ended."""

from __future__ import annotations

import attrs

from lbproxy.health.said import NOTHING, Said
from lbproxy.health.words import one_line


@attrs.frozen
class ProbeOutcome:
    """How a probe ended.

    Attributes:
        passed: Whether the backend is well.
        latency: Seconds from the start of the probe to its end.
        detail: What was answered, or what went wrong, in words of one line.
        reached: Whether the backend's port accepts connections.
        at: When it ended, in the clock's seconds.
        said: What the backend says of itself; it counts if the probe passed.
        ignored: What it says besides that cannot be heard, in few words.
    """

    passed: bool
    latency: float
    detail: str = attrs.field(converter=one_line)
    reached: bool
    at: float
    said: Said = NOTHING
    ignored: tuple[str, ...] = ()
