"""The interface of a probe of one backend."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred

from lbproxy.config.model import Backend, Health
from lbproxy.health.outcome import ProbeOutcome


class Unanswered(CancelledError):
    """A probe was cancelled while its connection stood: the port accepts, the answer is late."""


#: Probes a backend. Cancelling gives up, with `Unanswered` if that is known; else it never fails.
Check = Callable[[Backend, Health], Deferred[ProbeOutcome]]


def address_of(backend: Backend, health: Health) -> str:
    """Where a backend is probed: where requests go, or at the port that the config says."""
    if health.port is None:
        return backend.address
    return f"{backend.address.rpartition(':')[0]}:{health.port}"
