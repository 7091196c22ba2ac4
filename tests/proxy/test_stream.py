"""A session in TCP mode, in memory: clients, backends and time are moved by the test."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.config import model
from lbproxy.health.alike import EACH
from lbproxy.health.said import NOTHING, Said
from lbproxy.preface.proxy_protocol import InetAddress, ProxyHeader, parse
from lbproxy.proxy.stream import Session
from lbproxy.transport.timer import RESOLUTION
from tests.preface.test_client_hello import hello, name, records
from tests.proxy.wires import BalancerCase, Wire

TCP = model.Listener("db", "tcp:0", mode="tcp", pool="api")


class HalfWire(Wire):
    """A connection each of whose sides closes by itself."""

    shut = False

    def loseWriteConnection(self) -> None:
        self.shut = True

    def end(self) -> None:
        """Close one side, from the other end."""
        self.protocol.readConnectionLost()


class SessionCase(BalancerCase):
    """Sessions instead of requests."""

    wire = HalfWire

    def start(self, *names: str, listener: model.Listener | None = TCP, **more: Any) -> None:
        super().start(*names, listener=listener, **more)

    def session(self, data: bytes = b"") -> Any:
        """A client that connects, and what it sends first."""
        wire = HalfWire(self.reactor, Session(self.site, self.listener))
        self.wires.append(wire)
        if data:
            wire.give(data)
        return wire

    def joined(self) -> tuple[Any, Any]:
        """A client and its backend."""
        client = self.session()
        return client, self.accept()

    def outcomes(self, line: int = -1) -> list[tuple[str, str, str | None]]:
        """The attempts of a session, as the log tells them."""
        attempts = self.log.lines[line]["attempts"]
        return [(each["backend"], each["outcome"], each.get("decision")) for each in attempts]


class SessionTests(SessionCase):
    def test_both_ways(self) -> None:
        """Bytes go both ways, those first that came while there was no backend."""
        self.start()
        client = self.session(b"early")
        self.assertEqual(client.producerState, "paused")
        backend: Any = self.accept()
        self.assertEqual((backend.take(), client.producerState), (b"early", "producing"))
        client.give(b"more")
        backend.give(b"answer")
        self.assertEqual((backend.take(), client.take()), (b"more", b"answer"))
        client.end()
        self.assertTrue(backend.shut)
        backend.give(b"last")
        self.assertFalse(client.disconnecting)
        backend.end()
        self.assertTrue(client.shut and client.disconnecting and backend.disconnecting)
        self.assertEqual(client.take(), b"last")
        self.reactor.advance(0)
        line = self.log.lines[0]
        self.assertEqual((line["kind"], line["reason"], line["pool"]), ("session", "ended", "api"))
        self.assertEqual((line["listener"], line["bytes_in"], line["bytes_out"]), ("db", 9, 10))
        self.assertEqual(self.outcomes(), [("a", "connected", None)])
        self.assert_nothing_left()

    def test_ended_early(self) -> None:
        """A client that has sent all and ended before there was a backend gets its answer."""
        self.start()
        client = self.session(b"question")
        client.end()
        backend: Any = self.accept()
        self.assertEqual((backend.take(), backend.shut), (b"question", True))
        backend.give(b"answer")
        backend.end()
        self.assertEqual(client.take(), b"answer")
        self.assert_nothing_left()

    def test_failover(self) -> None:
        """A connection that cannot be made goes elsewhere; what came early is kept."""
        self.start()
        client = self.session(b"early")
        self.refuse()
        self.assertEqual(self.dialled, ["b"])
        self.assertEqual(self.accept().take(), b"early")
        client.close()
        self.reactor.advance(0)
        expected = [("a", "connect_failed", "retry"), ("b", "connected", None)]
        self.assertEqual(self.outcomes(), expected)
        self.assert_nothing_left()

    def test_all_refuse(self) -> None:
        """With no backend the client is closed, and the log tells of each."""
        self.start()
        client = self.session()
        self.refuse()
        self.refuse()
        self.assertTrue(client.disconnecting)
        self.reactor.advance(0)
        self.assertEqual(self.log.lines[0]["reason"], "no_backend")
        self.assertEqual([each[2] for each in self.outcomes()], ["retry", "no_other_backend"])
        self.assert_nothing_left()

    def test_all_fail_alike(self) -> None:
        """When all have refused again and again, one attempt is enough to say so."""
        self.start()
        for _ in range(EACH):
            self.session()
            self.refuse()
            self.refuse()
        self.session()
        self.refuse()
        self.assertEqual(self.dialled, [])
        self.reactor.advance(0)
        self.assertEqual([each[2] for each in self.outcomes()], ["all_fail_alike"])
        self.assert_nothing_left()

    def test_attempts(self) -> None:
        """No more attempts than the pool allows."""
        self.start("a", "b", "c", retry=model.Retry(attempts=2))
        client = self.session()
        self.refuse()
        self.refuse()
        self.assertTrue(client.disconnecting)
        self.reactor.advance(0)
        self.assertEqual([each[2] for each in self.outcomes()], ["retry", "attempts_spent"])
        self.assert_nothing_left()

    def test_ejected(self) -> None:
        """A backend that fails again and again is left out, as in HTTP."""
        self.start()
        for _ in range(5):
            while "a" not in self.dialled:
                self.session()
                if self.dialled == ["b"]:
                    self.accept()
            self.refuse()
            self.accept()
        self.assertEqual(self.pool.backends[0].state.value, "ejected")
        self.assert_nothing_left()

    def test_client_gone_while_connecting(self) -> None:
        """A client that goes gives its attempt up."""
        self.start()
        client = self.session()
        client.reset()
        self.assertEqual(self.reactor.connectors[0].stoppedConnecting, True)
        self.assertEqual(self.log.lines[0]["reason"], "client_reset")
        self.reactor.tcpClients.clear()
        self.assert_nothing_left()

    def test_reset(self) -> None:
        """A reset of one side is one for the other, and said by its name."""
        self.start()
        for reason in ("client_reset", "backend_reset"):
            client, backend = self.joined()
            first, other = (client, backend) if reason == "client_reset" else (backend, client)
            first.reset()
            self.assertTrue(other.disconnected)
            self.reactor.advance(0)
            self.assertEqual(self.log.lines[-1]["reason"], reason)
        self.assert_nothing_left()

    def test_queue(self) -> None:
        """No more sessions at a backend than it may have; the next one waits for the end of one."""
        self.start("a", max_in_flight=1)
        client, _ = self.joined()
        waiting = self.session()
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), ([], 1))
        client.close()
        self.reactor.advance(0)
        self.assertEqual(self.dialled, ["a"])
        self.accept().give(b"hello")
        self.assertEqual(waiting.take(), b"hello")
        self.assert_nothing_left()

    def test_queue_wait(self) -> None:
        """Who has waited too long, or left, waits no more."""
        self.start("a", max_in_flight=1, queue=model.Queue(length=2, wait=1.0))
        self.joined()
        waiting, leaving = self.session(), self.session()
        full = self.session()
        self.assertTrue(full.disconnecting)
        self.reactor.advance(0.4)
        leaving.close()
        self.assertGreaterEqual(self.log.lines[-1]["seconds"]["queue"], 0.4)
        self.assertEqual(len(self.upstreams.waiting), 1)
        self.pass_time(1.5)
        self.assertTrue(waiting.disconnecting)
        reasons = [line["reason"] for line in self.log.lines]
        self.assertEqual(sorted(reasons), ["client_gone", "queue_full", "queue_full"])
        self.assert_nothing_left()

    def test_queue_fair(self) -> None:
        """A session that comes just when there is room goes behind those who wait for it."""
        self.start("a", max_in_flight=2)
        (backend,) = self.pool.backends
        self.pool.hear(backend, Said(capacity=1), self.reactor.seconds())
        self.joined()
        waiting = self.session(b"hello")
        self.pool.hear(backend, NOTHING, self.reactor.seconds())
        self.session()
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["a"], 1))
        self.assertEqual(self.accept().take(), b"hello")
        self.assertTrue(waiting.open)
        self.reactor.advance(0)
        self.assert_nothing_left()

    def test_idle(self) -> None:
        """A session in which no byte moves ends; any byte puts that off."""
        self.start(timeouts=model.UpstreamTimeouts(stream=8.0))
        client, backend = self.joined()
        for _ in range(4):
            self.pass_time(6.0)
            backend.give(b"x")
        self.assertFalse(client.disconnected)
        self.pass_time(8.0 * 1.25 + 4 * RESOLUTION)
        self.assertTrue(client.disconnected and backend.disconnected)
        self.reactor.advance(0)
        self.assertEqual(self.log.lines[0]["reason"], "idle_timeout")
        self.assert_nothing_left()

    def test_back_pressure(self) -> None:
        """A side that is behind has the other one not read."""
        self.start()
        client, backend = self.joined()
        for sink, source in ((client, backend), (backend, client)):
            sink.producer.pauseProducing()
            self.assertEqual(source.producerState, "paused")
            sink.producer.resumeProducing()
            self.assertEqual(source.producerState, "producing")
        self.assert_nothing_left()

    def test_drain(self) -> None:
        """What runs goes on while we stop, until it is told to end now."""
        self.start()
        client, backend = self.joined()
        drained = self.site.drain()
        client.give(b"still")
        self.assertEqual(backend.take(), b"still")
        self.assertNoResult(drained)
        self.site.abort()
        self.reactor.advance(0)
        self.successResultOf(drained)
        self.assertEqual(self.log.lines[0]["reason"], "stopped")
        self.assert_nothing_left()

    def test_send_proxy(self) -> None:
        """The backend is told who the client is, before anything else."""
        for version in ("v1", "v2"):
            self.start(send_proxy=version)
            client = self.session(b"early")
            data = self.accept().take()
            header = parse(data)
            assert header is not None
            self.assertEqual(data[header.size :], b"early")
            peer, host = client.getPeer(), client.getHost()
            source, destination = (InetAddress(each.host, each.port) for each in (peer, host))
            self.assertEqual(header, ProxyHeader(header.size, source, destination))
            self.assert_nothing_left()


BY_NAME = model.Listener("db", "tcp:0", mode="tcp")


class NameTests(SessionCase):
    def begin(self, listener: model.Listener = BY_NAME) -> None:
        """One route by SNI, to a pool that stands for it."""
        self.start(listener=listener, route=model.Route(sni="*.Example", pool="api"))

    def test_name(self) -> None:
        """The name decides, once it is there; the backend gets every byte of it."""
        self.begin()
        data = records(hello(name(b"db.example")), 20) + b"behind"
        client = self.session(data[:50])
        self.assertEqual(self.dialled, [])
        client.give(data[50:])
        self.assertEqual(self.accept().take(), data)
        client.close()
        self.reactor.advance(0)
        self.assertEqual(self.log.lines[0]["server_name"], "db.example")
        self.assert_nothing_left()

    def test_no_match(self) -> None:
        """Another name, none, or no TLS: closed, or to the listener's own pool."""
        others = (name(b"db.elsewhere"), name(b"example"), (51, b""))
        for data in (*[records(hello(each), 999) for each in others], b"SELECT 1"):
            self.begin()
            client = self.session(data)
            self.assertTrue(client.disconnecting)
            self.reactor.advance(0)
            self.assertEqual(self.log.lines[0]["reason"], "no_route")
            self.assert_nothing_left()
            self.begin(TCP)
            self.session(data)
            self.assertEqual(self.accept().take(), data)
            self.assert_nothing_left()

    def test_too_slow(self) -> None:
        """A name that does not come in time, and a client that goes before."""
        self.begin()
        client = self.session(b"\x16")
        self.pass_time(10.5)
        self.assertTrue(client.disconnecting)
        gone = self.session(b"\x16")
        gone.end()
        self.assertTrue(gone.disconnecting)
        self.reactor.advance(0)
        reasons = [line["reason"] for line in self.log.lines]
        self.assertEqual(reasons, ["head_timeout", "client_gone"])
        self.assert_nothing_left()

    def test_drain(self) -> None:
        """While we stop, nothing begins."""
        self.begin()
        client = self.session(b"\x16")
        drained = self.site.drain()
        self.assertTrue(client.disconnecting)
        self.reactor.advance(0)
        self.successResultOf(drained)
        self.assert_nothing_left()


