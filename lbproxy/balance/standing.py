"""What is known of a backend, as one process tells it to another."""

from __future__ import annotations

from enum import Enum

import attrs

from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said


class State(Enum):
    """What is known of a backend."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    EJECTED = "ejected"


@attrs.frozen
class Standing:
    """How a backend stands with the process that judges it.

    Attributes:
        state: What is known of it.
        detail: Why its state is what it is.
        since: When its state last changed, in the clock's seconds.
        until: When it is let back, if it is ejected.
        starting: Whether it is in its slow start.
        reached: Whether its port accepted the last connection.
        last_probe: How the last probe ended.
        given: Its weight by the config, or as people have set it since; 0 while they drain it.
        said: What it says of itself, as far as that counts at present.
    """

    state: State
    detail: str
    since: float
    until: float
    starting: bool
    reached: bool
    last_probe: ProbeOutcome | None
    given: int
    said: Said = NOTHING
