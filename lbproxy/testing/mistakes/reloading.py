"""Mistakes about another config for a balancer that runs."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config.model import Hold
from lbproxy.control.children import Child, Children
from lbproxy.control.overrides import Overrides
from lbproxy.control.parent import Parent
from lbproxy.control.reload import Reloader
from lbproxy.errors import ConfigError
from lbproxy.observe.metrics import Counts
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.worker.serve import Worker


@mutation
def a_reload_is_not_told(put: Put) -> None:
    put(Worker, "serve", nothing)


@mutation
def a_reload_cuts_what_runs(put: Put) -> None:
    right = Worker.serve

    def wrong(self: Any, *told: Any) -> None:
        right(self, *told)
        self._site.abort()

    put(Worker, "serve", wrong)


@mutation
def a_reload_forgets_who_is_drained(put: Put) -> None:
    def wrong(self: Any, known: Any) -> None:
        self._held.clear()

    put(Overrides, "keep", wrong)


@mutation
def counts_begin_anew_with_a_reload(put: Put) -> None:
    right = Parent.serve

    def wrong(self: Any, config: Any) -> Any:
        self.counts = Counts()
        return right(self, config)

    put(Parent, "serve", wrong)


@mutation
def only_the_first_worker_hears_of_a_reload(put: Put) -> None:
    right = Child.serve

    def wrong(self: Any, *told: Any) -> None:
        if self._name in ("1", "in reserve"):
            right(self, *told)

    put(Child, "serve", wrong)


@mutation
def a_new_worker_has_the_config_of_before(put: Put) -> None:
    right = Children.adopt

    def wrong(self: Any, config: Any) -> None:
        before = self._config
        reserve, self._reserve = self._reserve, None
        right(self, config)
        self._config, self._reserve = before, reserve

    put(Children, "adopt", wrong)


@mutation
def who_leaves_is_given_listeners(put: Put) -> None:
    right = Worker.serve

    def wrong(self: Any, *told: Any) -> None:
        begun, self._drain.begun = self._drain.begun, False
        try:
            right(self, *told)
        finally:
            self._drain.begun = begun

    put(Worker, "serve", wrong)


@mutation
def what_is_refused_stays_open(put: Put) -> None:
    put(Worker, "give_up", nothing)
    put(Children, "give_up", nothing)


@mutation
def what_is_refused_is_served_next(put: Put) -> None:
    right = Reloader._try

    async def wrong(self: Any) -> Any:
        read = self._read
        config = read()
        self._read = lambda: config
        try:
            return await right(self)
        except ConfigError:
            self.config = attrs.evolve(config, listeners=self.config.listeners)
            raise
        finally:
            self._read = read

    put(Reloader, "_try", wrong)


@mutation
def only_workers_make_policies(put: Put) -> None:
    def wrong(self: Any, config: Any, before: Any) -> Any:
        return {pool.name: RoundRobin() for pool in config.pools}

    put(Parent, "_policies", wrong)


@mutation
def a_refused_reload_is_judged_by(put: Put) -> None:
    right = Parent.check

    def wrong(self: Any, config: Any) -> None:
        try:
            right(self, config)
        except ConfigError:
            self.config = config
            raise

    put(Parent, "check", wrong)


@mutation
def a_reload_forgets_for_how_long_is_held(put: Put) -> None:
    right = WaitingRoom.reconfigure

    def wrong(self: Any, pool: Any) -> None:
        right(self, pool)
        self._hold = Hold(60.0, self._hold.requests)

    put(WaitingRoom, "reconfigure", wrong)


@mutation
def hedges_of_before_are_made_on(put: Put) -> None:
    right = Upstreams.reconfigure

    def wrong(self: Any, config: Any, *more: Any) -> None:
        hedging = self.hedging
        right(self, config, *more)
        if hedging is not None:
            hedging.budget.share = 1.0
            self.hedging, self.wary = hedging, True

    put(Upstreams, "reconfigure", wrong)
