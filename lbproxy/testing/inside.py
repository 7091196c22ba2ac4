"""What is looked at inside a balancer: the one place that knows its private names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.config.model import Config
from lbproxy.forward.retry import PROCESS_LIMIT
from lbproxy.health.breaker import Breaker
from lbproxy.observe.accesslog import Record
from lbproxy.service import Balancer


class Inside:
    """A balancer, opened.

    Attributes:
        workers: Those that it has: its one, or those that have come to be watched.
    """

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        alone: Any = getattr(balancer._workers, "_worker", None)
        self.workers: list[Any] = [] if alone is None else [alone]

    @property
    def judged(self) -> list[Pool]:
        """The pools of the parent."""
        return self._balancer.control.pools

    @property
    def accepting(self) -> bool:
        """Whether clients are accepted: each backend has its first verdict."""
        return self._balancer.control._accepting

    @property
    def serving(self) -> int:
        """How many workers serve."""
        seats = self._balancer.control.seats
        return sum(seat.state == "serving" for seat in seats)

    def who_serves(self) -> Iterator[Any]:
        """The workers that serve, and are not about to."""
        for seat in self._balancer.control.seats:
            if seat.state == "serving" and seat.occupant is not None:
                worker: Any = seat.occupant.worker
                yield worker if worker in self.workers else worker._process.worker

    def on_record(self, take: Callable[[Any, float], None], worker: Any = None) -> None:
        """Have `take` get what the access log of a worker would get; by default of the one."""
        site = (worker or self.workers[0])._site
        site._write = take

    def on_turn(self, told: Callable[[Backend], None], probed: Callable[[Backend], None]) -> None:
        """Be told when a backend's state changes, and of each probe, after the parent was."""
        for pool in self.judged:
            turn, probe = pool.on_turn, pool.on_probe
            assert turn is not None and probe is not None

            def turned(backend: Backend, detail: str, turn: Any = turn) -> None:
                turn(backend, detail)
                told(backend)

            def ended(backend: Backend, probe: Any = probe) -> None:
                probe(backend)
                probed(backend)

            pool.on_turn, pool.on_probe = turned, ended

    def on_serve(self, told: Callable[[Config], None]) -> None:
        """Be told of each config that is served in the place of another one, just before it is."""
        control: Any = self._balancer.control

        def serve(config: Config, right: Any = control.serve) -> Any:
            told(config)
            return right(config)

        control.serve = serve

    def members(self) -> Iterator[set[str]]:
        """The names of the first pool's backends, as the parent has them, and each worker."""
        yield {backend.name for backend in self.judged[0].backends}
        for worker in self.workers:
            pool = worker._upstreams[self.judged[0].name].pool
            yield {backend.name for backend in pool.backends}

    def on_staff(self, told: Callable[[], None]) -> None:
        """Be told when the state of a worker has changed, after the parent was."""
        for seat in self._balancer.control.seats:

            def moved(right: Any = seat._core.moved) -> None:
                right()
                told()

            seat._core.moved = moved

    def on_hold(self, told: Callable[[int], None], worker: Any = None) -> None:
        """Be told how many a worker holds, whenever one more is."""
        for upstreams in (worker or self.workers[0])._upstreams.values():
            room = upstreams.waiting

            def hold(*arguments: Any, room: Any = room, right: Any = room.hold) -> Any:
                waiter = right(*arguments)
                told(len(room.held))
                return waiter

            room.hold = hold

    def on_breaker(self, told: Callable[[Breaker], None], worker: Any = None) -> None:
        """Be told when the state of the breaker of a worker's first pool has changed."""
        upstreams = (worker or self.workers[0])._upstreams[self.judged[0].name]

        def turned(*what: Any, right: Any = upstreams._breaker_turned) -> None:
            right(*what)
            told(upstreams.breaker)

        upstreams._breaker_turned = turned
        if upstreams.breaker is not None:
            upstreams.breaker.on_turn = turned

    def refused_until(self) -> float:
        """When the last breaker lets somebody through again, if one is open now."""
        open_ones = [
            upstreams.breaker.until
            for worker in self.workers
            for upstreams in worker._upstreams.values()
            if upstreams.breaker is not None
        ]
        return max(open_ones, default=0.0)

    def on_acquire(self, told: Callable[[Backend], None], worker: Any = None) -> None:
        """Be told of each attempt that a worker begins, after its pool was."""
        for upstreams in (worker or self.workers[0])._upstreams.values():
            pool = upstreams.pool

            def acquire(backend: Backend, right: Any = pool.acquire) -> None:
                right(backend)
                told(backend)

            pool.acquire = acquire

    def held(self) -> Iterator[int]:
        """Bytes that wait to be sent, at each connection."""
        for worker in self.workers:
            for timed in worker._timer._timed:
                transport = getattr(timed, "transport", None)
                if transport is not None:
                    yield transport.queued

    def busy(self) -> Iterator[str]:
        """What is held although no client is there."""
        for worker in self.workers:
            yield from _busy(worker)

    def left(self) -> Iterator[str]:
        """What is still watched or kept after the end."""
        for worker in self.workers:
            yield from left_by(worker)


def pools_of(worker: Any) -> list[Any]:
    """The pools at work in a worker."""
    return list(worker._upstreams.values())


def policy_of(pool: Any) -> Any:
    """What chooses among the backends of a pool, and hears how attempts end."""
    return pool._balancer


def site_of(worker: Any) -> Any:
    """What gives each request of a worker to whom it is for."""
    return worker._site


def line_of(room: Any) -> list[Any]:
    """Those who wait for room, the first one first."""
    return list(room._waiters)


def lets_go_soon(upstreams: Any) -> bool:
    """Whether those who wait are let go in this turn, as far as there is room."""
    return upstreams._soon is not None


def _busy(worker: Any) -> Iterator[str]:
    site = worker._site
    if site.clients:
        yield f"{site.clients} clients"
    if site.replay_memory.free != PROCESS_LIMIT:
        yield f"{PROCESS_LIMIT - site.replay_memory.free} bytes kept for retries"
    for upstreams in worker._upstreams.values():
        for backend in upstreams.pool.backends:
            if backend.in_flight:
                yield f"{backend.in_flight} in flight at {backend.name}"
        if upstreams.waiting:
            yield f"{len(upstreams.waiting)} in the queue"


def left_by(worker: Any) -> Iterator[str]:
    """What a worker still watches or keeps at its end."""
    yield from _busy(worker)
    for timed in worker._timer._timed:
        yield f"a deadline of {type(timed).__name__}"
    for upstreams in worker._upstreams.values():
        for backend, connections in upstreams.connections.items():
            if connections._idle:
                yield f"{len(connections._idle)} idle connections to {backend.name}"


def number_of(record: Any) -> int | None:
    """Which request of a plan an access log's record is of, if of one."""
    if not isinstance(record, Record):
        return None
    _, found, rest = record.asked.partition('"target":"/r/')
    return int(rest.partition('"')[0]) if found else None
