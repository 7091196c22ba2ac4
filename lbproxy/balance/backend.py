"""A backend of a pool, and all that is known of it."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Any

import attrs

from lbproxy.balance.standing import State
from lbproxy.config import model
from lbproxy.health.ejection import Ejection
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said
from lbproxy.health.verdict import Verdict

#: Those that are chosen; a backend that no probe has judged yet is taken as up.
AVAILABLE = frozenset({State.UNKNOWN, State.UP})


@attrs.define(eq=False)
class Backend:
    """One address of a pool.

    Attributes:
        config: As in `[[pools.NAME.backends]]`.
        verdict: What the probes say.
        since: When its state last changed, or its last drain ended, in the clock's seconds.
        weight: Its share of the requests in full health; 0 takes no new ones.
        given: The weight by the config, or as it was set since; `weight` is less if it asks for
            less itself.
        limit: Attempts that may be under way at it.
        said: What it says of itself.
        share: Its weight at present, for the policy.
        current: The policy's own number.
        in_flight: Attempts under way.
        starting: Whether it is in its slow start.
        reached: Whether its port accepted the last connection.
        back: When it did so again, in the clock's seconds.
        troubled: Whether a good answer would change anything of what is thought of it.
        last_probe: How the last probe ended.
        gone: Whether it has left the pool, and only finishes what it has.
        name: As in `X-Served-By` and the logs.
    """

    config: model.Backend
    verdict: Verdict
    since: float
    weight: int
    given: int
    limit: int
    said: Said = NOTHING
    state: State = State.UNKNOWN
    share: float = 0.0
    current: float = 0.0
    in_flight: int = 0
    starting: bool = False
    reached: bool = True
    back: float = -inf
    troubled: bool = False
    ejection: Ejection = attrs.Factory(Ejection)
    last_probe: ProbeOutcome | None = None
    gone: bool = False
    name: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.name = self.config.name

    @property
    def available(self) -> bool:
        """Whether it may be chosen."""
        return self.state in AVAILABLE and self.weight > 0

    @property
    def draining(self) -> bool:
        """Whether it only finishes what it has."""
        return self.weight == 0

    def report(self, now: float) -> dict[str, Any]:
        """It, for people and programs, fit for JSON."""
        state = self.state
        if state is State.EJECTED and now >= self.ejection.until:
            state = State.UP  # It is let back at the next choice.
        probe = self.last_probe
        return {
            "name": self.name,
            "address": self.config.address,
            "state": state.value,
            "since": moment(self.since),
            "weight": self.weight,
            "draining": self.draining,
            "in_flight": self.in_flight,
            "says": self.said.report(),
            "last_probe": None
            if probe is None
            else {
                "passed": probe.passed,
                "detail": probe.detail,
                "latency": round(probe.latency, 6),
                "at": moment(probe.at),
            },
        }


def unknown_backend(pool: model.Pool, config: model.Backend, now: float) -> Backend:
    """A backend of which nothing is known yet."""
    health = pool.health
    rise, fall = (1, 1) if health is None else (health.rise, health.fall)
    # Without probes nobody will ever ask: only live traffic judges.
    state = State.UP if health is None else State.UNKNOWN
    weight = config.weight
    verdict = Verdict(rise, fall)
    limit, part = pool.max_in_flight, float(weight)
    return Backend(config, verdict, now, weight, weight, limit, state=state, share=part)


def moment(seconds: float) -> str:
    """A time as RFC 3339 writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
