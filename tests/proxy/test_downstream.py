"""A client's connection: time, order, refusals, the end."""

from __future__ import annotations

from lbproxy.config import model
from lbproxy.http1.stream import HeadLimits
from lbproxy.proxy.downstream import PIPELINE_LIMIT
from lbproxy.transport.timer import FIRST
from tests.proxy.wires import OK, BalancerCase

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000\r\n\r\n"


class TimeTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a")

    def test_head_timeout(self) -> None:
        """A head that does not come in time gets 408, however its bytes trickle."""
        client = self.client(b"GET / HT")
        for _ in range(5):
            self.pass_time(2.0)
            client.give(b"T")
        answer = client.take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "))
        self.assertIn(b"listeners.web.timeouts.head", answer)
        self.assertEqual([line["reason"] for line in self.log.lines], ["head_timeout"])
        self.assert_nothing_left()

    def test_silent_client(self) -> None:
        """Who connects and says nothing is let go without a word."""
        client = self.client()
        self.pass_time(10.0)
        self.assertEqual((client.take(), client.open, self.log.lines), (b"", False, []))

    def test_idle(self) -> None:
        """A connection is kept between requests for as long as `idle` says."""
        client = self.client(GET)
        self.accept().give(OK)
        self.assertTrue(client.take().endswith(b"ok"))
        self.pass_time(70.0)
        self.assertTrue(client.open)
        self.pass_time(6.0)
        self.assertFalse(client.open)
        self.assert_nothing_left()

    def test_body_stops(self) -> None:
        """A body that makes no progress gets 408, and its backend is let go and not blamed."""
        client = self.client(POST + b"x")
        backend = self.accept()
        self.pass_time(45.0)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 408 "))
        self.assertFalse(backend.open)
        self.assertEqual(self.log.lines[0]["reason"], "body_timeout")
        self.assertEqual(self.pool.backends[0].ejection.until, 0.0)
        self.assert_nothing_left()

    def test_body_trickles(self) -> None:
        """A body that comes at a byte a second is given up."""
        client = self.client(POST)
        self.accept()
        for _ in range(15):
            client.give(b"x")
            self.pass_time(1.0)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 408 "))
        self.assert_nothing_left()

    def test_slow_backend_is_not_the_clients_fault(self) -> None:
        """While the backend does not read, the client is not hurried."""
        client = self.client(POST)
        backend = self.accept()
        backend.protocol.pauseProducing()
        self.pass_time(50.0)
        self.assertTrue(client.open)
        backend.protocol.resumeProducing()
        client.give(b"x" * 1000)
        backend.give(OK)
        self.assertTrue(client.take().endswith(b"ok"))
        self.assert_nothing_left()

    def test_backend_does_not_read(self) -> None:
        """A backend that takes nothing for as long as `read` says is given up."""
        client = self.client(POST)
        self.accept().protocol.pauseProducing()
        self.pass_time(61.0)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 504 "))
        self.assertIn("read nothing for 60.0 s", self.log.lines[0]["detail"])
        self.assert_nothing_left()

    def test_client_does_not_read(self) -> None:
        """Who takes nothing for as long as `idle` says is cut off, and the backend with it."""
        client = self.client(GET)
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
        client.protocol.pauseProducing()
        self.assertEqual(backend.producerState, "paused")
        self.pass_time(76.0)
        self.assertEqual((client.open, backend.open), (False, False))
        self.assert_nothing_left()

    def test_client_reads_slowly(self) -> None:
        """Who takes something in each `idle` is waited for, also behind the last request."""
        for request in (GET, CLOSING):
            client = self.client(request)
            client.loseConnection = lambda: None  # type: ignore[method-assign]
            self.accept().give(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(100))
            client.waiting = 100000
            client.protocol.pauseProducing()
            for _ in range(3):
                client.waiting -= 1000
                self.pass_time(75.0)
                self.assertTrue(client.open)
            self.pass_time(76.0)
            self.assertFalse(client.open)
        self.assert_nothing_left()

    def test_last_answer_is_not_taken(self) -> None:
        """A connection that closes behind what its client does not take is cut off in time."""
        client = self.client(CLOSING)
        client.loseConnection = lambda: None  # type: ignore[method-assign]
        self.accept().give(OK)
        self.pass_time(70.0)
        self.assertTrue(client.open)
        self.pass_time(6.0)
        self.assertFalse(client.open)
        self.assert_nothing_left()


class OrderTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a")

    def test_one_after_another(self) -> None:
        """The next request is begun when the answer before it has ended."""
        client = self.client(GET + GET)
        backend = self.accept()
        self.assertEqual(backend.take().count(b"GET / "), 1)
        backend.give(OK)
        self.assertEqual(backend.take().count(b"GET / "), 1)
        backend.give(OK)
        self.assertEqual(client.take().count(b"HTTP/1.1 200 "), 2)
        self.assert_nothing_left()

    def test_pipeline_limit(self) -> None:
        """What is sent ahead is held up to a limit; then the client is not read from."""
        client = self.client(GET)
        client.give(b"x" * PIPELINE_LIMIT)
        self.assertEqual(client.producerState, "producing")
        client.give(b"x")
        self.assertEqual(client.producerState, "paused")
        self.assert_nothing_left()


class RefusalTests(BalancerCase):
    def test_nothing_behind(self) -> None:
        """Nothing behind a malformed request is read, and there is one answer."""
        self.start("a")
        client = self.client(b"GET / HTTP/1.1\r\nbroken\r\n\r\n" + GET)
        client.give(GET)
        self.assertEqual(client.take().count(b"\r\n\r\n"), 1)
        self.assertEqual(self.dialled, [])
        self.pass_time(3.0)
        self.assertFalse(client.open)
        self.assertEqual([line["status"] for line in self.log.lines], [400])

    def test_limit(self) -> None:
        """A limit that is exceeded is named with its listener."""
        listener = model.Listener("shop", "tcp:0", limits=HeadLimits(fields=1))
        self.start("a", listener=listener)
        answer = self.client(b"GET / HTTP/1.1\r\nHost: shop\r\nX: 1\r\n\r\n").take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 431 "))
        self.assertIn(b"listeners.shop.limits.fields", answer)

    def test_broken_body(self) -> None:
        """A body that breaks its framing ends the exchange; the backend sees no end of it."""
        self.start("a")
        chunked = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = self.client(chunked + b"3\r\nabc\r\n")
        backend = self.accept()
        client.give(b"zz\r\n")
        self.assertTrue(client.take().startswith(b"HTTP/1.1 400 "))
        self.reactor.advance(0)
        self.assertTrue(backend.take().endswith(b"3\r\nabc\r\n"))
        self.assertFalse(backend.open)
        self.assert_nothing_left()

    def test_max_body(self) -> None:
        """A body above the route's limit gets 413, which names the limit."""
        chunked = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        for request, tried in ((POST, []), (chunked + b"b\r\n", ["body_too_large"])):
            self.start("a", route=model.Route("/", pool="api", max_body=10))
            client = self.client(request + b"x" * 11)
            answer = client.take()
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 "))
            self.assertIn(b"max_body", answer)
            self.assertEqual(self.log.lines[0]["pool"], "api")
            attempts = self.log.lines[0]["attempts"]
            self.assertEqual([attempt["outcome"] for attempt in attempts], tried)
            self.assert_nothing_left()

    def test_max_body_after_the_answer(self) -> None:
        """An answer that has begun is not cut for it; no more of the body is sent."""
        self.start("a", route=model.Route("/", pool="api", max_body=10))
        chunked = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = self.client(chunked + b"5\r\nfirst\r\n")
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nearly")
        client.give(b"6\r\nsecond\r\n")
        backend.give(b"still")
        self.assertNotIn(b"second", backend.take())
        self.assertTrue(client.take().endswith(b"\r\n\r\nearlystill"))
        self.assert_nothing_left()

    def test_max_body_does_not_look_whole(self) -> None:
        """Of a body that is too large no end is sent; its connection serves no other request."""
        self.start("a", route=model.Route("/", pool="api", max_body=10))
        chunked = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = self.client(chunked + b"5\r\nfirst\r\n")
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nearly")
        client.give(b"6\r\nsecond\r\n0\r\n\r\n")
        self.assertTrue(backend.take().endswith(b"first\r\n"))
        backend.give(b"still")
        self.assertTrue(client.take().endswith(b"\r\n\r\nearlystill"))
        self.reactor.advance(0)
        self.assertFalse(backend.open)
        self.assert_nothing_left()


class DrainTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a")

    def test_idle_and_active(self) -> None:
        """Idle connections close at once; others end their exchange and say so."""
        idle, active = self.client(GET), self.client(GET)
        self.accept().give(OK)
        drained = self.site.drain()
        self.reactor.advance(0)
        self.assertFalse(idle.open)
        self.assertNoResult(drained)
        self.accept().give(OK)
        self.assertIn(b"\r\nConnection: close\r\n", active.take())
        self.reactor.advance(0)
        self.successResultOf(drained)

    def test_half_a_head(self) -> None:
        """A request that has begun to come is still answered."""
        client = self.client(GET[:5])
        drained = self.site.drain()
        self.reactor.advance(0)
        client.give(GET[5:])
        self.accept().give(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))
        self.reactor.advance(0)
        self.successResultOf(drained)

    def test_first_request(self) -> None:
        """Who has just connected may ask for one thing, if that comes soon."""
        asks, waits = self.client(), self.client()
        drained = self.site.drain()
        self.reactor.advance(FIRST - 1.0)
        asks.give(GET)
        self.accept().give(OK)
        self.assertIn(b"\r\nConnection: close\r\n", asks.take())
        self.assertNoResult(drained)
        self.pass_time(1.0)
        self.assertFalse(waits.open)
        self.successResultOf(drained)
        self.assertEqual([line["reason"] for line in self.log.lines], ["answered"])

    def test_accepted_before(self) -> None:
        """Who comes out of a handshake meanwhile is one that has just connected."""
        self.client(GET)
        drained = self.site.drain()
        late = self.client()
        self.pass_time(FIRST)
        self.assertFalse(late.open)
        self.assertNoResult(drained)

    def test_head_was_given_before(self) -> None:
        """An answer that had begun ends its connection too, although its head does not say so."""
        client = self.client(GET)
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        drained = self.site.drain()
        self.assertNotIn(b"Connection: ", client.take())
        backend.give(b"k")
        self.reactor.advance(0)
        self.assertEqual((client.take(), client.open), (b"k", False))
        self.successResultOf(drained)
        self.assert_nothing_left()

    def test_cut(self) -> None:
        """What is still running in the end is cut, and it is not the client who is said to go."""
        waiting, answered = self.client(GET), self.client(GET)
        self.accept()
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        drained = self.site.drain()
        self.site.abort()
        self.reactor.advance(0)
        self.successResultOf(drained)
        self.assertEqual((waiting.open, answered.open, backend.open), (False, False, False))
        told = [(line["status"], line["reason"]) for line in self.log.lines]
        self.assertEqual(told, [(0, "stopped"), (200, "stopped")])
        details = {line["detail"] for line in self.log.lines}
        self.assertEqual(details, {"cut, since it had not ended by itself in time"})
        self.assertEqual(
            [line["attempts"][0]["outcome"] for line in self.log.lines], ["stopped", "answered"]
        )
        self.assert_nothing_left()

    def test_last_one_goes(self) -> None:
        """When the last client has gone, what became of its request is in the log already."""
        client = self.client(GET)
        self.accept()
        reasons: list[list[str]] = []
        drained = self.site.drain()
        drained.addCallback(lambda _: reasons.append([each["reason"] for each in self.log.lines]))
        client.reset()
        self.reactor.advance(0)
        self.assertEqual(reasons, [["client_gone"]])
