"""The admin listener's pages."""

from __future__ import annotations

import json
import random
from typing import Any
from unittest import mock

import attrs
from prometheus_client.parser import text_string_to_metric_families
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from lbproxy import __version__
from lbproxy.config import model
from lbproxy.control.pages import Pages
from lbproxy.control.parent import PATIENCE, Parent
from lbproxy.errors import AmbiguousBackend
from tests.control.staff import Staff, Supervisor


class PagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.staff = Staff()
        self.staff.start()
        self.treq: Any = StubTreq(
            Pages(self.staff.parent, self.staff.reloader.reload).app.resource()
        )

    def tell(self, path: str, **said: Any) -> tuple[int, dict[str, Any]]:
        """The status and the document of an answer to what ann posts."""
        said = {key.rstrip("_"): value for key, value in said.items()}
        response: Any = self.successResultOf(
            self.treq.post(f"http://x{path}", json={"author": "ann", **said})
        )
        return response.code, self.successResultOf(response.json())

    def status(self) -> dict[str, Any]:
        """The status document."""
        code, body = self.ask("/status")
        self.assertEqual(code, 200)
        document: dict[str, Any] = json.loads(body)
        return document

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        """The status and the body of an answer."""
        response: Any = self.successResultOf(self.treq.request(method, f"http://x{path}"))
        return response.code, self.successResultOf(response.text())

    def test_reload(self) -> None:
        """The plan that was carried out, once all workers have heard of it."""
        (pool,) = self.staff.written.pools
        changed = attrs.evolve(pool, slow_start=0.0)
        self.staff.written = attrs.evolve(self.staff.written, pools=(changed,))
        with capturedLogs() as logged:
            told = self.tell("/reload", reason="faster")
        plan = [
            "~ pools.api.slow_start: 10.0 -> 0.0",
            "= 1 listener, 0 pools, 2 backends, 1 route unchanged",
        ]
        self.assertEqual(told, (200, {"config": None, "plan": plan, "complete": True}))
        self.assertEqual([len(hand.configs) for hand in self.staff.hands], [1, 1])
        lines = [formatEvent(event) for event in logged]
        self.assertEqual(lines[0], "reload: asked for by ann: faster")

    def test_reload_refused(self) -> None:
        """What is wrong with it, and that nothing has changed."""
        self.staff.mistakes = "lb.toml:1: wokers: unknown key"
        status, told = self.tell("/reload")
        self.assertEqual((status, told["reason"]), (409, "reload_refused"))
        self.assertIn(self.staff.mistakes, told["detail"])
        self.assertEqual([hand.configs for hand in self.staff.hands], [[], []])

    def test_reload_asked_wrongly(self) -> None:
        """It is asked for by somebody, and is not about one backend."""
        for said, detail in (
            ({"author": ""}, "author: "),
            ({"backend": "a"}, "backend: unknown key; known are author, reason"),
        ):
            status, told = self.tell("/reload", **said)
            self.assertEqual(status, 400)
            self.assertTrue(told["detail"].startswith(detail), told)
        self.assertEqual(self.ask("/reload")[0], 405)
        self.assertEqual([hand.configs for hand in self.staff.hands], [[], []])

    def test_reload_hung_worker(self) -> None:
        """A worker that does not tell is not waited for without end, and that is said."""
        self.staff.hands[1].counting = Deferred()
        asking = self.treq.post("http://x/reload", json={"author": "ann"})
        self.staff.clock.advance(PATIENCE)
        self.treq.flush()
        response: Any = self.successResultOf(asking)
        self.assertIs(self.successResultOf(response.json())["complete"], False)

    def test_broken(self) -> None:
        """A mistake of ours is told as one, so that nobody takes us for another program."""
        with mock.patch.object(self.staff.reloader, "_read", side_effect=KeyError("web")):
            status, told = self.tell("/reload")
        self.assertEqual((status, told["reason"]), (500, "broken"))
        self.assertEqual(told["detail"], "'web'; the balancer's log has more")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

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
        self.staff.hands[0].occupant.outlier(("api", "b"))
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
            ("lbproxy_backend_weight", "api", "a"): 1,
            ("lbproxy_backend_draining", "api", "a"): 0,
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

    def test_status(self) -> None:
        """All that is known of listeners, workers and backends."""
        told = self.status()
        self.assertEqual((told["status"], told["complete"]), ("ok", True))
        self.assertEqual(
            told["listeners"],
            [{"name": "web", "mode": "http", "endpoint": "tcp:0", "address": "http://x/"}],
        )
        self.assertEqual([worker["state"] for worker in told["workers"]], ["serving"] * 2)
        (pool,) = told["pools"]
        self.assertEqual((pool["name"], pool["probed"]), ("api", True))
        first = pool["backends"][0]
        self.assertEqual(first["in_flight"], 2)
        self.assertEqual((first["weight"], first["configured_weight"]), (1, 1))
        self.assertEqual(
            (first["available"], first["draining"], first["drain"]), (True, False, None)
        )

    def test_hung_worker(self) -> None:
        """A worker that does not tell what it has under way is not waited for, but noted."""
        self.staff.hands[1].counting = Deferred()
        asked = self.treq.get("http://x/status")
        self.staff.clock.advance(PATIENCE)
        self.treq.flush()
        told = self.successResultOf(self.successResultOf(asked).json())
        self.assertIs(told["complete"], False)

    def test_drain(self) -> None:
        """A drain reaches all workers, and the newcomer; it says who, why and until when."""
        code, told = self.tell("/drain", backend="a", reason="deploy", for_=60)
        self.assertEqual((code, told["changed"], told["complete"]), (200, True, True))
        drain = told["backend"]["drain"]
        self.assertEqual((told["backend"]["weight"], told["backend"]["draining"]), (0, True))
        self.assertEqual((drain["author"], drain["reason"]), ("ann", "deploy"))
        self.assertEqual(drain["until"], "1970-01-01T00:01:00.000+00:00")
        self.assertEqual(self.status()["pools"][0]["backends"][0], told["backend"])
        self.assertEqual([hand.weights for hand in self.staff.hands], [[0, 1]] * 2)
        self.staff.hands[0].occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        self.staff.hands[2].occupant.ready({})
        self.assertEqual(self.staff.hands[2].weights, [0, 1])
        self.staff.clock.advance(60.0)
        self.assertEqual(self.staff.hands[2].weights, [1, 1])
        self.assertIs(self.status()["pools"][0]["backends"][0]["starting"], True)
        self.staff.clock.advance(10.0)
        self.assertIs(self.status()["pools"][0]["backends"][0]["starting"], False)

    def test_undrain(self) -> None:
        """A drain is ended once."""
        self.tell("/drain", backend="a")
        code, told = self.tell("/undrain", backend="a", pool="api")
        self.assertEqual((code, told["changed"], told["backend"]["weight"]), (200, True, 1))
        self.assertIs(self.tell("/undrain", backend="a")[1]["changed"], False)

    def test_weight(self) -> None:
        """Another weight; that of the config again; and 0, which is a drain."""
        _, told = self.tell("/weight", backend="a", weight=7, reason="canary")
        self.assertEqual((told["backend"]["weight"], told["backend"]["configured_weight"]), (7, 1))
        self.assertEqual(told["backend"]["override"]["reason"], "canary")
        self.assertEqual(self.staff.hands[1].weights, [7, 1])
        _, told = self.tell("/weight", backend="a", weight=0)
        self.assertEqual(
            (told["backend"]["weight"], told["backend"]["drain"]["author"]), (0, "ann")
        )
        self.tell("/undrain", backend="a")
        _, told = self.tell("/weight", backend="a", weight=None)
        self.assertEqual((told["changed"], told["backend"]["weight"]), (True, 1))
        self.assertIs(self.tell("/weight", backend="a", weight=None)[1]["changed"], False)

    def stand_for(self, *members: model.Backend) -> None:
        """Have the name of the first backend stand for these."""
        self.staff.members["a"] = members
        self.staff.reloader.refresh()
        self.staff.answer(**{member.name: True for member in members})

    def test_members(self) -> None:
        """A name in the config is all of its members, and each tells whose change holds for it."""
        one, two = (model.Backend(f"a@10.0.0.{number}:1", f"10.0.0.{number}:1") for number in "56")
        self.stand_for(one, two)
        code, told = self.tell("/drain", backend=one.name)
        self.assertEqual((code, told["backend"]["drain"]["backend"]), (200, one.name))
        self.assertEqual(told["backends"], [told["backend"]])
        code, told = self.tell("/drain", backend="a", reason="deploy")
        self.assertEqual(
            (code, told["pool"], told["name"], told["changed"]), (200, "api", "a", True)
        )
        self.assertNotIn("backend", told)
        self.assertEqual([each["name"] for each in told["backends"]], [one.name, two.name])
        self.assertEqual([each["drain"]["backend"] for each in told["backends"]], [one.name, "a"])
        self.assertEqual([each["configured_name"] for each in told["backends"]], ["a", "a"])
        self.assertEqual(self.status()["pools"][0]["backends"][:2], told["backends"])
        _, told = self.tell("/undrain", backend=two.name)
        self.assertEqual((told["changed"], told["backend"]["draining"]), (False, True))
        _, told = self.tell("/undrain", backend="a")
        draining = [each["draining"] for each in told["backends"]]
        self.assertEqual((told["changed"], draining), (True, [True, False]))
        _, told = self.tell("/weight", backend="a", weight=3)
        self.assertEqual([each["weight"] for each in told["backends"]], [0, 3])
        self.assertEqual(told["backends"][1]["override"]["backend"], "a")

    def test_member_unknown(self) -> None:
        """Of a member that there is not the others are told."""
        self.stand_for(model.Backend("a@10.0.0.5:1", "10.0.0.5:1"))
        code, told = self.tell("/drain", backend="a@10.0.0.6:1")
        detail = 'there is no backend "a@10.0.0.6:1"; there are a@10.0.0.5:1'
        self.assertEqual((code, told["detail"]), (404, detail))

    def test_unknown(self) -> None:
        """A backend or a pool that there is not."""
        for said, reason, detail in (
            ({"backend": "c"}, "unknown_backend", 'there is no backend "c"; there are a, b'),
            (
                {"backend": "a", "pool": "x"},
                "unknown_backend",
                'there is no pool "x"; there are api',
            ),
            (
                {"backend": "c", "pool": "api"},
                "unknown_backend",
                'there is no backend "c" in pool "api"; there are a, b',
            ),
        ):
            code, told = self.tell("/drain", **said)
            self.assertEqual((code, told["reason"], told["detail"]), (404, reason, detail))

    def test_restart(self) -> None:
        """A supervised backend is started anew, and the answer waits for that."""
        code, told = self.tell("/restart", backend="a")
        self.assertEqual((code, told["reason"]), (409, "not_possible"))
        self.stand_for(*(model.Backend(f"a@h:{port}", f"h:{port}") for port in (1, 2)))
        started: list[tuple[str, Deferred[None]]] = []

        def restart(backend: model.Backend) -> Deferred[None]:
            started.append((backend.name, Deferred()))
            return started[-1][1]

        staff = self.staff
        treq: Any = StubTreq(
            Pages(staff.parent, staff.reloader.reload, Supervisor(restart)).app.resource()
        )
        asked = treq.post("http://x/restart", json={"backend": "a", "author": "ann"})
        refused = self.successResultOf(self.successResultOf(asked).json())
        self.assertEqual(refused["detail"], '"a" is 2 backends, one at a time: a@h:1, a@h:2')
        asked = treq.post("http://x/restart", json={"backend": "b", "author": "ann"})
        ((name, ended),) = started
        self.assertEqual(name, "b")
        self.assertNoResult(asked)
        ended.callback(None)
        treq.flush()
        self.assertEqual(self.successResultOf(asked).code, 200)

    def test_others(self) -> None:
        """There is nothing else, and that is told in JSON too."""
        for path, method, code in (
            ("/", "GET", 404),
            ("/drain/", "POST", 404),
            ("/metrics", "POST", 405),
            ("/drain", "GET", 405),
        ):
            status, body = self.ask(path, method)
            self.assertEqual((status, json.loads(body)["status"]), (code, code), path)


class AmbiguousTests(SynchronousTestCase):
    def test_two_pools(self) -> None:
        """Where two pools have a backend of one name, the pool must be told."""
        staff = Staff()
        pools = [attrs.evolve(staff.parent.config.pools[0], name=name) for name in ("x", "y")]
        config = attrs.evolve(staff.parent.config, pools=tuple(pools), workers=1)
        parent = Parent(
            staff.clock, config, staff.check_of, random.Random(1), staff, lambda: staff.known
        )
        error = self.assertRaises(AmbiguousBackend, parent.find, "a")
        self.assertEqual(str(error), '"a" is in the pools x, y; say which')
        self.assertEqual(parent.find("a", "y")[0].name, "y")
