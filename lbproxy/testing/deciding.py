"""Among whom a policy chooses, and whom: looked at while it happens, in each worker."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

from lbproxy.balance.backend import Backend
from lbproxy.balance.standing import State
from lbproxy.testing.hearing import Heard
from lbproxy.testing.inside import policy_of, pools_of
from lbproxy.testing.rules import Rule, rule_for
from lbproxy.testing.spilling import Spilling, part_of

if TYPE_CHECKING:
    from lbproxy.testing.world import World


class Deciding:
    """Looks at each choice in a pool of a worker.

    One tier is chosen from, all of it that has room and was not tried: the first one, unless the
    request is of those that spill, or nobody there has room. If nobody is well, it is those whose
    ports accept connections. Who of them it is, a `Rule` judges.
    """

    def __init__(self, world: World, pool: Any, pid: int) -> None:
        """Begin.

        Args:
            world: Hears what must not be.
            pool: One of a worker.
            pid: The worker's process.
        """
        self._world = world
        self._pool = pool
        self._pid = pid
        self._tried: Set[Backend] = frozenset()
        self._spilling = Spilling(world.keys)
        self._starts = world.starts[pool.name]
        self._weights = {each: each.weight for each in pool.backends}
        self._rule: Rule
        self._policy: Any = None
        self._right_choose, self._right_reconfigure = pool.choose, pool.reconfigure
        self._right_turned, self._right_weighed = pool.on_turn, pool.on_weigh
        pool.choose, pool.reconfigure = self._choose, self._reconfigure
        pool.on_turn, pool.on_weigh = self._turned, self._weighed
        self._follow()

    def _choose(self, tried: Set[Backend], now: float, key: bytes | None = None) -> Backend | None:
        self._tried = tried
        chosen: Backend | None = self._right_choose(tried, now, key)
        if chosen is None:
            self._look([], now, key)
        return chosen

    def _reconfigure(self, *told: Any) -> Any:
        gone = self._right_reconfigure(*told)
        self._weights = {each: each.weight for each in self._pool.backends}
        self._follow()
        return gone

    def _turned(self, backend: Backend, detail: str) -> None:
        self._rule.forgive(backend)
        self._right_turned(backend, detail)

    def _weighed(self, backend: Backend) -> None:
        if not self._weights.get(backend):
            self._rule.forgive(backend)
        self._weights[backend] = backend.weight
        self._right_weighed(backend)

    def _follow(self) -> None:
        """Look at the policy that there is now."""
        policy = policy_of(self._pool)
        if policy is self._policy:
            return
        self._policy, pool, world = policy, self._pool, self._world
        rule = self._rule = rule_for(pool.config, world.keys)

        def choose(
            candidates: Sequence[Backend],
            now: float,
            key: bytes | None,
            right: Any = policy.choose,
        ) -> Backend:
            self._look(candidates, now, key)
            chosen: Backend = right(candidates, now, key)
            wrong = rule.judge(candidates, chosen, now, key)
            if wrong:
                world.violation(f"{chosen.name} was chosen, and {wrong}")
            return chosen

        policy.choose = choose
        if not pool.timed:
            return

        def observe(
            backend: Backend, seconds: float, failed: bool, now: float, right: Any = policy.observe
        ) -> None:
            right(backend, seconds, failed, now)
            rule.observe(backend, seconds, failed, now)
            world.heard.append(Heard(self._pid, backend.name, seconds, failed))

        def forget(backend: Backend, right: Any = policy.forget) -> None:
            right(backend)
            rule.forget(backend)

        policy.observe, policy.forget = observe, forget

    def _look(self, candidates: Sequence[Backend], now: float, key: bytes | None) -> None:
        """See whether it is these who may be chosen now; none is nobody."""
        backends, tried = self._pool.backends, self._tried
        tiers: tuple[list[Backend], list[Backend]] = ([], [])
        whole, able = [0, 0], [0, 0]
        for each in backends:
            tier, weight, state = each.config.backup, each.weight, each.state
            whole[tier] += weight
            if weight and (state is State.UP or state is State.UNKNOWN):
                able[tier] += weight
                if each.in_flight < each.limit and each not in tried:
                    tiers[tier].append(each)
            elif state is State.EJECTED and now >= each.ejection.until:
                self._says(f"{each.name} is still out")
        first, second = tiers
        if not (able[0] or able[1]):
            first = [] if tried else _accepting(backends)
        part = part_of(able[0], whole[0], able[1], whole[1]) if able[0] and able[1] else 0.0
        if part:
            spilled = candidates == second if first and second else None
            wrong = self._spilling.sees(key, part, spilled)
            if wrong:
                self._says(wrong)
            self._world.counts["spilled_by_key" if key else "spilled"] += spilled is True
        allowed = first or second
        if candidates != allowed and not (part and candidates == second):
            named = [each.name for each in candidates]
            self._says(f"it is chosen from {named}, not from {[each.name for each in allowed]}")
        if candidates:
            self._starts.look(candidates, now)

    def _says(self, what: str) -> None:
        self._world.violation(f"at a choice in {self._pool.name} {what}")


def _accepting(backends: Sequence[Backend]) -> list[Backend]:
    """Those who get a request although nobody is well."""
    return [
        each for each in backends if each.reached and each.weight and each.in_flight < each.limit
    ]


def watch(world: World, worker: Any, pid: int) -> None:
    """Look at all choices of a worker from now on."""
    for upstreams in pools_of(worker):
        Deciding(world, upstreams.pool, pid)
