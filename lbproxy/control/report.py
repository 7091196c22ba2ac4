"""What `GET /health` says: the balancer's state and each backend's."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lbproxy import __version__
from lbproxy.balance.pool import Pool


def health(pools: Iterable[Pool], started: float, now: float, draining: bool) -> tuple[int, bytes]:
    """The status and the JSON document.

    The status is 503 only while the balancer drains: then whoever stands before it should go
    elsewhere. Backends that are down do not make the balancer itself ill, and are in the document.
    """
    reports = [pool.report(now) for pool in pools]
    impaired = any(backend["state"] != "up" for report in reports for backend in report["backends"])
    document = {
        "status": "draining" if draining else "degraded" if impaired else "ok",
        "version": __version__,
        "uptime": round(now - started, 3),
        "pools": reports,
    }
    return 503 if draining else 200, (json.dumps(document, indent=2) + "\n").encode()
