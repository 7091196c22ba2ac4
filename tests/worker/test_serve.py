"""A worker in memory, and what it tells its parent."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.standing import Standing, State
from lbproxy.config import model
from lbproxy.control.link import Duty, Load, Names, Whole, WorkerReport, share
from lbproxy.health.said import Said
from lbproxy.observe.metrics import BREAKERS, REQUESTS, Counts
from lbproxy.plugins import BalancerMaker
from lbproxy.worker import serve
from lbproxy.worker.serve import TICK, Worker
from tests.proxy.wires import OK, Reactor, Wire

UP = Standing(State.UP, "answered 200", 1000.0, 0.0, False, True, None, 1)
GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"


class Parent:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.counts = Counts()
        self.load = Load()
        self.counting: Deferred[Any] | None = None

    def ready(self, addresses: Mapping[str, str]) -> None:
        self.told.append("ready")

    def listening(self, addresses: Mapping[str, str]) -> None:
        self.told.append(("listening", dict(addresses)))

    def suspect(self, names: Names) -> None:
        self.told.append(("suspect", names))

    def outlier(self, names: Names) -> None:
        self.told.append(("outlier", names))

    def counted(self, counts: Counts, load: Load) -> Deferred[Any]:
        self.counts.add(counts)
        self.load = load
        self.told.append("counted")
        return self.counting or succeed(None)

    def leaving(self) -> None:
        self.told.append("leaving")


class WorkerCase(SynchronousTestCase):
    """A worker with two backends, on a network in memory."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.reactor.advance(1000.0)
        backends = model.Backend("a", "a:80"), model.Backend("b", "b:80")
        self.config = model.Config(
            (model.Listener("web", "tcp:3000"),),
            (model.Route("/", pool="api"),),
            (model.Pool("api", backends, slow_start=0.0),),
            access_log=None,
        )
        self.worker = Worker(self.reactor, Duty(self.config, started=900.0), random.Random(1))
        self.parent = Parent()
        self.worker.link = self.parent
        self.worker.privilegedStartService()
        self.worker.startService()
        self.worker.start()
        for name in "ab":
            self.worker.learn(("api", name), UP)
        self.worker.accept(frozenset({0}))

    def tearDown(self) -> None:
        self.worker.end()
        self.reactor.advance(0)
        self.successResultOf(self.worker.drained)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def client(self, data: bytes = b"") -> Wire:
        """A client that connects, and what it sends."""
        factory: Any = self.reactor.tcpServers[0][1]
        wire = Wire(self.reactor, factory.buildProtocol(None))
        wire.give(data)
        return wire

    def backend(self, answer: bytes | None = None) -> None:
        """The oldest connection that is being made stands, and brings an answer or its end."""
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        wire = Wire(self.reactor, factory.buildProtocol(None))
        if answer is None:
            wire.close()
        else:
            wire.give(answer)

    def health(self, client: Wire) -> tuple[bytes, dict[str, Any]]:
        """The status line and the report that a client gets."""
        client.take()
        client.give(GET.replace(b" / ", b" /health "))
        head, _, body = client.take().partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0], json.loads(body)


