"""The events of a scenario as single acts, each at its time and for one backend."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lbproxy.testing.scenario.cast import Cast
from lbproxy.testing.scenario.model import Event, Scenario

#: Seconds for which a backend that restarts is away, unless the scenario says otherwise.
AWAY = 1.0


@attrs.frozen
class Act:
    """Something that happens to one backend.

    Attributes:
        at: When, in seconds from the beginning.
        verb: `kill`, `stop`, `hang`, `refuse`, `unplug`, `slow`, `errors`, `drain`, or `back`.
        backend: Its label.
        ends: Of `back`, what is over; `None` is all.
        by: Of `slow`, by how many seconds.
        share: Of `errors`, which part of the answers.
        status: Of `errors`, which one.
    """

    at: float
    verb: str
    backend: str
    ends: str | None = None
    by: float = 0.0
    share: float = 0.0
    status: int = 0

    @property
    def text(self) -> str:
        """What happens, for people."""
        match self.verb:
            case "slow":
                return f"slow {self.backend} by {self.by:g} s"
            case "errors":
                return f"errors {self.backend}: {self.share:.0%} {self.status}"
            case "back" if self.ends not in (None, "kill", "stop"):
                return f"back {self.backend}, no more {self.ends}"
        return f"{self.verb} {self.backend}"


def acts_of(scenario: Scenario, cast: Cast) -> list[Act]:
    """All acts of a scenario in the order in which they happen."""
    acts = [
        act
        for event in scenario.events
        for verb, targets in event.befalls()
        for place, role in enumerate(cast.meant(targets))
        for act in _acts(event, verb, role.label, place)
    ]
    return sorted(acts, key=lambda act: act.at)


def _acts(event: Event, verb: str, label: str, place: int) -> Iterator[Act]:
    """What one event is to one backend, the `place`-th that it names."""
    at = event.at
    if verb == "restart":
        at += place * (event.every or 0.0)
        ended = "kill" if event.graceful is False else "stop"
        yield Act(at, ended, label)
        yield Act(at + (event.seconds or AWAY), "back", label, ended)
    elif verb == "flap":
        assert event.every is not None and event.seconds is not None
        turns = max(int(event.seconds / event.every + 1e-9), 1)
        for turn in range(turns):
            down = turn % 2 == 0
            moment = at + turn * event.every
            yield Act(moment, "kill" if down else "back", label, None if down else "kill")
        if turns % 2:
            yield Act(at + turns * event.every, "back", label, "kill")
    else:
        share = 1.0 if event.share is None else event.share
        yield Act(at, verb, label, None, event.by or 0.0, share, event.status or 503)
        if event.seconds is not None:
            yield Act(at + event.seconds, "back", label, verb)