class ReloadTests(SessionCase):
    """Sessions that began under another config than the present one."""

    def take(self, *listeners: model.Listener, pool: str | None = "api", **more: Any) -> None:
        """Serve these listeners, with the route by SNI to a pool, or without one."""
        routes = () if pool is None else (model.Route(sni="*.Example", pool=pool),)
        config = model.Config(listeners, routes)
        self.site.serve(config, {}, more.get("upstreams", {"api": self.upstreams}))

    def named(self, *listeners: model.Listener, **more: Any) -> Any:
        """A client whose name is known when another config is served."""
        self.start(
            listener=more.pop("before", BY_NAME), route=model.Route(sni="*.Example", pool="api")
        )
        data = records(hello(name(b"db.example")), 20)
        client = self.session(data[:50])
        self.take(*listeners, **more)
        client.give(data[50:])
        self.reactor.advance(0)
        return client

    def test_same(self) -> None:
        """What the name leads to is looked up when it is there."""
        self.named(BY_NAME)
        self.assertEqual(self.dialled, ["a"])
        self.assert_nothing_left()

    def test_gone(self) -> None:
        """A listener that is gone or speaks HTTP: there is no route by name."""
        web = model.Listener("web", "tcp:0")
        for listeners in ((), (web,), (model.Listener("db", "tcp:0"),)):
            client = self.named(*listeners)
            self.assertFalse(client.open)
            self.assertEqual(self.log.lines[0]["reason"], "no_route")
            self.assert_nothing_left()

    def test_renamed(self) -> None:
        """Who was accepted by a listener follows it to another name, or is of it till the end."""
        for known, endpoint in (("other", "tcp:0"), ("db", "tcp:1")):
            self.named(model.Listener(known, endpoint, mode="tcp"))
            self.assertEqual(self.dialled, ["a"])
            self.assert_nothing_left()

    def test_pool_gone(self) -> None:
        """The same if it is the pool: that of the route, or that of the listener."""
        for before, pool in ((BY_NAME, "api"), (TCP, None)):
            client = self.named(before, before=before, pool=pool, upstreams={})
            self.assertFalse(client.open)
            self.assertEqual(self.log.lines[0]["reason"], "no_route")
            self.assert_nothing_left()

    def test_announced_late(self) -> None:
        """One that was accepted before, and begins after its listener has gone."""
        self.start(listener=BY_NAME, route=model.Route(sni="*.Example", pool="api"))
        session = Session(self.site, self.listener)
        self.take()
        wire = HalfWire(self.reactor, session)
        self.wires.append(wire)
        self.reactor.advance(0)
        self.assertFalse(wire.open)
        self.assert_nothing_left()

    def test_drained_listener(self) -> None:
        """With its listener a session ends that has no backend yet; others go on to their end."""
        self.start(listener=BY_NAME, route=model.Route(sni="*.Example", pool="api"))
        data = records(hello(name(b"db.example")), 20)
        peeking, joined = self.session(data[:50]), self.session(data)
        backend = self.accept()
        self.site.drain_endpoint("tcp:1")
        self.assertTrue(peeking.open)
        self.site.drain_endpoint("tcp:0")
        self.reactor.advance(0)
        self.assertEqual((peeking.open, joined.open), (False, True))
        backend.give(b"on")
        self.assertEqual(joined.take(), b"on")
        self.assert_nothing_left()

    def test_backend_gone(self) -> None:
        """A session at a backend that has left goes on, and one that fails there goes elsewhere."""
        self.start()
        joined, waiting = self.session(), self.session()
        backend = self.accept()
        shape = self.pool.config
        config = attrs.evolve(shape, backends=(model.Backend("c", "c:80"),))
        self.upstreams.reconfigure(config, None, {}, self.reactor.seconds())
        backend.give(b"on")
        self.assertEqual(joined.take(), b"on")
        self.refuse()
        self.assertEqual(self.dialled, ["c"])
        self.accept().give(b"here")
        self.assertEqual(waiting.take(), b"here")
        self.assertEqual([backend.in_flight for backend in self.pool.backends], [1])
        self.assert_nothing_left()
