"""What the balancer has seen of its backends, as values."""

from __future__ import annotations

import attrs

from lbproxy.balance.standing import State


@attrs.frozen
class Turn:
    """A change of a backend's state, as the balancer judged it.

    Attributes:
        at: When.
        backend: Its name.
        state: The new one.
        until: When it is to be let back, if it is ejected.
    """

    at: float
    backend: str
    state: State
    until: float


@attrs.frozen
class Probed:
    """The end of a probe, as the balancer judged it.

    Attributes:
        at: When.
        backend: Its name.
        passed: Whether it is well.
        up: The verdict then.
    """

    at: float
    backend: str
    passed: bool
    up: bool
