"""A pool's connections, queue and budget, when it takes another config."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.balance.balancer import Balancer
from lbproxy.balance.peak_ewma import PeakEwma
from lbproxy.balance.registry import balancer_for
from lbproxy.config import model
from lbproxy.health.said import NOTHING, Said
from tests.proxy.wires import OK, BalancerCase, Wire

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
BEGIN = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin"


class UpstreamsCase(BalancerCase):
    def take(
        self, *names: str, backend: Any = None, policy: Balancer | None = None, **pool: Any
    ) -> None:
        """Take another config.

        Args:
            names: The backends; those that there are by default.
            backend: More of the keys of each.
            policy: Another one, if it is to be.
            pool: More of the pool's keys.
        """
        shape = self.pool.config
        known = {each.name: each for each in shape.backends}
        backends = [
            known.get(name) or model.Backend(name, f"{name}:80", server="klein")
            for name in names or known
        ]
        changed = tuple(attrs.evolve(each, **(backend or {})) for each in backends)
        config = attrs.evolve(shape, backends=changed, **pool)
        self.upstreams.reconfigure(config, policy, {}, self.reactor.seconds())
        self.reactor.advance(0)

    def kept(self) -> list[Wire]:
        """A kept-alive connection to each backend, in order, with no client left."""
        clients = [self.client(GET) for _ in self.pool.backends]
        wires = [self.accept() for _ in clients]
        for wire in wires:
            wire.take()
            wire.give(OK)
        for client in clients:
            client.close()
        return wires

    def assert_status(self, client: Wire, status: bytes) -> bytes:
        """The client has got an answer of this status, and no other one."""
        answer = client.take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
        self.assertEqual(answer.count(b"HTTP/1.1"), 1)
        return answer


class ConnectionTests(UpstreamsCase):
    def test_unchanged(self) -> None:
        """What matters for a connection has not changed: it is used again."""
        cases: Any = (
            ({}, {}),
            ({"weight": 5, "backup": True}, {}),
            ({}, {"max_in_flight": 3, "retry": model.Retry(1), "slow_start": 0.0}),
        )
        for backend, pool in cases:
            self.start("a")
            (wire,) = self.kept()
            self.take(backend=backend, **pool)
            self.client(GET)
            self.assertEqual(self.dialled, [])
            self.assertIn(b"GET /", wire.take())
            wire.give(OK)
            self.assert_nothing_left()

    def test_changed(self) -> None:
        """It has: the connection is closed, and the next one is made in the new way."""
        cases: Any = (
            ({"server": None, "keep_alive": 9.0}, {}),
            ({}, {"timeouts": model.UpstreamTimeouts(read=1.0)}),
        )
        for backend, pool in cases:
            self.start("a")
            (wire,) = self.kept()
            self.take(backend=backend, **pool)
            self.assertFalse(wire.open)
            self.client(GET)
            self.assertEqual(self.dialled, ["a"])
            self.accept().give(OK)
            self.assert_nothing_left()

    def test_timeouts(self) -> None:
        """An answer that comes already has the time that it had; the next has the new one."""
        self.start("a")
        first = self.client(GET)
        slow = self.accept()
        slow.give(BEGIN)
        self.take(timeouts=model.UpstreamTimeouts(read=2.0))
        self.pass_time(5.0)
        slow.give(b" end")
        self.assertTrue(self.assert_status(first, b"200").endswith(b"begin end"))
        second = self.client(GET)
        self.accept().give(BEGIN)
        self.pass_time(5.0)
        self.assertFalse(second.open)
        self.assert_nothing_left()

    def test_gone(self) -> None:
        """Those of who has left are closed, those of who stays are not."""
        self.start("a", "b")
        wires = self.kept()
        self.take("a", "c")
        self.assertEqual([wire.open for wire in wires], [True, False])
        self.assertEqual(
            [each.name for each in self.upstreams.connections],
            [each.name for each in self.pool.backends],
        )
        self.assert_nothing_left()

    def test_gone_in_use(self) -> None:
        """Who has left finishes what it has; then its connection is closed."""
        self.start("a", "b")
        client = self.client(GET)
        wire = self.accept()
        self.take("b")
        wire.give(OK)
        self.assert_status(client, b"200")
        self.reactor.advance(0)
        self.assertFalse(wire.open)
        client.give(GET)
        self.assertEqual(self.dialled, ["b"])
        self.accept().give(OK)
        self.assert_nothing_left()

    def test_gone_announces(self) -> None:
        """What it announces of kept-alive connections then is of no use."""
        self.start("a", "b", backend={})
        client = self.client(GET)
        wire = self.accept()
        self.take("b")
        wire.give(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=60\r\n\r\n"))
        self.assert_status(client, b"200")
        self.reactor.advance(0)
        self.assertFalse(wire.open)
        self.assert_nothing_left()

    def test_goes_elsewhere(self) -> None:
        """If it breaks instead, the request goes to who is there now."""
        self.start("a", "b")
        client = self.client(GET)
        wire = self.accept()
        self.take("c")
        wire.close()
        self.assertEqual(self.dialled, ["c"])
        self.accept().give(OK)
        self.assert_status(client, b"200")
        self.assert_nothing_left()

    def test_drained(self) -> None:
        """Who is drained keeps no connections under another config either."""
        self.start("a", "b")
        client = self.client(GET)
        wire = self.accept()
        self.pool.weigh(self.pool.backends[0], 0, self.reactor.seconds())
        self.take(timeouts=model.UpstreamTimeouts(read=1.0))
        wire.give(OK)
        self.assert_status(client, b"200")
        self.reactor.advance(0)
        self.assertFalse(wire.open)
        self.assertEqual(self.upstreams.connections[self.pool.backends[0]]._idle_limit, 0.0)

    def test_policy(self) -> None:
        """A policy that asks for times hears them from the next attempt on."""
        self.start("a", "b")
        first = self.client(GET)
        wire = self.accept()
        shape = attrs.evolve(self.pool.config, balancer="peak_ewma")
        policy = balancer_for(shape, self.site._chance)
        assert isinstance(policy, PeakEwma)
        self.take(balancer="peak_ewma", policy=policy)
        self.reactor.advance(0.5)
        wire.give(OK)
        self.assert_status(first, b"200")
        known = policy.latency(self.pool.backends[0], self.reactor.seconds())
        self.assertAlmostEqual(known, 0.5)
        self.assert_nothing_left()


class QueueTests(UpstreamsCase):
    def full(self, **pool: Any) -> tuple[Wire, Wire]:
        """A client whose request is at the one backend, and one that waits."""
        self.start("a", max_in_flight=1, **pool)
        return self.client(GET), self.client(GET)

    def test_joined(self) -> None:
        """Who waits goes to a backend that joins."""
        _, second = self.full()
        self.assertEqual(len(self.upstreams.waiting), 1)
        self.take("a", "b")
        self.assertEqual(self.dialled, ["a", "b"])
        self.accept()
        self.accept().give(OK)
        self.assert_status(second, b"200")
        self.assert_nothing_left()

    def test_more(self) -> None:
        """Or to the one that may have more than before; as many as there is room for."""
        self.full()
        for _ in range(3):
            self.client(GET)
        self.take(max_in_flight=3)
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["a"] * 3, 2))
        self.assert_nothing_left()

    def test_not_more(self) -> None:
        """A config that makes no room lets nobody go."""
        self.full()
        self.take(retry=model.Retry(1))
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["a"], 1))
        self.assert_nothing_left()

    def test_gone(self) -> None:
        """The end of what a backend has that has left makes no room at another one."""
        self.start("a", "b", max_in_flight=1)
        clients = [self.client(GET) for _ in range(3)]
        first, second = self.accept(), self.accept()
        self.take("b")
        first.give(OK)
        self.assert_status(clients[0], b"200")
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), ([], 1))
        second.give(OK)
        self.assertIn(b"GET /", second.take())
        second.give(OK)
        self.assert_status(clients[2], b"200")
        self.assert_nothing_left()

    def test_nobody(self) -> None:
        """If all that there are now are drained, who waits is told so."""
        _, second = self.full()
        self.take("b", backend={"weight": 0})
        self.assertIn(b"drained", self.assert_status(second, b"503"))
        self.assert_nothing_left()

    def test_shorter(self) -> None:
        """Whoever waits does so no longer than the new time, counted from now."""
        _, second = self.full(queue=model.Queue(wait=60.0))
        self.pass_time(5.0)
        self.take(queue=model.Queue(wait=2.0))
        third = self.client(GET)
        self.pass_time(1.0)
        self.assertEqual((second.take(), third.take()), (b"", b""))
        self.pass_time(1.5)
        for client in (second, third):
            self.assertIn(b"within 2.0 s", self.assert_status(client, b"503"))
        self.assert_nothing_left()

    def test_longer(self) -> None:
        """A longer time is for those who come from now on."""
        _, second = self.full(queue=model.Queue(wait=2.0))
        self.take(queue=model.Queue(wait=60.0))
        third = self.client(GET)
        self.pass_time(2.5)
        self.assert_status(second, b"503")
        self.pass_time(20.0)
        self.assertEqual(third.take(), b"")
        self.assert_nothing_left()

    def test_length(self) -> None:
        """Another length is for those who come from now on."""
        _, second = self.full(queue=model.Queue(length=2))
        self.take(queue=model.Queue(length=1))
        self.assert_status(self.client(GET), b"503")
        self.assertEqual((second.take(), len(self.upstreams.waiting)), (b"", 1))
        self.assert_nothing_left()

    def test_said(self) -> None:
        """Who waits goes to a backend that says that it can do more than it said before."""
        self.start("a", max_in_flight=3)
        (backend,) = self.pool.backends
        self.pool.hear(backend, Said(capacity=1), self.reactor.seconds())
        for _ in range(4):
            self.client(GET)
        self.assertEqual(self.dialled, ["a"])
        self.pool.hear(backend, NOTHING, self.reactor.seconds())
        self.reactor.advance(0)
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["a"] * 3, 1))
        self.assert_nothing_left()

    def test_fair(self) -> None:
        """Who comes just when there is room goes behind those who wait for it."""
        self.start("a", max_in_flight=2)
        (backend,) = self.pool.backends
        self.pool.hear(backend, Said(capacity=1), self.reactor.seconds())
        self.client(GET)
        second = self.client(GET)
        self.pool.hear(backend, NOTHING, self.reactor.seconds())
        third = self.client(GET)
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["a"] * 2, 1))
        self.accept()
        self.accept().give(OK)
        self.assert_status(second, b"200")
        self.wires[-1].give(OK)
        self.assert_status(third, b"200")
        self.assert_nothing_left()

    def test_let_back(self) -> None:
        """So does one whose choice would let a backend back whose time out is over."""
        self.start("a", "b", max_in_flight=1)
        self.pool.eject(self.pool.backends[1], self.reactor.seconds())
        clients = [self.client(GET) for _ in range(2)]
        self.reactor.advance(self.pool.backends[1].ejection.until - self.reactor.seconds())
        clients.append(self.client(GET))
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["a", "b"], 1))
        self.accept()
        self.accept().give(OK)
        self.assert_status(clients[1], b"200")
        self.assert_nothing_left()

    def test_takes_no_room(self) -> None:
        """Room goes to the next one if the first is only told that nobody is left for him."""
        self.start("a", "b", max_in_flight=1)
        clients = [self.client(GET), self.client(GET)]
        self.accept()
        self.refuse()  # At b, so the second one waits for a, which is then drained.
        clients += [self.client(GET), self.client(GET)]
        self.pool.weigh(self.pool.backends[0], 0, self.reactor.seconds())
        self.assertEqual((self.dialled, len(self.upstreams.waiting)), (["b"], 2))
        self.accept().give(OK)
        self.assert_status(clients[1], b"503")
        self.assert_status(clients[2], b"200")
        self.wires[-1].give(OK)
        self.assert_status(clients[3], b"200")
        self.assert_nothing_left()

    def test_left(self) -> None:
        """Who leaves while it waits has waited, as the log says."""
        _, second = self.full()
        self.pass_time(2.0)
        second.close()
        self.assertEqual(self.log.lines[0]["reason"], "client_gone")
        self.assertGreaterEqual(self.log.lines[0]["seconds"]["queue"], 2.0)
        self.assertNotIn("held", self.log.lines[0]["seconds"])
        self.assert_nothing_left()

    def test_closed(self) -> None:
        """Of a pool that is gone nothing is watched once the last who waited is refused."""
        _, second = self.full(queue=model.Queue(wait=2.0))
        first = self.accept()
        self.upstreams.close()
        self.assertIn(self.upstreams.waiting, self.timer._timed)
        self.pass_time(2.5)
        self.assert_status(second, b"503")
        self.assertNotIn(self.upstreams.waiting, self.timer._timed)
        first.give(OK)
        self.reactor.advance(0)
        self.assertFalse(first.open)
        for wire in self.wires:
            wire.close()
        self.assertEqual(set(self.timer._timed), set())

    def test_closed_empty(self) -> None:
        """If nobody waits, that is at once."""
        self.start("a")
        self.kept()
        self.upstreams.close()
        self.reactor.advance(0)
        self.assertEqual(set(self.timer._timed), set())

    def test_closed_serves(self) -> None:
        """Whoever waits at a pool that is gone is served by it when there is room."""
        first, second = self.full()
        wire = self.accept()
        self.upstreams.close()
        wire.give(OK)
        self.assert_status(first, b"200")
        self.assertEqual(self.dialled, ["a"])
        self.accept().give(OK)
        self.assert_status(second, b"200")
        self.assertNotIn(self.upstreams.waiting, self.timer._timed)


class LimitTests(UpstreamsCase):
    def test_budget(self) -> None:
        """Another budget counts what was asked before."""
        self.start("a", "b", retry=model.Retry(budget=1.0))
        budget, now = self.upstreams.budget, self.reactor.seconds()
        for _ in range(100):
            budget.request(now)
            self.assertTrue(budget.spend(now))
        self.take(retry=model.Retry(budget=0.1))
        self.assertIs(self.upstreams.budget, budget)
        self.assertFalse(budget.spend(now))

    def test_hold(self) -> None:
        """Holding is turned on for those who come from now on."""
        self.start("a")
        self.pool.backends[0].reached = False
        self.client(GET)
        self.refuse()
        self.take(hold_when_down=model.Hold(5.0))
        held = self.client(GET)
        self.refuse()
        self.assertEqual((held.take(), len(self.upstreams.waiting)), (b"", 1))
        self.pass_time(5.5)
        self.assertIn(b"hold_expired", self.assert_status(held, b"503"))
        self.assert_nothing_left()

    def test_hold_off(self) -> None:
        """Who is held when it is turned off is held until his time is over, or somebody is back."""
        self.start("a", hold_when_down=model.Hold(5.0))
        self.client(GET)
        self.refuse()
        self.assertEqual(len(self.upstreams.waiting), 1)
        self.take(hold_when_down=None)
        self.assertEqual(len(self.upstreams.waiting), 1)
        self.take("b", hold_when_down=None)
        self.assertEqual(self.dialled, ["b"])
        self.accept().give(OK)
        self.assert_status(self.wires[0], b"200")
        self.assertEqual((self.upstreams.can_hold, self.upstreams.wary), (False, True))
        self.client(GET)
        self.assertFalse(self.upstreams.wary)
        self.assert_nothing_left()


class HedgeTests(UpstreamsCase):
    HEDGE = model.Hedge(after=0.2, budget=1.0)

    def hedged(self) -> tuple[Wire, Wire, Wire]:
        """A client, its first backend, and the second that was asked as well."""
        self.start("a", "b", hedge=self.HEDGE)
        client = self.client(GET)
        first = self.accept()
        self.reactor.advance(0.2)
        return client, first, self.accept()

    def test_off_first_wins(self) -> None:
        """Turned off while one runs: the first answer ends it, and the client gets no other one."""
        client, first, second = self.hedged()
        self.take(hedge=None)
        first.give(OK)
        self.reactor.advance(0)
        self.assertFalse(second.open)
        self.assert_status(client, b"200")
        self.assert_nothing_left()

    def test_off_hedge_wins(self) -> None:
        """The same if the second backend is faster."""
        client, first, second = self.hedged()
        self.take(hedge=None)
        second.give(OK)
        self.assert_status(client, b"200")
        self.reactor.advance(0)
        self.assertFalse(first.open)
        self.assert_nothing_left()

    def test_off(self) -> None:
        """Then nothing is hedged any more, and no request is looked at for it."""
        self.start("a", "b", hedge=self.HEDGE)
        self.client(GET)
        self.accept()
        self.take(hedge=None)
        self.reactor.advance(1.0)
        self.assertEqual(self.dialled, [])
        self.assertFalse(self.upstreams.wary)
        self.assert_nothing_left()

    def test_off_after(self) -> None:
        """However a hedge has ended, requests are not looked at for ever after."""
        for ending in ("first", "hedge", "first breaks", "hedge breaks", "client goes"):
            client, first, second = self.hedged()
            self.take(hedge=None)
            self.assertTrue(self.upstreams.wary, ending)
            if ending == "client goes":
                client.close()
            elif ending.endswith("breaks"):
                broken, other = (first, second) if ending == "first breaks" else (second, first)
                broken.reset()
                other.give(OK)
            else:
                (first if ending == "first" else second).give(OK)
            self.assertEqual(self.upstreams.hedges, 0, ending)
            self.client(GET)
            self.assertFalse(self.upstreams.wary, ending)
            self.assert_nothing_left()

    def test_on(self) -> None:
        """Turned on, it holds for the requests that come from now on."""
        self.start("a", "b")
        self.client(GET)
        self.accept()
        self.take(hedge=self.HEDGE)
        self.client(GET)
        self.accept()
        self.reactor.advance(0.2)
        self.assertEqual(self.dialled, ["a"])
        self.assert_nothing_left()

    def test_kept(self) -> None:
        """What has been measured stays if it is not changed, and begins anew if it is."""
        self.start("a", "b", hedge=self.HEDGE)
        before = self.upstreams.hedging
        self.take(max_in_flight=3)
        self.assertIs(self.upstreams.hedging, before)
        self.take(hedge=model.Hedge(after=0.5, budget=1.0))
        self.assertIsNot(self.upstreams.hedging, before)
        self.assert_nothing_left()
