"""Who runs the balancer: changes weights by hand, and has other configs read."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from twisted.python.failure import Failure

from lbproxy.config import model
from lbproxy.config.model import Config
from lbproxy.discovery.members import configured_name, goes_by
from lbproxy.errors import ReloadRefused
from lbproxy.probe.prober import FIRST_ROUND
from lbproxy.testing import changes, refusals, retuning, zone
from lbproxy.testing.changes import Change, Weights
from lbproxy.testing.inside import Inside, pools_of
from lbproxy.testing.nameserver import NameServer
from lbproxy.testing.plan import Plan, Refusal
from lbproxy.testing.reactor import SimReactor
from lbproxy.testing.reloads import Reload

if TYPE_CHECKING:
    from lbproxy.testing.admin import Admin

#: Seconds in which what was done at an instant has been heard: in any order with what else is due.
MOMENT = 1e-6

#: Configs that may be waited for before an answer of DNS is followed: that of the start, one that
#: is served just now, and its own. Each takes a first round of probes at most.
BEFORE = 3


class Surroundings(Protocol):
    """What the operator needs of the world."""

    reactor: SimReactor
    balancer: Any
    inside: Inside
    stopped: Any
    stopping_since: float | None
    paused: float
    plan: Plan
    names: NameServer | None

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def happened(self, kind: str) -> None:
        """Count something that really happened."""

    def violation(self, what: str) -> None:
        """Something must not be."""


@attrs.frozen
class Expected:
    """What a change by hand has to come to.

    Attributes:
        at: When it was asked for.
        changes: Whether it changes anything; `None` if that is not sure.
        workers: Those that served by then.
    """

    at: float
    changes: bool | None
    workers: list[Any]


class Operator:
    """One, who remembers what he has asked for.

    Attributes:
        config: What is to be served at present.
        weights: Those that the backends of the first pool have to have.
    """

    def __init__(self, world: Surroundings, config: Config) -> None:
        """Begin.

        Args:
            world: Has the balancer.
            config: What it begins with.
        """
        self.config = config
        self.weights = Weights(config.pools[0].backends)
        self._world = world
        self._latest = 0.0
        self._reloading = 0
        self._reloaded = self._renamed = -inf
        self._to_read: deque[Config | None] = deque()

    @cached_property
    def admin(self) -> Admin:
        """The pages by which it is changed."""
        from lbproxy.testing.admin import Admin  # It imports the reactor.

        return Admin(self._world.reactor, self._world.balancer)

    @property
    def backends(self) -> tuple[model.Backend, ...]:
        """Those that the first pool has to have, as soon as all have been told."""
        names = self._world.names
        return zone.expected(self.config, None if names is None else names.known)

    def change(self, change: Change) -> None:
        """Have somebody change what a backend gets."""
        if self._world.stopped is not None:
            return
        now = self._world.reactor.now
        settled, configured = self.weights.settled(now), self.config.pools[0].backends
        # Of one that comes or goes by DNS just now nobody could say whether it is there.
        named = zone.named_in(self.config)
        names = [
            each.name
            for each in self.backends
            if each is not named and (each.name in settled or each in configured)
        ]
        if named is not None and named.name in settled:
            names.append(named.name)
        name = names[change.backend % len(names)]
        self._world.tell(change.kind, name, change.weight, change.seconds)
        path, said = changes.question(change, "api", name)
        exchange = self.admin.ask("POST", path, said)
        if exchange.refused:
            if name in settled:
                self._world.violation(f"{name} is not {change.kind}: {exchange.answer.result}")
            return
        expected = self.hear(change, name)
        of_all = named is not None and name == named.name

        def answered(told: dict[str, Any]) -> None:
            if "changed" not in told:  # It has left before all had heard of the change.
                if name in self.weights.settled(self._world.reactor.now):
                    self._world.violation(f"{name} is {change.kind}, and the answer is {told}")
                return
            self.check(told, expected)
            if told["changed"]:
                self._world.happened(f"all_{change.kind}" if of_all else change.kind)

        exchange.answer.addCallback(answered)

    def hear(self, change: Change, name: str) -> Expected:
        """Something is changed by hand: what has to come of it."""
        now = self._world.reactor.now
        # What ends by itself in this very instant may have ended, or not yet.
        unclear = self.weights.ended(name, now - self._world.paused - MOMENT, now)
        unclear = unclear or name not in self.weights.settled(now)
        made = self.weights.note(name, change, now)
        return Expected(now, None if unclear else made, list(self._world.inside.who_serves()))

    def check(self, told: dict[str, Any], expected: Expected) -> None:
        """See whether a change has changed what it should, and whether all have heard of it."""
        world, now = self._world, self._world.reactor.now
        if expected.changes is None:
            return
        if told["changed"] is not expected.changes:
            what = "something" if told["changed"] else "nothing"
            world.violation(f"a change of {told['name']} has changed {what}")
        if not told["complete"] or world.paused or not self.weights.at_rest(now):
            return
        for worker in expected.workers:
            if worker not in world.inside.workers:
                continue
            for backend in pools_of(worker)[0].pool.backends:
                if not goes_by(backend.name, told["name"]):
                    continue
                if backend.given not in self.weights.within(backend.name, expected.at, now):
                    has = f"has the weight {backend.given} in a worker"
                    world.violation(f"{backend.name} {has}, of which all are said to have heard")

    def reload(self, reload: Reload) -> None:
        """Have another config read, and served; after a standstill a later one may come first."""
        if self._world.stopped is not None or reload.at < self._latest:
            return
        self._latest = reload.at
        self._world.tell("reload", reload.kind)
        self._world.happened(reload.kind)
        if reload.config.pools[0].balancer != self.config.pools[0].balancer:
            self._world.happened("other_policy")
        for kind in retuning.differences(self.config.pools[0], reload.config.pools[0]):
            self._world.happened(kind)
        self.config = reload.config
        now = self._world.reactor.now
        self._meet(now, self._renamed)
        self._reloaded = now
        which = self.weights.begin(self.backends, now)
        self._reloading += 1
        self._to_read.append(None)
        served = self._world.balancer.reloader.reload()
        served.addCallbacks(self._told, self._failed, callbackArgs=(which,))

    def refuse(self, refusal: Refusal) -> None:
        """Have a config read that cannot be had."""
        if self._world.stopped is not None:
            return
        self._world.tell("reload", refusal.kind)
        self._to_read.append(refusals.spoilt(refusal, self.config))
        served = self._world.balancer.reloader.reload()
        served.addCallbacks(self._wrongly_served, self._refused, errbackArgs=(refusal.kind,))

    def read(self) -> Config:
        """What stands in the file when it is read, once for each reload."""
        return self._to_read.popleft() or self.config

    def heard(self) -> None:
        """DNS has said something else than before."""
        if self._world.stopped is not None or zone.named_in(self.config) is None:
            return
        now = self._world.reactor.now
        self._meet(now, self._reloaded)
        self._renamed = now
        longest = FIRST_ROUND * (BEFORE + self._reloading)
        self.weights.begin(self.backends, now, now + longest)

    def serves(self, config: Config) -> None:
        """The balancer is about to serve a config: with the members that are known at present."""
        names, named = self._world.names, self._world.plan.named
        if names is None or named is None:
            return
        found = {
            each for each in config.pools[0].backends if configured_name(each.name) == named.name
        }
        wanted = {named} if names.known is None else set(zone.members(named, names.known))
        lacks = any(zone.named_in(each) is None for each in self._world.plan.configs)
        if found != wanted and (found or not lacks):
            told = [sorted(each.name for each in those) for those in (found, wanted)]
            self._world.violation(f"{told[0]} are served, and known are {told[1]}")

    def up(self, name: str) -> None:
        """A backend is up, and clients are accepted: it has to have an address."""
        named = self._world.plan.named
        if named is not None and name == named.name:
            self._world.violation(f"{name} is up, and is only a name")

    def _meet(self, now: float, other: float) -> None:
        """A reload and a change of DNS come so soon one after the other that both are under way."""
        if now - other < FIRST_ROUND:
            self._world.happened("dns_and_reload")

    def _told(self, _: object, which: int) -> None:
        self._reloading -= 1
        self.weights.told(which, self._world.reactor.now)

    def _failed(self, failure: Failure) -> None:
        self._reloading -= 1
        if self._world.stopping_since is None:  # Else the end has come in the middle of it.
            self._world.violation(f"a reload failed: {failure.getErrorMessage()}")

    def _wrongly_served(self, _: object) -> None:
        self._world.violation("a config that cannot be had is said to be served")

    def _refused(self, failure: Failure, kind: str) -> None:
        if self._world.stopped is not None:
            return
        why = failure.getErrorMessage()
        if failure.check(ReloadRefused) is None or not why.startswith(refusals.REASONS[kind]):
            self._world.violation(f"a reload is refused in another way: {why}")
        if refusals.is_spoilt(self._world.balancer.control.config):
            self._world.violation("what was refused is judged by")
        self._world.happened(kind)

    def weight(self, backend: model.Backend, moment: float) -> int:
        """The greatest weight that a backend of any pool may have at a moment."""
        known = backend.name in self.weights.names
        return max(self.weights.within(backend.name, moment, moment)) if known else backend.weight

    def is_there(self, name: str) -> bool:
        """Whether there is a backend of a name."""
        others = (each for pool in self.config.pools[1:] for each in pool.backends)
        return any(each.name == name for each in (*self.backends, *others))
