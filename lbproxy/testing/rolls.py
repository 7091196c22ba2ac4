"""What a roll may do, looked at while it goes on, and how it has to end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from lbproxy.balance.standing import State
from lbproxy.probe.prober import CHANGING, TICK
from lbproxy.testing.inside import pools_of
from lbproxy.testing.people import MOMENT
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.rolling import is_peaceful

if TYPE_CHECKING:
    from lbproxy.testing.backends import Backend
    from lbproxy.testing.world import World


class Course:
    """A roll, as it is seen from outside.

    Attributes:
        restarted: Who was started anew, by address, in order.
        back: When the last of them is back.
        clean: Whether nothing was under way at any of them, as far as a roll can know.
        why: Why it has stopped before its end, if it has.
        over: Whether it has ended.
    """

    def __init__(self, world: World, force: bool) -> None:
        """Begin.

        Args:
            world: What it is in.
            force: Whether somebody may be restarted whom nobody stands in for.
        """
        self._world = world
        self._force = force
        self.restarted: list[str] = []
        self.back = 0.0
        self.clean = True
        self.why: str | None = None
        self.over = False
        self._restarted_at: dict[str, float] = {}
        self._drained: dict[str, float] = {}
        self._wanted: list[str] | None = None
        self._last: list[dict[str, Any]] = []
        self._asked_at = self._looked_at = 0.0
        self._before: dict[str, dict[str, Any]] = {}

    def at(self, address: str) -> list[Backend]:
        """Those that listen at an address."""
        pairs = zip(self._world.pools[0].backends, self._world.backends, strict=True)
        return [backend for config, backend in pairs if config.address == address]

    def looks(self) -> None:
        """It asks how all is."""
        self._asked_at = self._world.reactor.now

    def looked(self, status: dict[str, Any]) -> None:
        """It was told how all is."""
        if self.over:
            return
        self._looked_at = self._world.reactor.now
        self._last = next(each["backends"] for each in status["pools"] if each["name"] == "api")
        if self._wanted is None:
            self._wanted = list(dict.fromkeys(each["address"] for each in self._last))

    def told(self, kind: str, name: str) -> None:
        """It has drained a backend, or ended that."""
        world, now = self._world, self._world.reactor.now
        if kind == "undrained":
            self._drained.pop(name, None)
            since = self._restarted_at.get(self._address(name))
            if since is None or self.over or world.paused:
                return  # After a standstill an answer of before may come late.
            if not self._has_answered(name, since):
                world.violation(f"{name} is not drained any more, and no probe has passed")
            return
        for other in self._drained:
            if self._address(other) != self._address(name):
                world.violation(f"a roll drains {name}, and {other} is still drained")
        self._drained[name] = now
        self._before[name] = self._entry(name)

    def restarts(self, name: str, address: str, down: float) -> None:
        """It is about to start anew all that listens at an address."""
        world, now = self._world, self._world.reactor.now
        if self.over:
            world.violation(f"{name} is restarted by a roll that has ended")
        if address in self.restarted:
            world.violation(f"{name} is restarted twice")
        self.restarted.append(address)
        self._restarted_at[address] = now
        self.back = max(self.back, now + down)
        ours = [each for each in self._drained if self._address(each) == address]
        # What ends by itself while all stands still has not ended for the balancer.
        looked_at = self._looked_at - world.paused - MOMENT
        by_itself = any(backend.has_wanted_less for backend in self.at(address))
        for each in ours or [name]:
            if not by_itself and 0 not in world.weights.within(each, looked_at, now):
                world.violation(f"{each} is restarted, and not drained")
            # Else somebody has drained it while the workers were asked what they have.
            if world.weights.within(each, self._asked_at, now) != {0}:
                self.clean = False
        if self.clean:
            world.happened("roll_looked_at")
            for backend in self.at(address):
                self._is_idle(backend)
        needed = any(self._before[each]["available"] for each in ours)
        others = [each for each in self._last if each["address"] != address]
        if needed and not self._force and not any(each["available"] for each in others):
            world.violation(f"{name} is restarted, and was needed")

    def ended(self, why: str | None, to_undrain: Collection[str]) -> None:
        """It has come to its end, or has stopped, and says what is left."""
        world = self._world
        self.over, self.why = True, why
        there = {backend.name for backend in world.inside.judged[0].backends}
        left = [name for name in self._drained if name in there]
        if why is None:
            world.happened("rolled")
            if self.restarted != self._wanted:
                world.violation(f"{self._wanted} were to be rolled, and {self.restarted} were")
            if left:
                world.violation(f"a roll has ended, and left {left} drained")
            return
        world.happened("roll_stopped")
        for name in left:
            if name not in to_undrain:
                world.violation(f"{name} is left drained, and is not named: {why}")

    # The rest is ours.

    def _entry(self, name: str) -> dict[str, Any]:
        return next(each for each in self._last if each["name"] == name)

    def _address(self, name: str) -> str:
        for each in (*self._last, *self._before.values()):
            if each["name"] == name:
                return str(each["address"])
        return ""

    def _has_answered(self, name: str, since: float) -> bool:
        """Whether a backend has answered a probe well since then."""
        answered = [
            at
            for backend in self._world.backends
            if backend.name == name
            for at, status in backend.probes
            if status < 300
        ]
        return any(at >= since for at in answered)

    def _is_idle(self, backend: Backend) -> None:
        """Nothing is under way there, by what it has itself, and by what the workers know."""
        world = self._world
        running = [
            each.ask.number
            for each in backend.deliveries
            if each.running and not each.wire.link.skt.kernel.killed
        ]
        if running:
            self.clean = False
            world.violation(f"{backend.name} is restarted, and has {running}")
        for worker in world.inside.workers:
            for each in pools_of(worker)[0].pool.backends:
                if each.name == backend.name and each.in_flight:
                    self.clean = False
                    world.violation(f"{backend.name} is restarted with {each.in_flight} in flight")


def rolls_go_well(world: World) -> Iterator[str]:
    """A roll comes to its end where nothing else befalls anybody, and all are probed."""
    plan, roller = world.plan, world.roller
    rolling = plan.rolling
    if roller is None or rolling is None or not roller.course.over:
        return
    health, course = world.pool.health, roller.course
    if health is None or not is_peaceful(plan):
        return
    if any(turn.state is State.EJECTED for turn in world.turns):
        return
    returns = health.interval * 1.1 + (health.rise + 1) * (CHANGING + health.timeout + TICK)
    in_time = max(rolling.downs) + returns < rolling.timeout
    able = sum(each.weight > 0 for each in plan.config.pools[0].backends) > 1 or rolling.force
    if rolling.fails is not None or not in_time or not able:
        return
    world.happened("roll_in_peace")
    why = course.why
    if why is not None and not why.startswith("interrupted") and "has not finished" not in why:
        yield f"a roll has stopped in peace at {course.back - EPOCH:.3f}: {why}"
