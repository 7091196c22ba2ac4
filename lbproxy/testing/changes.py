"""What people change while the balancer runs, and the weights that have to follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any

import attrs

from lbproxy.config.model import Backend
from lbproxy.discovery.members import configured_name

#: What can be changed, in the words of the trace.
KINDS = ("drained", "undrained", "weighed", "unweighed")

#: In the place of a backend: all members of a name, if there is one.
ALL = -1


@attrs.frozen
class Change:
    """One change, by hand.

    Attributes:
        kind: One of `KINDS`.
        at: Seconds from the beginning.
        backend: Which one, by its place in the first pool, or `ALL`.
        weight: The new one, of those that are weighed.
        seconds: After how many it is over by itself; `None` is never.
    """

    kind: str
    at: float
    backend: int = 0
    weight: int = 1
    seconds: float | None = None


def question(change: Change, pool: str, name: str) -> tuple[str, dict[str, Any]]:
    """What the admin listener is asked for a change: the page, and what is posted."""
    reason = f"the {change.kind} of a plan"
    said: dict[str, Any] = {"pool": pool, "backend": name, "author": "operator", "reason": reason}
    if change.seconds is not None:
        said["for"] = change.seconds
    if change.kind in ("weighed", "unweighed"):
        return "/weight", {**said, "weight": change.weight if change.kind == "weighed" else None}
    return {"drained": "/drain", "undrained": "/undrain"}[change.kind], said


@attrs.frozen
class _Reign:
    """A time for which something holds, and the weight meanwhile.

    Attributes:
        begin: From when on.
        due: Until when it was asked to hold.
        weight: The weight.
        end: Until when it did.
    """

    begin: float
    due: float
    weight: int = 0
    end: float = attrs.Factory(lambda self: self.due, takes_self=True)


@attrs.frozen
class _Config:
    """When a config was read, when all had been told of it, and its backends by name."""

    begin: float
    told: float
    backends: Mapping[str, Backend]

    @property
    def changeable(self) -> set[str]:
        """Whose weight may be changed: a backend's, or that of all members of a name."""
        return {*self.backends, *map(configured_name, self.backends)}