class WorkerTests(WorkerCase):
    def test_names(self) -> None:
        """A name is down until something else is told, and an address is not."""
        pool = self.config.pools[0]
        backends = (*pool.backends, model.Backend("c", "127.0.0.1:80"))
        config = attrs.evolve(self.config, pools=(attrs.evolve(pool, backends=backends),))
        worker = Worker(Reactor(), Duty(config, started=900.0), random.Random(1))
        states = [each.state for each in worker._upstreams["api"].pool.backends]
        self.assertEqual(states, [State.DOWN, State.DOWN, State.UNKNOWN])

    def test_counts(self) -> None:
        """What has ended is counted and told within a second, with what is under way."""
        client = self.client(GET)
        self.backend(OK)
        client.give(GET)
        self.reactor.advance(TICK)
        numbers = self.parent.counts.series[REQUESTS, "/", "api", "a", 2, "answered"]
        self.assertEqual(numbers[0], 1)
        self.assertEqual(self.parent.load, Load({("api", "b"): 1}, {"api": 0}, 1, {"api": ""}))

    def test_breaker(self) -> None:
        """How the breaker of a pool is, and how often it has opened, is told too."""
        pool = attrs.evolve(self.config.pools[0], breaker=model.Breaker(requests=1))
        self.worker.serve(attrs.evolve(self.config, pools=(pool,)), {})
        upstreams = self.worker._upstreams["api"]
        assert upstreams.breaker is not None
        admission = upstreams.breaker.admit(self.reactor.seconds())
        assert admission is not None
        admission.failed(self.reactor.seconds())
        self.reactor.advance(TICK)
        self.assertEqual(self.parent.load.breakers, {"api": "open"})
        self.assertEqual(self.parent.counts.series[BREAKERS, "api", None], [1])

    def test_parent_behind(self) -> None:
        """While the parent has not heard the last, nothing is told; it all goes with the next."""
        self.parent.counting = Deferred()
        self.reactor.advance(TICK)
        client = self.client()
        for _ in range(3):
            client.give(GET.replace(b" / ", b" /health "))
            self.reactor.advance(TICK)
        self.assertEqual(self.parent.told.count("counted"), 1)
        counting, self.parent.counting = self.parent.counting, None
        counting.callback(None)
        self.reactor.advance(TICK)
        numbers = self.parent.counts.series[REQUESTS, None, None, None, 2, "answered"]
        self.assertEqual(numbers[0], 3)

    def test_outlier(self) -> None:
        """Whoever fails too often is told, and is out when the parent has said so."""
        self.worker.learn(("api", "b"), UP)
        client = self.client()
        last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        post = GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
        while ("outlier", ("api", "a")) not in self.parent.told:
            client.give(post)
            name = self.reactor.tcpClients[0][0]
            self.backend(None if name == "a" else last)
        out = Standing(State.EJECTED, "", 1000.0, 1010.0, False, True, None, 1)
        self.worker.learn(("api", "a"), out)
        for _ in range(4):
            client.take()
            client.give(GET)
            self.assertEqual(self.reactor.tcpClients[0][0], "b")
            self.backend(last)

    def test_said(self) -> None:
        """A worker has its part of what a backend says that it can bear."""
        worker = Worker(self.reactor, Duty(self.config, workers=2), random.Random(1))
        worker.learn(("api", "a"), attrs.evolve(UP, said=Said(capacity=3)))
        backend = worker._upstreams["api"].pool.backends[0]
        self.assertEqual((backend.said, backend.limit), (Said(capacity=3), 2))

    def test_own_policy(self) -> None:
        """A user's policy that fails costs nobody an answer; the log says so once."""
        maker = BalancerMaker("mine", lambda config, chance: Mock(choose=Mock(side_effect=fault)))
        fault = RuntimeError("oops")
        self.patch(serve, "balancer_maker", {"mine": maker}.get)
        pool = attrs.evolve(self.config.pools[0], balancer="mine")
        config = attrs.evolve(self.config, pools=(pool,))
        self.worker.serve(config, {("api", name): UP for name in "ab"})
        last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        with capturedLogs() as logged:
            for answers in ((last,), (None, last)):  # A retry is a choice as well.
                client = self.client(GET)
                for answer in answers:
                    self.backend(answer)
                self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))
        (said,) = (formatEvent(event) for event in logged if event["log_level"].name == "error")
        self.assertIn("pools.api.balancer mine: choose raised RuntimeError: oops", said)

    def test_report(self) -> None:
        """The report is of the whole, as far as the worker was told."""
        reports = (WorkerReport(1, 17, "serving", 950.0, 0), WorkerReport(2, 18, "idle", 0.0, 3))
        self.worker.hear(Whole(reports, {("api", "a"): 4}))
        _, told = self.health(self.client())
        self.assertEqual([worker["pid"] for worker in told["workers"]], [17, 18])
        self.assertEqual(told["uptime"], 100.0)
        self.assertEqual([each["in_flight"] for each in told["pools"][0]["backends"]], [4, 0])

    def test_leave(self) -> None:
        """Asked by somebody else, it says so, and finishes; the balancer as a whole is well."""
        client = self.client(GET)
        watcher = self.client(b"GET")
        self.worker.leave()
        self.assertIn("leaving", self.parent.told)
        watcher.give(b" /health HTTP/1.1\r\nHost: shop\r\n\r\n")
        self.assertIn(b"200 OK", watcher.take())
        self.assertNoResult(self.worker.drained)
        self.backend(OK)
        self.assertIn(b"Connection: close", client.take())
        self.reactor.advance(0)
        self.assertEqual(self.parent.told[-1], "counted")
        self.assertEqual(len(self.parent.counts.series), 3)

    def test_other_config_while_leaving(self) -> None:
        """Who leaves takes another config for what still runs, and opens no listener for it."""
        client = self.client(GET)
        self.worker.leave()
        del self.parent.told[:]
        pool = self.config.pools[0]
        config = attrs.evolve(
            self.config,
            listeners=(*self.config.listeners, model.Listener("more", "tcp:3001")),
            pools=(attrs.evolve(pool, backends=pool.backends[1:]),),
        )
        mine, theirs = os.pipe()
        self.worker.serve(config, {("api", "b"): UP}, {"tcp:3001": [theirs]})
        self.assertEqual(os.read(mine, 1), b"")  # Its only other end is closed.
        os.close(mine)
        self.assertEqual((self.parent.told, len(self.reactor.tcpServers)), ([], 1))
        self.backend()
        self.assertEqual(self.reactor.tcpClients[0][0], "b")
        self.backend(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))

    def test_end(self) -> None:
        """What is cut before its time says so."""
        told: list[Any] = []
        self.patch(self.worker._site, "_write", lambda record, now: told.append(record))
        self.client(GET)
        self.worker.drain()
        self.worker.end()
        self.reactor.advance(0)
        details = [json.loads(record.line(1000.0))["detail"] for record in told]
        self.assertEqual(details, ["cut, since the balancer was told to end at once"])

    def test_drain(self) -> None:
        """Asked by its parent, it tells those who ask that the balancer ends."""
        self.client(GET)
        watcher = self.client(b"GET")
        self.worker.drain()
        self.worker.drain()
        watcher.give(b" /health HTTP/1.1\r\nHost: shop\r\n\r\n")
        self.assertIn(b"503 ", watcher.take())
        self.reactor.pump([1.0] * 31)
        self.assertTrue(self.worker.drained.called)


class ShareTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """Each of several has its part of what is limited, and nobody's is nothing."""
        backends = (model.Backend("a", "a:80"),)
        pools = (
            model.Pool("api", backends, max_in_flight=10, queue=model.Queue(length=1)),
            model.Pool("none", backends, queue=model.Queue(length=0)),
        )
        config = model.Config((), (), pools)
        first, second = share(config, 4).pools
        self.assertEqual((first.max_in_flight, first.queue.length), (3, 1))
        self.assertEqual((second.max_in_flight, second.queue.length), (64, 0))
        self.assertEqual(share(config, 1), config)
