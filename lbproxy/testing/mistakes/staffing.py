"""Mistakes about several workers: what each is told, what it tells, and who takes its place."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.control.children import Children
from lbproxy.control.link import share
from lbproxy.control.parent import Parent
from lbproxy.control.seat import Seat
from lbproxy.observe.metrics import Counts, Metrics
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.worker.serve import Worker


@mutation
def only_the_first_worker_is_told(put: Put) -> None:
    def wrong(self: Any, names: Any, standing: Any) -> None:
        for occupant in list(self._occupants())[:1]:
            occupant.worker.learn(names, standing)

    put(Parent, "_tell", wrong)


@mutation
def a_new_worker_is_told_nothing(put: Put) -> None:
    put(Parent, "welcome", nothing)


@mutation
def nobody_looks_after_workers_that_hang(put: Put) -> None:
    put(Seat, "look", nothing)


@mutation
def nobody_takes_the_place_of_the_killed(put: Put) -> None:
    right = Seat.exited

    def wrong(self: Any, occupant: Any, how: str) -> None:
        if "signal" in how:
            self.occupant = None
        else:
            right(self, occupant, how)

    put(Seat, "exited", wrong)


@mutation
def the_queue_of_the_killed_is_forgotten(put: Put) -> None:
    right = Parent._share_queues

    def wrong(self: Any) -> None:
        if all(seat.occupant and seat.occupant.serving for seat in self.seats):
            right(self)

    put(Parent, "_share_queues", wrong)


@mutation
def who_leaves_cuts_what_runs(put: Put) -> None:
    right = Worker.leave

    def wrong(self: Any) -> None:
        right(self)
        self._site.abort()

    put(Worker, "leave", wrong)


@mutation
def counts_are_told_again(put: Put) -> None:
    def wrong(self: Any) -> Counts:
        self._count()
        return Counts({key: list(numbers) for key, numbers in self._counts.series.items()})

    put(Metrics, "take", wrong)


@mutation
def the_last_counts_are_not_told(put: Put) -> None:
    right = Worker._close

    async def wrong(self: Any) -> None:
        self._metrics.take()
        await right(self)

    put(Worker, "_close", wrong)


@mutation
def each_worker_has_the_whole_limit(put: Put) -> None:
    def wrong(self: Any, config: Any) -> Any:
        limits = [pool.max_in_flight for pool in config.pools]
        shared = share(config, config.workers)
        pools = [
            attrs.evolve(pool, max_in_flight=limit)
            for pool, limit in zip(shared.pools, limits, strict=True)
        ]
        return attrs.evolve(shared, pools=tuple(pools))

    put(Children, "share", wrong)
