"""The admin listener's pages."""

from __future__ import annotations

import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from treq.testing import StubTreq
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from lbproxy import __version__
from lbproxy.config import model
from lbproxy.control.admin import AdminService
from lbproxy.control.pages import Pages
from tests.control.staff import Staff


class PagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.staff = Staff()
        self.staff.start()
        self.treq: Any = StubTreq(Pages(self.staff.parent).app.resource())

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        """The status and the body of an answer."""
        response: Any = self.successResultOf(self.treq.request(method, f"http://x{path}"))
        return response.code, self.successResultOf(response.text())

    def test_health(self) -> None:
        """The report has all workers."""
        status, body = self.ask("/health")
        document = json.loads(body)
        self.assertEqual((status, document["status"]), (200, "ok"))
        self.assertEqual([worker["pid"] for worker in document["workers"]], [1000, 1001])
        self.staff.parent.drain()
        self.assertEqual(self.ask("/health")[0], 503)

    def test_metrics(self) -> None:
        """What all workers have counted until now, and what is so at present, is there."""
        self.staff.hands[0].occupant.outlier(0, 1)
        status, body = self.ask("/metrics")
        self.assertEqual(status, 200)
        read = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }
        for key, value in {
            ("lbproxy_requests_total", "/", "api", "a", "2xx", "answered"): 2,
            ("lbproxy_backend_up", "api", "a"): 1,
            ("lbproxy_backend_up", "api", "b"): 0,
            ("lbproxy_ejections_total", "api", "b"): 1,
            ("lbproxy_in_flight", "api", "a"): 2,
            ("lbproxy_queue_length", "api"): 4,
            ("lbproxy_clients", "1"): 3,
            ("lbproxy_worker_up", "2"): 1,
            ("lbproxy_worker_restarts_total", "1"): 0,
            ("lbproxy_draining",): 0,
            ("lbproxy_build_info", __version__): 1,
        }.items():
            self.assertEqual(read[key], value, key)

    def test_others(self) -> None:
        """There is nothing else."""
        self.assertEqual(self.ask("/")[0], 404)
        self.assertEqual(self.ask("/metrics", "POST")[0], 405)


class AdminServiceTests(SynchronousTestCase):
    def test_life(self) -> None:
        """It binds early, on loopback, and closes its port at the end."""
        reactor = MemoryReactor()
        service = AdminService(reactor, model.Admin(), Pages(Staff().parent))
        service.privilegedStartService()
        ((port, _, _, interface),) = reactor.tcpServers
        self.assertEqual((port, interface), (3900, "127.0.0.1"))
        service.startService()
        self.successResultOf(service.stopService())
        self.successResultOf(service.stopService())