class Weights:
    """Which weight each backend has to have, and when: what people asked for, worked out anew.

    A drain lies over a weight; giving a weight ends the drain. Either ends in its time. A change of
    all members of a name lies under a member's own one of the same kind.
    """

    def __init__(self, backends: Iterable[Backend]) -> None:
        """Begin.

        Args:
            backends: Those of the config.
        """
        self._configs = [_Config(-inf, -inf, {each.name: each for each in backends})]
        self._drains: dict[str, list[_Reign]] = defaultdict(list)
        self._given: dict[str, list[_Reign]] = defaultdict(list)

    @property
    def names(self) -> list[str]:
        """All backends that there were at some time."""
        return list(dict.fromkeys(name for each in self._configs for name in each.backends))

    @property
    def most(self) -> int:
        """What all weights together may have come to, at most."""
        given = [reign.weight for reigns in self._given.values() for reign in reigns]
        configured = [each.weight for config in self._configs for each in config.backends.values()]
        return max((*given, *configured), default=0) * len(self.names)

    def begin(self, backends: Iterable[Backend], now: float, told: float = inf) -> int:
        """Another config is read; until all are `told`, either may hold.

        What was changed of a backend that is not in it any more is forgotten.

        Args:
            backends: Those of the config.
            now: The present time.
            told: When all are told at the latest, if that is known.

        Returns:
            Which config it is, for `told`.
        """
        config = _Config(now, told, {each.name: each for each in backends})
        self._forget(config, now)
        self._configs.append(config)
        return len(self._configs) - 1

    def told(self, which: int, now: float) -> None:
        """All workers have been told of a config, behind which those before it hold no more."""
        for place, each in enumerate(self._configs[: which + 1]):
            if each.told > now:
                self._configs[place] = attrs.evolve(each, told=now)
        self._forget(self._configs[which], now)

    def settled(self, now: float) -> set[str]:
        """The backends, and names of some, that are there whichever config holds now."""
        holding = [each for each in self._configs if each.told > now]
        holding.append(self._holding(now))
        return set[str].intersection(*(each.changeable for each in holding))

    def at_rest(self, now: float) -> bool:
        """Whether all have been told of the config that was read last."""
        return self._configs[-1].told <= now

    def time_of(self, name: str) -> tuple[float, float]:
        """From when until when there is a backend: all are told of it, and a config has it no more.

        One that no config has had yet will be there some day.
        """
        having = [place for place, each in enumerate(self._configs) if name in each.backends]
        if not having:
            return inf, inf
        behind = having[-1] + 1
        until = self._configs[behind].begin if behind < len(self._configs) else inf
        return self._configs[having[0]].told, until

    def gone_at(self, name: str) -> float:
        """When all have been told that there is no backend of a name any more."""
        having = [place for place, each in enumerate(self._configs) if name in each.backends]
        told = [each.told for each in self._configs[having[-1] + 1 :]] if having else []
        return min(told, default=inf)

    def note(self, name: str, change: Change, now: float) -> bool:
        """Take a change in; whether it changes anything."""
        drains, given = self._drains[name], self._given[name]
        ended = change.kind in ("undrained", "weighed", "drained") and self._end(drains, now)
        until = inf if change.seconds is None else now + change.seconds
        if change.kind == "drained":
            drains.append(_Reign(now, until))
        elif change.kind == "undrained":
            return ended
        elif change.kind == "weighed":
            self._end(given, now)
            given.append(_Reign(now, until, change.weight))
        else:
            return self._end(given, now)
        return True

    def at(self, name: str, moment: float) -> int:
        """The weight of a backend at a moment; 0 if there is none of its name."""
        return self._weight(name, moment, self._holding(moment))

    def within(self, name: str, begin: float, end: float) -> set[int]:
        """All the weights that a backend has within a time."""
        moments = [
            moment
            for reign, _ in self._reigns(name)
            for moment in (reign.begin, reign.end)
            if begin < moment <= end
        ]
        found = {self.at(name, moment) for moment in (begin, *moments)}
        for config in self._configs:
            if config.begin <= end and config.told >= begin:
                found |= {self._weight(name, moment, config) for moment in (begin, *moments)}
        return found

    def ended(self, name: str, since: float, now: float) -> bool:
        """Whether a change of a backend has come to its end within a time."""
        reigns = (*self._drains[name], *self._given[name])
        return any(since <= reign.end <= now for reign in reigns)

    def over(self, until: float) -> int:
        """How many changes have ended in their time."""
        return sum(
            reign.end == reign.due <= until
            for reigns in (*self._drains.values(), *self._given.values())
            for reign in reigns
        )

    def _holding(self, moment: float) -> _Config:
        """The last config of which all have been told."""
        return next(each for each in reversed(self._configs) if each.told <= moment)

    def _weight(self, name: str, moment: float, config: _Config) -> int:
        backend = config.backends.get(name)
        if backend is None:
            return 0
        for reign, of_all in self._reigns(name):
            if reign.begin <= moment < reign.end:
                return reign.weight * (backend.record_weight if of_all else 1)
        return backend.weight

    def _reigns(self, name: str) -> Iterator[tuple[_Reign, bool]]:
        """What was changed of a backend, what goes first in front, and whether of all members."""
        for reigns in (self._drains, self._given):
            for key in dict.fromkeys((name, configured_name(name))):
                for reign in reversed(reigns.get(key, ())):
                    yield reign, key != name

    def _forget(self, config: _Config, now: float) -> None:
        """End what was changed of those who are not in a config."""
        for reigns in (self._drains, self._given):
            for name in reigns.keys() - config.changeable:
                self._end(reigns[name], now)

    def _end(self, reigns: list[_Reign], now: float) -> bool:
        """End what holds, if anything does."""
        if not reigns or reigns[-1].end <= now:
            return False
        reigns[-1] = attrs.evolve(reigns[-1], end=now)
        return True
