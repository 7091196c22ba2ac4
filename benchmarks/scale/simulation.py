"""A pool under load, without sockets and without waiting: what a policy does to latencies.

Requests come by a Poisson process that waits for nobody (open loop). A backend works at `SERVERS`
of them at once, as so many threads would, and queues the rest in order. Service times are
exponential, so that with one backend all is as Erlang's formula says (M/M/c), which a test checks.
The policies and the pool are those of the balancer, which only see the clock of the simulation.
"""

from __future__ import annotations

import random
import statistics
from bisect import bisect
from collections import deque
from heapq import heappop, heappush
from itertools import accumulate

import attrs

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for
from lbproxy.config import model

#: Requests that one backend works at at once, and seconds that one takes there on average.
SERVERS, SERVICE = 4, 0.02

#: A slow backend takes so many times as long, and one that is broken fails in this part of it.
SLOWNESS, BROKENNESS = 10.0, 0.05

#: Requests come at this part of the rate that the backends could serve if all were fast.
LOAD = 0.4

#: Requests in all, at least, and for each backend; the first tenth only fills the queues.
REQUESTS, EACH = 20000, 100

#: What is hashed: so many keys, the n-th of which comes in proportion to 1/n (Zipf's law).
KEYS = 20_000

#: Looks at what is in flight, within the time that is measured.
LOOKS = 100


@attrs.frozen
class Scenario:
    """What is simulated.

    Attributes:
        balancer: The policy's name.
        backends: How many there are.
        slow: How many of them are slow.
        broken: How many of the others fail whatever they are asked, and that fast.
        proxies: Balancers that share the load and know nothing of each other.
        load: The part of all that fast backends could serve.
    """

    balancer: str
    backends: int
    slow: int = 0
    broken: int = 0
    proxies: int = 1
    load: float = LOAD


@attrs.frozen
class Result:
    """What came of it.

    Attributes:
        p50: The median of the latencies, in seconds.
        p99: Their 99th percentile.
        imbalance: In flight at the fullest backend, in proportion to the mean of all; the mean of
            many looks.
        mean: The mean latency, in seconds.
        failed: The part of the requests that failed.
    """

    p50: float
    p99: float
    imbalance: float
    mean: float
    failed: float


class _Place:
    """A backend: some work, and the queue before it."""

    def __init__(self, mean: float, broken: bool) -> None:
        self.mean = mean
        self.broken = broken
        self.working = 0
        self.queue: deque[_Request] = deque()

    @property
    def load(self) -> int:
        """Requests that are here."""
        return self.working + len(self.queue)


@attrs.frozen(eq=False)
class _Request:
    came: float
    pool: Pool
    backend: Backend
    place: _Place


class Simulation:
    """One scenario, from the first request to the last answer."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Prepare.

        Args:
            scenario: What is simulated.
            seed: All chance is drawn from it.
        """
        # What comes, and how long it takes, hangs on no lots that a policy draws.
        self._chance, self._lots = random.Random(seed), random.Random(f"lots {seed}")
        backends = tuple(
            model.Backend(f"backend-{number}", f"10.0.0.1:{number + 1}")
            for number in range(scenario.backends)
        )
        # In flight without bound: a full pool would hide what a policy does.
        config = model.Pool(
            "api", backends, scenario.balancer, health=None, max_in_flight=1_000_000
        )
        self._pools = [
            Pool(config, balancer_for(config, self._lots), 0.0) for _ in range(scenario.proxies)
        ]
        well = scenario.backends - scenario.slow - scenario.broken
        self._places = [
            *(_Place(SERVICE * SLOWNESS, False) for _ in range(scenario.slow)),
            *(_Place(SERVICE * BROKENNESS, True) for _ in range(scenario.broken)),
            *(_Place(SERVICE, False) for _ in range(well)),
        ]
        self._place_of = {
            backend: place
            for pool in self._pools
            for backend, place in zip(pool.backends, self._places, strict=True)
        }
        self._rate = scenario.load * scenario.backends * SERVERS / SERVICE
        self._requests = max(REQUESTS, EACH * scenario.backends)
        self._ends: list[tuple[float, int, _Request]] = []
        self._begun = 0
        self._latencies: list[float] = []
        self._failed = 0
        self._counted_from = float("inf")
        self._weights = list(accumulate(1.0 / (rank + 1) for rank in range(KEYS)))

    def run(self) -> Result:
        """Let all requests come, and then all answers."""
        skipped = self._requests // 10
        between = max(1, (self._requests - skipped) // LOOKS)
        imbalances = []
        now = 0.0
        for number in range(self._requests):
            now += self._chance.expovariate(self._rate)
            self._until(now)
            if number == skipped:
                self._counted_from = now
            if number >= skipped and not number % between:
                loads = [place.load for place in self._places]
                if any(loads):
                    imbalances.append(max(loads) / statistics.fmean(loads))
            self._arrive(now)
        self._until(float("inf"))
        cuts = statistics.quantiles(self._latencies, n=100)
        return Result(
            p50=cuts[49],
            p99=cuts[98],
            imbalance=statistics.fmean(imbalances),
            mean=statistics.fmean(self._latencies),
            failed=self._failed / len(self._latencies),
        )

    def _arrive(self, now: float) -> None:
        pool = self._pools[int(self._chance.random() * len(self._pools))]
        key = None
        if pool.config.hash_key is not None:
            key = b"%d" % bisect(self._weights, self._lots.random() * self._weights[-1])
        backend = pool.choose(frozenset(), now, key)
        assert backend is not None
        pool.acquire(backend)
        request = _Request(now, pool, backend, self._place_of[backend])
        if request.place.working < SERVERS:
            self._begin(request, now)
        else:
            request.place.queue.append(request)

    def _begin(self, request: _Request, now: float) -> None:
        request.place.working += 1
        self._begun += 1  # No two requests are compared when they end at the same time.
        taken = self._chance.expovariate(1.0 / request.place.mean)
        heappush(self._ends, (now + taken, self._begun, request))

    def _until(self, now: float) -> None:
        """Let all end that end by then, and count those that came after the first tenth."""
        while self._ends and self._ends[0][0] <= now:
            ended, _, request = heappop(self._ends)
            place = request.place
            place.working -= 1
            if place.queue:
                self._begin(place.queue.popleft(), ended)
            latency = ended - request.came
            request.pool.release(request.backend)
            if request.pool.timed:
                request.pool.took(request.backend, latency, place.broken, ended)
            if request.came >= self._counted_from:
                self._latencies.append(latency)
                self._failed += place.broken


def simulate(scenario: Scenario, seed: int) -> Result:
    """What comes of a scenario."""
    return Simulation(scenario, seed).run()
