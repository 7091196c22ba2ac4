"""What `GET /health` says."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from lbproxy import __version__
from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import model
from lbproxy.control import report
from lbproxy.health.outcome import ProbeOutcome


class HealthTests(SynchronousTestCase):
    def setUp(self) -> None:
        backends = model.Backend("a", "h:1"), model.Backend("b", "h:2")
        self.pool = Pool(model.Pool("api", backends), RoundRobin(), 100.0)

    def ask(self, *, draining: bool = False) -> tuple[int, dict[str, Any]]:
        """The status and the document at the second 110."""
        status, body = report.health(report.document([self.pool], 100.0, 110.0, draining))
        return status, json.loads(body)

    def probe(self, place: int, passed: bool) -> None:
        outcome = ProbeOutcome(passed, 0.01, "answered", True, 105.0)
        self.pool.probed(self.pool.backends[place], outcome, 105.0)

    def test_states(self) -> None:
        """All up is `ok`; one that is not makes it `degraded`, and the balancer is not ill."""
        self.probe(0, True)
        self.probe(1, True)
        status, document = self.ask()
        self.assertEqual((status, document["status"]), (200, "ok"))
        self.assertEqual((document["version"], document["uptime"]), (__version__, 10.0))
        for _ in range(3):
            self.probe(1, False)
        status, document = self.ask()
        self.assertEqual((status, document["status"]), (200, "degraded"))
        states = [backend["state"] for backend in document["pools"][0]["backends"]]
        self.assertEqual(states, ["up", "down"])

    def test_draining(self) -> None:
        """While it ends, whoever stands before it should go elsewhere."""
        status, document = self.ask(draining=True)
        self.assertEqual((status, document["status"]), (503, "draining"))
