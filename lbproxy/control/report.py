"""What `GET /health` says: the balancer's state, each backend's and each worker's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lbproxy import __version__
from lbproxy.balance.backend import moment
from lbproxy.balance.pool import Pool
from lbproxy.control.link import Names, WorkerReport
from lbproxy.health.breaker import REFUSE


def document(
    pools: Iterable[Pool],
    started: float,
    now: float,
    draining: bool,
    workers: Iterable[WorkerReport] = (),
    elsewhere: Mapping[Names, int] | None = None,
) -> dict[str, Any]:
    """The report, fit for JSON.

    Args:
        pools: As this process knows them.
        started: When the balancer started, in the clock's seconds.
        now: The present time.
        draining: Whether the balancer ends.
        workers: All of them.
        elsewhere: Attempts that are under way at backends in other processes.
    """
    reports = [pool.report(now) for pool in pools]
    for told in reports:
        for backend in told["backends"]:
            backend["in_flight"] += (elsewhere or {}).get((told["name"], backend["name"]), 0)
    impaired = any(
        told["fails_alike"] or told["breaker"] in REFUSE or backend["state"] != "up"
        for told in reports
        for backend in told["backends"]
    )
    return {
        "status": "draining" if draining else "degraded" if impaired else "ok",
        "version": __version__,
        "uptime": round(now - started, 3),
        "workers": [
            {
                "worker": worker.worker,
                "pid": worker.pid,
                "state": worker.state,
                "since": moment(worker.since),
                "restarts": worker.restarts,
            }
            for worker in workers
        ],
        "pools": reports,
    }


def health(document: dict[str, Any]) -> tuple[int, bytes]:
    """The answer's status and body.

    The status is 503 only while the balancer drains: then whoever stands before it should go
    elsewhere. Backends that are down do not make the balancer itself ill, and are in the document.
    """
    status = 503 if document["status"] == "draining" else 200
    return status, (json.dumps(document, indent=2) + "\n").encode()
