"""Requests where much fails: all alike, the request's own fault, nobody there, or late."""

from __future__ import annotations

from typing import Any

from lbproxy.config import model
from lbproxy.forward.percentile import BETWEEN
from lbproxy.forward.poison import REFUSED
from lbproxy.health.alike import EACH
from lbproxy.proxy.upstreams import LOOK
from tests.proxy.wires import OK, BalancerCase, Wire

HOST = b"Host: shop\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi"
IDENTITY = '"method":"GET","host":"shop","target":"/","version":"1.1" []'
CLOSING = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class FailureCase(BalancerCase):
    """A balancer, and what its log says."""

    def said(self, place: int = -1) -> list[tuple[str, str, str]]:
        """Backend, outcome and decision of each attempt of an exchange."""
        attempts: list[dict[str, Any]] = self.log.lines[place]["attempts"]
        return [(each["backend"], each["outcome"], each.get("decision", "")) for each in attempts]

    def assert_status(self, client: Wire, status: bytes) -> bytes:
        """The client has got an answer of this status."""
        answer = client.take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
        return answer


class AlikeTests(FailureCase):
    def test_refused(self) -> None:
        """When all refuse, one attempt is enough, and nobody is put out until one is back."""
        self.start()
        for _ in range(EACH):
            self.client(GET)
            self.refuse()
            self.refuse()
        client = self.client(GET)
        self.refuse()
        self.assertEqual(self.dialled, [])
        self.assert_status(client, b"503")
        self.assertEqual(self.said(), [("b", "connect_failed", "all_fail_alike")])
        self.assertEqual([each.state.value for each in self.pool.backends], ["up", "up"])
        self.client(GET)
        self.accept().give(CLOSING)
        self.client(GET)
        self.refuse()
        self.assertEqual(self.dialled, ["a"])
        self.refuse()
        self.assertEqual([each.state.value for each in self.pool.backends], ["up", "ejected"])
        self.assert_nothing_left()

    def test_gateway_status(self) -> None:
        """Where all answer 503 the client gets that answer, not one of ours after a second one."""
        self.start(route=model.Route("/", pool="api", retry_on=frozenset({503})))
        for _ in range(EACH):
            client = self.client(GET)
            self.accept().give(BUSY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            self.accept().give(BUSY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            self.assert_status(client, b"503")
        client = self.client(GET)
        self.accept().give(BUSY)
        self.assertEqual(self.dialled, [])
        self.assertNotIn(b"problem", self.assert_status(client, b"503"))
        self.assertEqual(self.said(), [("b", "answered", "all_fail_alike")])

    def test_no_budget(self) -> None:
        """With no budget left for a retry, the answer that is there is given."""
        route = model.Route("/", pool="api", retry_on=frozenset({503}))
        self.start(route=route, retry=model.Retry(budget=0.0))
        for _ in range(30):
            self.upstreams.budget.spend(self.reactor.seconds())
        client = self.client(GET)
        self.accept().give(BUSY)
        self.assertNotIn(b"problem", self.assert_status(client, b"503"))


class PoisonTests(FailureCase):
    def test_third_time(self) -> None:
        """A request that broke two backends is not sent to the third, then refused for a while."""
        self.start("a", "b", "c")
        client = self.client(GET)
        self.accept().close()
        self.accept().reset()
        self.assertEqual(self.dialled, [])
        self.assertIn(b"poison_request", self.assert_status(client, b"503"))
        self.assertEqual(
            self.said(), [("a", "upstream_closed", "retry"), ("b", "upstream_closed", "poison")]
        )
        again = self.client(GET)
        self.assertIn(b"\r\nRetry-After: 30\r\n", self.assert_status(again, b"503"))
        self.assertEqual(self.log.lines[-1]["reason"], "poison_request")
        other = self.client(GET.replace(b"/ ", b"/other "))
        self.accept().give(OK)
        self.assert_status(other, b"200")
        self.pass_time(REFUSED)
        again = self.client(GET)
        self.accept().give(OK)
        self.assert_status(again, b"200")
        self.assertFalse(self.upstreams.wary)
        self.assert_nothing_left()

    def test_kept_alive(self) -> None:
        """A break on a kept-alive connection, which looks like a race, counts with the next one."""
        self.start("a", "b", "c")
        for _ in self.pool.backends:
            self.client(GET.replace(b"/ ", b"/other "))
            self.accept().give(OK)
        client = self.client(GET)
        self.wires[1].close()
        self.assertEqual(self.dialled, ["b"])
        self.accept().close()
        self.assertEqual(self.dialled, [])
        self.assertIn(b"poison_request", self.assert_status(client, b"503"))
        self.assertEqual(
            self.said(),
            [
                ("a", "reused_connection_closed", "retry_free"),
                ("b", "upstream_closed", "poison"),
            ],
        )

    def test_client_that_retries(self) -> None:
        """One that must not be sent twice breaks one at a time, and is stopped all the same."""
        self.start("a", "b", "c")
        for reason in ("upstream_closed", "poison_request", "poison_request"):
            self.client(POST)
            if self.dialled:
                self.accept().close()
            self.assertEqual(self.log.lines[-1]["reason"], reason)
        self.assertEqual(self.dialled, [])

    def test_answered(self) -> None:
        """What all ask for is under way whenever a backend dies: its good answers speak for it."""
        self.start("a", "b", "c")
        for victim in "abc":
            while True:
                client, asked = self.client(GET), self.dialled[0]
                wire = self.accept()
                if asked == victim:
                    wire.close()
                    wire = self.accept()
                wire.give(CLOSING)
                self.assert_status(client, b"200")
                if asked == victim:
                    break
            self.assertEqual(self.said()[0], (victim, "upstream_closed", "retry"))
        self.client(GET)
        self.accept().give(CLOSING)
        self.assertFalse(self.upstreams.wary)
        self.assert_nothing_left()

    def test_gateway(self) -> None:
        """An answer that no backend could be reached speaks for nobody."""
        self.start("a", "b", "c")
        for answer in (b"", BUSY, b""):
            self.client(POST)
            wire = self.accept()
            wire.give(answer) if answer else wire.close()
        self.assertEqual(self.log.lines[-1]["reason"], "poison_request")

    def test_not_the_third(self) -> None:
        """One that is not found to be to blame goes to no third backend all the same."""
        self.start("a", "b", "c")
        client = self.client(GET)
        self.accept().close()
        other = self.client(GET)
        second = self.accept()
        self.accept().give(OK)
        self.assert_status(other, b"200")
        second.close()
        self.assertEqual(self.dialled, [])
        self.assertIn(b"upstream_closed", self.assert_status(client, b"502"))
        self.assertEqual([each[2] for each in self.said()], ["retry", "two_broke"])
        again = self.client(GET)
        self.accept().give(OK)
        self.assert_status(again, b"200")

    def test_silence(self) -> None:
        """A backend that says nothing is not broken."""
        self.start("a", "b", "c")
        self.client(GET)
        for _ in range(2):
            self.accept()
            self.pass_time(30.0)
        self.assertEqual([each[2] for each in self.said()] if self.log.lines else [], [])
        self.assertEqual(self.dialled, ["c"])


class HoldTests(FailureCase):
    def down(self, seconds: float = 10.0, requests: int = 3, **pool: Any) -> None:
        """Start with backends of which nobody accepts."""
        self.start(hold_when_down=model.Hold(seconds, requests), **pool)
        for backend in self.pool.backends:
            backend.reached = False

    def back(self, place: int = 0) -> None:
        """A backend accepts again, as its probe says."""
        backend = self.pool.backends[place]
        self.pool._reach(backend, True, self.reactor.seconds())
        self.reactor.advance(0)

    def hold(self, request: bytes = GET) -> Wire:
        """A client whose request finds that both refuse."""
        client = self.client(request)
        while self.dialled:
            self.refuse()
        return client

    def test_goes_on(self) -> None:
        """While all refuse, any request waits; when one is back it goes there, and only there."""
        self.down(slow_start=0.0)
        clients = [self.hold(), self.hold(POST)]
        self.assertEqual(len(self.upstreams.waiting.held), 2)
        self.pass_time(3.0)
        self.back()
        self.assertEqual(self.dialled, ["a", "a"])
        for client in clients:
            self.accept().give(OK)
            self.assert_status(client, b"200")
        self.assertEqual(
            self.said(0),
            [
                ("a", "connect_failed", "retry"),
                ("b", "connect_failed", "hold"),
                ("a", "answered", ""),
            ],
        )
        self.assertGreaterEqual(self.log.lines[0]["seconds"]["held"], 3.0)
        self.client(GET)
        self.assertFalse(self.upstreams.wary)
        self.assert_nothing_left()

    def test_attempts(self) -> None:
        """What was sent before it was held counts; what found nobody does not."""
        self.start(hold_when_down=model.Hold(10.0, 3), retry=model.Retry(2), slow_start=0.0)
        client = self.client(GET)
        self.accept()
        self.pass_time(30.0)
        now = self.reactor.seconds()
        self.pool._reach(self.pool.backends[0], False, now)
        self.refuse()
        self.assertEqual(len(self.upstreams.waiting.held), 1)
        self.pool._reach(self.pool.backends[0], True, now)
        self.back(1)
        self.accept()
        self.pass_time(30.0)
        self.assertEqual(self.dialled, [])
        self.assert_status(client, b"504")
        self.assertEqual([each[2] for each in self.said()], ["retry", "hold", "attempts_spent"])
        self.assert_nothing_left()

    def test_in_order(self) -> None:
        """Who comes while others are held waits behind them, without an attempt."""
        self.down(max_in_flight=1)
        first = self.hold()
        second = self.client(GET)
        self.assertEqual((self.dialled, len(self.upstreams.waiting.held)), ([], 2))
        self.back()
        third = self.client(GET)
        for client in (first, second, third):
            self.assertEqual(self.dialled[:1] or ["a"], ["a"])
            at = self.accept() if self.dialled else self.wires[-1]
            at.give(OK)
            self.assert_status(client, b"200")
            self.assertTrue(at.open)
        self.assertEqual(self.said(1), [("a", "answered", "")])
        self.assert_nothing_left()

    def test_no_herd(self) -> None:
        """A backend that has just come back gets a tenth of its limit, and more as time passes."""
        self.down(requests=100, max_in_flight=20, slow_start=10.0)
        for _ in range(30):
            self.hold()
        self.back()
        self.assertEqual(self.dialled, ["a"] * 2)
        self.reactor.pump([LOOK] * 51)
        self.assertEqual(len(self.dialled), 11)
        self.reactor.pump([LOOK] * 30)
        self.assertEqual(len(self.upstreams.waiting.held), 14)

    def test_too_long(self) -> None:
        """Nobody waits for longer than that; who comes too soon for its backend waits on."""
        self.down(slow_start=0.0)
        client = self.hold()
        self.pass_time(6.0)
        self.back()
        self.refuse()
        self.assertEqual(len(self.upstreams.waiting.held), 1)
        self.pass_time(2.0)
        self.assertEqual(client.take(), b"")
        self.pass_time(2.0)
        answer = self.assert_status(client, b"503")
        self.assertIn(b"pools.api.hold_when_down.seconds", answer)
        self.assertEqual(self.log.lines[-1]["reason"], "hold_expired")
        self.assert_nothing_left()

    def test_too_late(self) -> None:
        """Who is let go behind his time, which nobody has seen yet, does not wait again."""
        self.down(seconds=0.2, slow_start=0.0)
        client = self.hold()
        self.reactor.advance(0.3)
        self.back()
        self.refuse()
        self.assertEqual(len(self.upstreams.waiting.held), 0)
        self.assert_status(client, b"503")
        self.assertEqual(self.log.lines[-1]["reason"], "hold_expired")
        self.assert_nothing_left()

    def test_drained(self) -> None:
        """If somebody keeps all from coming back, who has waited or may not wait is told that."""
        self.start("a", hold_when_down=model.Hold(5.0, 1))
        (backend,) = self.pool.backends
        self.pool.weigh(backend, 0, self.reactor.seconds())
        waits = self.client(GET)
        self.assertIn(b"is drained", self.assert_status(self.client(GET), b"503"))
        self.assertEqual(waits.take(), b"")
        self.pass_time(6.0)
        self.assertIn(b"is drained", self.assert_status(waits, b"503"))
        self.assertEqual([each["reason"] for each in self.log.lines], ["drained"] * 2)
        self.assert_nothing_left()

    def test_drained_for_a_restart(self) -> None:
        """Who waits for the only one while that is drained to be started anew loses nothing."""
        self.start("a", hold_when_down=model.Hold(5.0, 1), slow_start=0.0)
        (backend,) = self.pool.backends
        self.pool.weigh(backend, 0, self.reactor.seconds())
        client = self.client(GET)
        self.pass_time(2.0)
        self.pool.weigh(backend, 1, self.reactor.seconds())
        self.reactor.advance(0)
        self.accept().give(OK)
        self.assert_status(client, b"200")
        self.assert_nothing_left()

    def test_too_many(self) -> None:
        """Nor do more wait than may."""
        self.down(requests=1)
        self.hold()
        answer = self.assert_status(self.hold(), b"503")
        self.assertIn(b"pools.api.hold_when_down.requests", answer)
        self.assertEqual(self.log.lines[-1]["reason"], "hold_full")
        self.pass_time(2.0)
        self.wires[0].reset()
        self.assertEqual(len(self.upstreams.waiting.held), 0)
        self.assertEqual(self.log.lines[-1]["reason"], "client_gone")
        self.assertGreaterEqual(self.log.lines[-1]["seconds"]["held"], 2.0)
        self.assert_nothing_left()

    def test_not_asked_for(self) -> None:
        """Without the key the client is told at once."""
        self.start()
        self.assert_status(self.hold(), b"503")
        self.assert_nothing_left()


class TryTests(FailureCase):
    def test_elsewhere(self) -> None:
        """After the time of a try a request that may be sent twice is; others are waited for."""
        for request, elsewhere in (
            (GET, True),
            (POST, False),
            (POST.replace(b"POST", b"PUT"), False),
        ):
            self.start(retry=model.Retry(timeout=2.0))
            client = self.client(request)
            first = self.accept()
            self.pass_time(2.0)
            self.assertEqual(self.dialled, ["b"] if elsewhere else [])
            (self.accept() if elsewhere else first).give(OK)
            self.assert_status(client, b"200")
            if elsewhere:
                self.assertEqual(
                    self.said(), [("a", "try_timeout", "retry"), ("b", "answered", "")]
                )
            self.assert_nothing_left()

    def test_nowhere(self) -> None:
        """Where nothing could follow, an attempt has all the time of the pool."""
        self.start("a", retry=model.Retry(timeout=2.0))
        client = self.client(GET)
        self.accept()
        self.pass_time(29.0)
        self.assertEqual(client.take(), b"")
        self.pass_time(1.0)
        self.assert_status(client, b"504")
        self.assert_nothing_left()


class HedgeTests(FailureCase):
    def late(self, *names: str, **pool: Any) -> tuple[Wire, Wire]:
        """A request whose first answer is late, and the first backend's connection."""
        self.start(*names, hedge=model.Hedge(after=0.2, budget=1.0), **pool)
        client = self.client(GET)
        first = self.accept()
        self.reactor.advance(0.2)
        self.assertEqual(self.dialled, ["b"])
        return client, first

    def test_hedge_wins(self) -> None:
        """The second backend answers first: it is the answer, and the other is given up."""
        client, first = self.late()
        second = self.accept()
        self.reactor.advance(0.1)
        second.give(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi")
        second.give(b"ve")
        self.assertTrue(client.take().endswith(b"\r\n\r\nfive"))
        self.reactor.advance(0)
        self.assertEqual((first.open, second.open), (False, True))
        self.assertEqual(self.said(), [("a", "outrun", ""), ("b", "answered", "")])
        self.assertIs(self.log.lines[0]["attempts"][1]["hedge"], True)
        self.assertFalse(any(backend.troubled for backend in self.pool.backends))
        self.assert_nothing_left()

    def test_first_wins(self) -> None:
        """The first backend answers after all: the hedge is given up, connected or not."""
        for connected in (True, False):
            client, first = self.late()
            if connected:
                self.accept()
            first.give(OK)
            self.assert_status(client, b"200")
            self.assertEqual(self.said(), [("a", "answered", ""), ("b", "outrun", "")])
            self.assert_nothing_left()

    def test_first_breaks(self) -> None:
        """The first attempt breaks: the hedge takes its place, and may fail over itself."""
        for connected in (True, False):
            client, first = self.late("a", "b", "c")
            if connected:
                second = self.accept()
            first.close()
            if not connected:
                second = self.accept()
            self.assertEqual(self.said() if self.log.lines else [], [])
            second.give(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
            second.give(b"k")
            self.assertTrue(client.take().endswith(b"ok"))
            self.assertEqual(
                self.said(), [("a", "upstream_closed", "hedge_runs"), ("b", "answered", "")]
            )
            self.assert_nothing_left()

    def test_both_break(self) -> None:
        """The hedge's connection is refused after it has taken over: a third backend is tried."""
        client, first = self.late("a", "b", "c")
        first.close()
        self.refuse()
        self.assertEqual(self.dialled, ["c"])
        self.accept().give(OK)
        self.assert_status(client, b"200")
        self.assertEqual([each[2] for each in self.said()], ["hedge_runs", "retry", ""])
        self.assert_nothing_left()

    def test_hedge_breaks(self) -> None:
        """The hedge breaks, or says that it cannot: the first attempt goes on."""
        for answer in (b"", BUSY):
            client, first = self.late()
            second = self.accept()
            if answer:
                second.give(answer)
            else:
                second.close()
            first.give(OK)
            self.assert_status(client, b"200")
            self.assertEqual(self.said()[1][2], "first_runs")
            self.assert_nothing_left()

    def test_poison(self) -> None:
        """One that breaks a second backend is given up with its hedge."""
        self.start("a", "b", "c", hedge=model.Hedge(after=0.2, budget=1.0))
        self.upstreams.suspects.broke(IDENTITY, "b", self.reactor.seconds())
        client = self.client(GET)
        first = self.accept()
        self.reactor.advance(0.2)
        second = self.accept()
        first.close()
        self.assertIn(b"poison_request", self.assert_status(client, b"503"))
        self.reactor.advance(0)
        self.assertFalse(second.open)
        self.assertEqual([each[1] for each in self.said()], ["upstream_closed", "outrun"])
        self.assert_nothing_left()

    def test_gone(self) -> None:
        """Who goes takes both attempts along."""
        client, _ = self.late()
        self.accept()
        client.reset()
        self.assertEqual([each[1] for each in self.said()], ["client_gone"] * 2)
        self.assert_nothing_left()

    def test_not_hedged(self) -> None:
        """What changes something is never hedged, nor is anything beyond the budget."""
        self.start(hedge=model.Hedge(after=0.2, budget=0.5))
        self.client(POST)
        self.reactor.advance(1.0)
        self.assertEqual(self.dialled, ["a"])
        for _ in range(5):
            self.client(GET)
        self.reactor.advance(0.2)
        self.assertEqual(len(self.dialled), 6 + 3)

    def test_no_room(self) -> None:
        """While nobody has room there is no hedge, and so none to be paid for."""
        self.start(hedge=model.Hedge(after=0.2, budget=0.5), max_in_flight=1)
        for _ in range(2):
            self.client(GET)
            self.accept()
        self.reactor.advance(0.2)
        self.wires[3].give(OK)
        self.client(GET.replace(b"GET", b"HEAD"))
        self.reactor.advance(0.1)
        self.assertEqual(self.dialled, [])
        hedging = self.upstreams.hedging
        assert hedging is not None
        self.assertTrue(hedging.budget.spend(self.reactor.seconds()))

    def test_queued(self) -> None:
        """What waited for room is late when its attempt is, and not before."""
        self.start(hedge=model.Hedge(after=0.2, budget=1.0), max_in_flight=1)
        wires = []
        for target in (b"/1 ", b"/2 "):
            self.client(GET.replace(b"/ ", target))
            wires.append(self.accept())
        self.client(GET)
        self.reactor.advance(0.15)
        for wire in wires:
            wire.take()
            wire.give(OK)
        self.reactor.advance(0.1)
        self.assertEqual([bool(wire.take()) for wire in wires], [True, False])
        self.reactor.advance(0.1)
        self.assertIn(b"GET / ", wires[1].take())

    def test_only_what_is_hedged(self) -> None:
        """What is sent over seconds, or is no GET, says nothing of when a GET is late."""
        self.start("a", hedge=model.Hedge("p95", budget=1.0))
        put = POST.replace(b"POST", b"PUT")
        client = self.client()
        client.give(GET)
        backend = self.accept()
        backend.give(OK)
        for number in range(1, 2 * BETWEEN):
            client.give(GET if number % 2 else put[:-1])
            self.reactor.advance(0.01 if number % 2 else 3.0)
            if not number % 2:
                client.give(put[-1:])
            backend.give(OK)
        hedging = self.upstreams.hedging
        assert hedging is not None and hedging.after is not None
        self.assertAlmostEqual(hedging.after, 0.01)

    def test_percentile(self) -> None:
        """What is late is learned from the pool's own answers; before that nothing is."""
        self.start(hedge=model.Hedge(budget=1.0))
        client = self.client()
        for number in range(BETWEEN):
            client.give(GET)
            backend = self.accept() if self.dialled else self.wires[-1 - (number % 2)]
            self.reactor.advance(0.01)
            for wire in self.wires[1:]:
                if wire.take():
                    backend = wire
            backend.give(OK)
        hedging = self.upstreams.hedging
        assert hedging is not None and hedging.after is not None
        self.assertAlmostEqual(hedging.after, 0.01)
