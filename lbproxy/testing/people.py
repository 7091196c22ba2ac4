"""Who runs the balancer: changes weights by hand, and has other configs read."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.python.failure import Failure

from lbproxy.config import model
from lbproxy.config.model import Config
from lbproxy.testing import changes
from lbproxy.testing.changes import Change, Weights
from lbproxy.testing.reactor import SimReactor
from lbproxy.testing.reloads import Reload

#: Seconds in which what was done at an instant has been heard: in any order with what else is due.
MOMENT = 1e-6


class Surroundings(Protocol):
    """What the operator needs of the world."""

    reactor: SimReactor
    balancer: Any
    stopped: Any
    paused: float

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def happened(self, kind: str) -> None:
        """Count something that really happened."""

    def violation(self, what: str) -> None:
        """Something must not be."""


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
        self.weights = Weights(weights_of(config))
        self._world = world

    def change(self, change: Change) -> None:
        """Have somebody change what a backend gets."""
        if self._world.stopped is not None:
            return
        backends = self.config.pools[0].backends
        name = backends[change.backend % len(backends)].name
        self._world.tell(change.kind, name, change.weight, change.seconds)
        now, overrides = self._world.reactor.now, self._world.balancer.control.overrides
        made = changes.make(overrides, ("api", name), change)
        # What ends by itself in this very instant may have ended, or not yet.
        unclear = self.weights.ended(name, now - self._world.paused - MOMENT, now)
        if made is not self.weights.note(name, change, now) and not unclear:
            what = "something" if made else "nothing"
            self._world.violation(f"{name} is {change.kind}, which changes {what}")
        if made:
            self._world.happened(change.kind)

    def reload(self, reload: Reload) -> None:
        """Have another config read, and served."""
        if self._world.stopped is not None:
            return
        self._world.tell("reload", reload.kind)
        self._world.happened(reload.kind)
        if reload.config.pools[0].balancer != self.config.pools[0].balancer:
            self._world.happened("other_policy")
        self.config = reload.config
        self.weights.begin(weights_of(self.config), self._world.reactor.now)
        served = self._world.balancer.reloader.reload()
        served.addCallbacks(
            lambda _: self.weights.told(self._world.reactor.now),
            self._failed,
        )

    def _failed(self, failure: Failure) -> None:
        if self._world.stopped is None:  # Else the end has come in the middle of it.
            self._world.violation(f"a reload failed: {failure.getErrorMessage()}")

    def weight(self, backend: model.Backend, moment: float) -> int:
        """Which weight a backend of any pool has to have at a moment."""
        known = backend.name in self.weights.names
        return self.weights.at(backend.name, moment) if known else backend.weight

    def is_there(self, name: str) -> bool:
        """Whether the config has a backend of a name."""
        return any(each.name == name for pool in self.config.pools for each in pool.backends)


def weights_of(config: Config) -> dict[str, int]:
    """The weights of the first pool, by the names of its backends."""
    return {each.name: each.weight for each in config.pools[0].backends}
