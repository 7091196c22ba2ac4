"""Whether who comes back gets its share by and by, and everybody else all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.standing import State

if TYPE_CHECKING:
    from lbproxy.testing.world import World

#: How far a part may be off by rounding, and seconds too.
_ROUNDING = 1e-5

#: Seconds from one look at the shares to the next.
_SELDOM = 0.02


class Starts:
    """Looks at a pool of the parent, which knows who comes back, and at the shares in workers.

    Who comes back, is drained no more, or joins, while another one has been well for `slow_start`,
    gets 10 % of its weight, and the more the longer it is there, in a hundred steps.
    """

    def __init__(self, world: World, pool: Pool) -> None:
        """Begin.

        Args:
            world: Hears what must not be.
            pool: One of the parent.
        """
        self._world = world
        self._pool = pool
        self._settings = {
            each.slow_start
            for config in world.plan.configs
            for each in config.pools
            if each.name == pool.name
        }
        now = world.clock.seconds()
        self._since = dict.fromkeys(pool.backends, now)
        self._states = {each: each.state for each in pool.backends}
        self._weights = {each: each.weight for each in pool.backends}
        self._slowly: dict[Backend, bool] = {}
        self._named = {each.name: each for each in pool.backends}
        self._told = now
        self._again = now
        self._right_turned, self._right_reconfigure = pool.on_turn, pool.reconfigure
        pool.on_turn, pool.on_weigh = self._turned, self._weighed
        setattr(pool, "reconfigure", self._reconfigure)  # noqa: B010 (mypy: it is a method)

    def look(self, candidates: Sequence[Backend], now: float) -> None:
        """Look at the shares that a worker chooses by.

        Args:
            candidates: Those of which one is chosen.
            now: The present time.
        """
        if now < self._again:
            return
        self._again = now + _SELDOM
        world, heard = self._world, now - self._world.lag
        if len(self._settings) > 1 or self._told >= heard or not world.weights.at_rest(heard):
            return
        (seconds,) = self._settings
        growing = False
        for each in candidates:
            known = self._named.get(each.name)
            if known is None or not known.available:
                continue  # The worker knows sooner when its time out is over.
            least = most = 1.0
            if seconds and self._slowly.get(known):
                there = now - self._since[known]
                least = _part(there - seconds / 100 - _ROUNDING, seconds)
                most = _part(there, seconds)
                growing = growing or least < 1.0
            part = each.share / each.weight
            if not least - _ROUNDING <= part <= most + _ROUNDING:
                world.violation(f"{each.name} has {part:.3f} of its weight, not {most:.3f}")
        world.counts["started_slowly"] += growing

    def _turned(self, backend: Backend, detail: str) -> None:
        now = self._told = self._world.clock.seconds()
        before = self._states.get(backend)
        self._states[backend], self._since[backend] = backend.state, now
        if backend.state is State.UP and before in (State.DOWN, State.EJECTED):
            self._came(backend, now)
        assert self._right_turned is not None
        self._right_turned(backend, detail)

    def _weighed(self, backend: Backend) -> None:
        now = self._told = self._world.clock.seconds()
        if backend.available and not self._weights.get(backend):
            self._since[backend] = now
            self._came(backend, now)
        self._weights[backend] = backend.weight

    def _reconfigure(self, *told: Any) -> Any:
        gone = self._right_reconfigure(*told)
        now = self._told = self._world.clock.seconds()
        for each in self._pool.backends:
            if each not in self._since:
                self._since[each], self._states[each] = now, each.state
                self._weights[each] = each.weight
                self._came(each, now)
        self._named = {each.name: each for each in self._pool.backends}
        return gone

    def _came(self, backend: Backend, now: float) -> None:
        """A backend has come back, or is new."""
        seconds = self._pool.config.slow_start
        well = [
            now - self._since[each]
            for each in self._pool.backends
            if each is not backend and each in self._since and each.available
        ]
        slowly = self._slowly[backend] = seconds > 0.0 and any(each >= seconds for each in well)
        unclear = any(abs(each - seconds) < _ROUNDING for each in well)
        if backend.starting is not slowly and not unclear:
            how = "slowly" if backend.starting else "at once"
            self._world.violation(f"{backend.name} starts {how}")


def _part(there: float, seconds: float) -> float:
    """What a backend has of its weight that has been there for some of the seconds of its start."""
    return min(max(0.1 + 0.9 * there / seconds, 0.1), 1.0)
