"""The metrics of what is so at present, beside those of what was counted."""

from __future__ import annotations

from lbproxy import __version__
from lbproxy.control.parent import Parent
from lbproxy.health.breaker import REFUSE
from lbproxy.observe.exposition import Family


def present(parent: Parent) -> list[Family]:
    """What is so now, of all workers together."""
    pools = parent.pools
    backends = [(pool.name, each) for pool in pools for each in pool.backends]
    loads = [[occupant.load for occupant in seat.occupants] for seat in parent.seats]
    reports = [seat.report() for seat in parent.seats]
    return [
        Family(
            "lbproxy_backend_up",
            "gauge",
            "Whether a backend takes requests: 1 or 0.",
            ("pool", "backend"),
            {(pool, each.name): int(each.available) for pool, each in backends},
        ),
        Family(
            "lbproxy_backend_weight",
            "gauge",
            "A backend's share of the requests in full health.",
            ("pool", "backend"),
            {(pool, each.name): each.weight for pool, each in backends},
        ),
        Family(
            "lbproxy_backend_draining",
            "gauge",
            "Whether a backend only finishes what it has: 1 or 0.",
            ("pool", "backend"),
            {(pool, each.name): int(each.draining) for pool, each in backends},
        ),
        Family(
            "lbproxy_fails_alike",
            "gauge",
            "Whether all backends of a pool fail alike: 1 or 0.",
            ("pool",),
            {(pool.name,): int(bool(parent.alike(pool))) for pool in parent.pools},
        ),
        Family(
            "lbproxy_breaker_open",
            "gauge",
            "Whether the breaker of a pool refuses requests in some worker: 1 or 0.",
            ("pool",),
            {(pool.name,): int(pool.breaker in REFUSE) for pool in pools if pool.breaker},
        ),
        Family(
            "lbproxy_in_flight",
            "gauge",
            "Attempts under way.",
            ("pool", "backend"),
            {(pool, each.name): each.in_flight for pool, each in backends},
        ),
        Family(
            "lbproxy_queue_length",
            "gauge",
            "Requests that wait for a backend with room.",
            ("pool",),
            {
                (pool.name,): sum(load.waiting.get(pool.name, 0) for each in loads for load in each)
                for pool in pools
            },
        ),
        Family(
            "lbproxy_clients",
            "gauge",
            "Open connections of clients.",
            ("worker",),
            {
                (report.worker,): sum(load.clients for load in each)
                for report, each in zip(reports, loads, strict=True)
            },
        ),
        Family(
            "lbproxy_worker_up",
            "gauge",
            "Whether a worker serves: 1 or 0.",
            ("worker",),
            {(report.worker,): int(report.state == "serving") for report in reports},
        ),
        Family(
            "lbproxy_worker_restarts_total",
            "counter",
            "Times that another process has taken a worker's place.",
            ("worker",),
            {(report.worker,): report.restarts for report in reports},
        ),
        Family(
            "lbproxy_draining",
            "gauge",
            "Whether the balancer finishes what runs, to end: 1 or 0.",
            (),
            {(): int(parent.draining)},
        ),
        Family(
            "lbproxy_start_time_seconds",
            "gauge",
            "When the balancer started, in seconds since 1970.",
            (),
            {(): parent.started},
        ),
        Family(
            "lbproxy_build_info",
            "gauge",
            "1, with what was built as labels.",
            ("version",),
            {(__version__,): 1},
        ),
    ]
