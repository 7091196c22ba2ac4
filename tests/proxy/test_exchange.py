"""One request through a pool: what is tried, given up, held back, and left behind."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import NoRouteError, TimeoutError

from lbproxy.config import model
from lbproxy.forward.retry import REQUEST_LIMIT
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.proxy.upstream import Upstream
from tests.proxy.wires import OK, BalancerCase, Wire

HOST = b"Host: shop\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
PUT = b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi"
POST = PUT.replace(b"PUT", b"POST")
POST_WITH_KEY = POST.replace(b"Content", b"Idempotency-Key: 1\r\nContent")
CLOSES = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
BEGIN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin"


class RetryTests(BalancerCase):
    def check(self, request: bytes, status: bytes, decision: str) -> None:
        """The next backend answers if there is a retry; the log says what was decided."""
        client = self.wires[0]
        if self.dialled:
            self.assertIn(request[:4].strip(), (backend := self.accept()).take())
            backend.give(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 " + status), request)
        self.assertEqual(self.log.lines[0]["attempts"][0]["decision"], decision)
        self.assert_nothing_left()

    def test_refused(self) -> None:
        """A refused connection: any method goes elsewhere."""
        for request in (GET, PUT, POST, POST_WITH_KEY):
            self.start()
            self.client(request)
            self.refuse()
            self.check(request, b"200", "retry")

    def test_no_way(self) -> None:
        """No connection in time, or no route to the host: any method goes elsewhere."""
        for error in (TimeoutError(), NoRouteError()):
            self.start()
            self.client(POST)
            self.refuse(error)
            self.check(POST, b"200", "retry")

    def test_closed_after_sending(self) -> None:
        """Closed after sending: what may be done twice goes elsewhere."""
        for request, status, decision in (
            (GET, b"200", "retry"),
            (PUT, b"200", "retry"),
            (POST, b"502", "not_safe"),
            (POST_WITH_KEY, b"200", "retry"),
        ):
            self.start()
            self.client(request)
            self.accept().close()
            self.check(request, status, decision)

    def test_silent(self) -> None:
        """No first byte in time: only what changes nothing goes elsewhere."""
        for request, status, decision in (
            (GET, b"200", "retry"),
            (PUT, b"504", "not_safe"),
            (POST, b"504", "not_safe"),
            (POST_WITH_KEY, b"200", "retry"),
        ):
            self.start()
            self.client(request)
            self.accept()
            self.pass_time(30.0)
            self.check(request, status, decision)

    def test_died_between_head_and_body(self) -> None:
        """A head whose body has not begun reached nobody: what may be sent twice goes elsewhere."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        for request, status, decision in (
            (GET, b"200", "retry"),
            (PUT, b"200", "retry"),
            (POST, b"502", "not_safe"),
        ):
            self.start()
            client = self.client(request)
            backend = self.accept()
            backend.give(head)
            self.assertEqual(client.value(), b"")
            backend.reset()
            self.check(request, status, decision)

    def test_stalled_between_head_and_body(self) -> None:
        """The same where the body does not come in time."""
        self.start()
        self.client(GET)
        self.accept().give(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        self.pass_time(60.0)
        self.check(GET, b"200", "retry")

    def test_body_behind_its_head(self) -> None:
        """A body that comes in another read than its head is given with it, whole or not."""
        self.start()
        client = self.client(GET)
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        backend.give(b"ok")
        self.assertTrue(client.take().endswith(b"\r\n\r\nok"))
        self.start()
        client = self.client(GET)
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        backend.give(b"o")
        self.assertTrue(client.take().endswith(b"\r\n\r\no"))
        backend.give(b"k")
        self.assertEqual(client.take(), b"k")
        self.assertEqual(self.log.lines[0]["bytes_out"], 2)
        self.assert_nothing_left()

    def test_gateway_status(self) -> None:
        """503 on a route that says so: what may be done twice goes elsewhere."""
        busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        for request, retried in ((GET, True), (PUT, True), (POST, False), (POST_WITH_KEY, True)):
            self.start(route=model.Route("/", pool="api", retry_on=frozenset({503})))
            client = self.client(request)
            self.accept().give(busy)
            self.assertEqual(bool(self.dialled), retried, request)
            if retried:
                self.accept().give(OK)
            status = b"200" if retried else b"503"
            self.assertTrue(client.take().startswith(b"HTTP/1.1 " + status))
            self.assert_nothing_left()

    def test_keep_alive_race(self) -> None:
        """A kept-alive connection that is closed unanswered: a new one to the same backend."""
        self.start("a")
        client = self.client(GET)
        kept = self.accept()
        kept.give(OK)
        client.take()
        client.give(GET)
        kept.close()
        self.assertEqual(self.dialled, ["a"])
        self.accept().give(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))
        self.assertEqual(self.log.lines[1]["attempts"][0]["decision"], "retry_free")
        self.assertFalse(self.upstreams.wary)
        self.assert_nothing_left()

    def test_no_race(self) -> None:
        """A kept-alive connection that is closed seconds later had the request: a break."""
        self.start("a")
        client = self.client(GET)
        kept = self.accept()
        kept.give(OK)
        client.give(GET)
        self.pass_time(3.0)
        kept.close()
        self.assertEqual(self.log.lines[1]["reason"], "upstream_closed")
        self.assert_nothing_left()

    def test_unsafe_takes_a_fresh_connection(self) -> None:
        """POST takes a kept-alive connection only within a second of its last use."""
        self.start("a")
        client = self.client(GET)
        self.accept().give(OK)
        client.give(POST)
        self.assertEqual(self.dialled, [])
        self.wires[1].give(OK)
        self.reactor.advance(1.5)
        client.give(POST)
        self.assertEqual(self.dialled, ["a"])
        self.assert_nothing_left()

    def test_attempts(self) -> None:
        """The number of attempts is bounded."""
        self.start("a", "b", "c", "d", retry=model.Retry(attempts=2))
        client = self.client(GET)
        self.refuse()
        self.accept().close()
        self.assertTrue(client.take().startswith(b"HTTP/1.1 502 "))
        self.assertEqual(self.log.lines[0]["attempts"][1]["decision"], "attempts_spent")
        self.assert_nothing_left()

    def test_budget(self) -> None:
        """When the budget is spent the failure is the client's to see."""
        self.start(retry=model.Retry(budget=0.0), ejection=False)
        for _ in range(30):
            self.client(GET)
            self.refuse()
            self.accept().give(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        client = self.client(GET)
        self.refuse()
        self.assertTrue(client.take().startswith(b"HTTP/1.1 503 "))
        self.assertEqual(self.log.lines[-1]["attempts"][0]["decision"], "budget_spent")

    def test_all_refused(self) -> None:
        """With nobody there: 503, and when to come again."""
        self.start()
        client = self.client(POST)
        self.refuse()
        self.refuse()
        answer = client.take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"\r\nRetry-After: 1\r\n", answer)
        self.assert_nothing_left()

    def test_long_body(self) -> None:
        """A body that is longer than what is kept cannot be sent again."""
        self.start()
        length = REQUEST_LIMIT + 1
        client = self.client(b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % length)
        backend = self.accept()
        client.give(b"x" * length)
        backend.close()
        self.check(b"PUT", b"502", "body_not_kept")

    def test_body_so_far(self) -> None:
        """A retry in the midst of a body sends what came before, and then what follows."""
        self.start()
        client = self.client(PUT[:-1])
        self.accept().close()
        backend = self.accept()
        self.assertTrue(backend.take().endswith(b"\r\n\r\nh"))
        client.give(b"i")
        self.assertEqual(backend.take(), b"i")
        backend.give(OK)
        self.assertTrue(client.take().endswith(b"ok"))
        self.assert_nothing_left()

    def test_body_grows_past_the_limit_between_attempts(self) -> None:
        """What comes while the next connection is made takes nothing from what came before."""
        self.start()
        first, second = b"a" * (REQUEST_LIMIT - 1), b"bc"
        head = b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n"
        client = self.client(head % (len(first) + len(second)) + first)
        self.accept().close()
        client.give(second)
        backend = self.accept()
        self.assertEqual(backend.take().partition(b"\r\n\r\n")[2], first + second)
        backend.give(OK)
        self.assertTrue(client.take().endswith(b"ok"))
        self.assert_nothing_left()


class ConnectTests(BalancerCase):
    def test_stands_at_once(self) -> None:
        """A connection may stand before it is awaited, as one to a Unix socket does."""
        self.start("a")
        connections = self.upstreams.connections[self.pool.backends[0]]

        def connect() -> Deferred[Upstream]:
            upstream = connections._build()
            upstream.connected_by = Deferred()
            self.wires.append(Wire(self.reactor, upstream))
            return upstream.connected_by

        self.patch(connections, "connect", connect)
        client = self.client(GET)
        self.wires[-1].give(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))
        self.assert_nothing_left()


class CutTests(BalancerCase):
    def setUp(self) -> None:
        self.start()

    def check(self) -> None:
        """The client sees the cut, nothing is tried again, and the log says so."""
        client = self.wires[0]
        self.reactor.advance(0)
        self.assertFalse(client.open)
        self.assertTrue(client.take().endswith(b"begin"))
        self.assertEqual(self.dialled, [])
        self.assertEqual([line["reason"] for line in self.log.lines], ["answer_cut"])
        self.assert_nothing_left()

    def test_closed(self) -> None:
        """The backend closes within its answer."""
        self.client(GET)
        backend = self.accept()
        backend.give(BEGIN)
        backend.close()
        self.check()

    def test_silent(self) -> None:
        """The backend is silent within its answer for longer than `read`."""
        self.client(GET)
        self.accept().give(BEGIN)
        self.pass_time(59.0)
        self.assertTrue(self.wires[0].open)
        self.pass_time(2.0)
        self.check()

    def test_reset_where_closing_is_the_end(self) -> None:
        """A reset is no end, even of a body that ends with its connection."""
        self.client(GET)
        backend = self.accept()
        backend.give(b"HTTP/1.1 200 OK\r\n\r\nbegin")
        backend.reset()
        self.reactor.advance(0)
        self.assertFalse(self.wires[0].open)
        self.assertTrue(self.wires[0].take().endswith(b"5\r\nbegin\r\n"))
        self.assert_nothing_left()


class ClientGoneTests(BalancerCase):
    def check(self, backend: Wire | None) -> None:
        """The backend is let go in the same turn and is not blamed; one line in the log."""
        self.wires[0].reset()
        self.reactor.advance(0)
        if backend is not None:
            self.assertFalse(backend.open)
        self.assertEqual([line["reason"] for line in self.log.lines], ["client_gone"])
        self.assertTrue(all(backend.available for backend in self.pool.backends))
        self.assert_nothing_left()

    def test_connecting(self) -> None:
        """While the connection is being made."""
        self.start()
        self.client(GET)
        self.check(None)
        connector: Any = self.reactor.connectors[0]
        self.assertTrue(connector.stoppedConnecting)

    def test_waiting(self) -> None:
        """While the answer is waited for."""
        self.start()
        self.client(GET)
        self.check(self.accept())

    def test_sending(self) -> None:
        """In the midst of the request."""
        self.start()
        self.client(PUT[:-1])
        self.check(self.accept())

    def test_answering(self) -> None:
        """In the midst of the answer."""
        self.start()
        self.client(GET)
        backend = self.accept()
        backend.give(BEGIN)
        self.check(backend)


class QueueTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a", max_in_flight=1, queue=model.Queue(length=1, wait=5.0))
        self.client(GET)
        self.backend = self.accept()
        self.second = self.client(GET)

    def test_admitted(self) -> None:
        """Who waits is served when there is room."""
        self.backend.take()
        self.backend.give(OK)
        self.assertEqual(self.backend.take().count(b"GET / "), 1)
        self.backend.give(OK)
        self.assertTrue(self.second.take().startswith(b"HTTP/1.1 200 "))
        self.assert_nothing_left()

    def test_full(self) -> None:
        """One more than may wait is refused at once, and hears of the limit."""
        answer = self.client(GET).take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"\r\nRetry-After: ", answer)
        self.assertIn(b"pools.api.queue.length", answer)
        self.assert_nothing_left()

    def test_too_long(self) -> None:
        """Who waited for too long is refused."""
        self.pass_time(5.0)
        answer = self.second.take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"pools.api.queue.wait", answer)
        self.assert_nothing_left()

    def test_gone(self) -> None:
        """Who goes while waiting leaves the queue."""
        self.second.reset()
        self.assertEqual(len(self.upstreams.waiting), 0)
        self.assertEqual(self.log.lines[0]["reason"], "client_gone")
        self.assert_nothing_left()


class DrainedTests(BalancerCase):
    """Backends whose weight becomes 0 while requests go to them."""

    def drain(self, *names: str) -> None:
        """Drain these backends."""
        for backend in self.pool.backends:
            weight = 0 if backend.name in names else 1
            self.pool.weigh(backend, weight, self.reactor.seconds())

    def test_finishes(self) -> None:
        """What runs is finished, and its connection is not kept."""
        self.start("a", "b")
        client = self.client(GET)
        backend = self.accept()
        self.drain("a")
        backend.give(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))
        self.assertTrue(backend.disconnecting)
        self.client(GET)
        self.assertEqual(self.dialled, ["b"])
        self.accept().give(OK)
        self.assert_nothing_left()

    def test_idle(self) -> None:
        """Connections that wait for a request are closed, and kept again afterwards."""
        self.start("a", slow_start=0.0)
        for kept in (False, True):
            self.client(GET)
            backend = self.accept()
            backend.give(OK)
            self.assertFalse(backend.disconnecting)
            if not kept:
                self.drain("a")
                self.assertTrue(backend.disconnecting)
                self.drain()
        self.client(GET)
        self.assertEqual(self.dialled, [])
        backend.give(OK)
        self.assert_nothing_left()

    def test_announced(self) -> None:
        """What it announces of its keep-alive meanwhile is for afterwards."""
        self.start("a", slow_start=0.0)
        self.client(GET)
        backend = self.accept()
        self.drain("a")
        announced = OK.replace(b"Content", b"Keep-Alive: timeout=100\r\nContent")
        backend.give(announced)
        self.assertTrue(backend.disconnecting)
        self.drain()
        self.client(GET)
        backend = self.accept()
        backend.give(announced)
        self.pass_time(75.0)  # More than the profile has.
        self.assertFalse(backend.disconnecting)
        self.assert_nothing_left()

    def test_nobody_else(self) -> None:
        """With no other backend the client is told that those that could answer are drained."""
        self.start("a", "b")
        self.drain("a", "b")
        answer = self.client(GET).take()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"\r\nRetry-After: ", answer)
        self.assertIn(b'"reason": "drained"', answer)
        self.assert_nothing_left()

    def test_no_retry(self) -> None:
        """What another backend refuses is not tried at one that is drained."""
        self.start("a", "b")
        self.drain("b")
        client = self.client(GET)
        self.refuse()
        self.assertEqual(self.dialled, [])
        self.assertIn(b'"reason": "drained"', client.take())
        self.assertEqual(self.log.lines[0]["attempts"][0]["decision"], "no_other_backend")
        self.assert_nothing_left()

    def test_queue(self) -> None:
        """Who waits for room is served when a backend comes back that has some."""
        self.start("a", "b", max_in_flight=1)
        self.drain("b")
        self.client(GET)
        self.accept()
        waiting = self.client(GET)
        self.drain()
        self.reactor.advance(0)
        self.assertEqual(self.dialled, ["b"])
        self.accept().give(OK)
        self.assertTrue(waiting.take().startswith(b"HTTP/1.1 200 "))
        self.assert_nothing_left()


class PassedOverTests(BalancerCase):
    def test_room_that_is_of_no_use(self) -> None:
        """Who has tried a backend is passed over when that has room, and keeps its time."""
        self.start("a", "b", max_in_flight=1, queue=model.Queue(wait=5.0))
        retried = self.client(GET)
        at_a = self.accept()
        busy = self.client(GET)
        at_b = self.accept()
        at_a.close()  # Now only b is left for the first, and that is busy.
        self.assertEqual(len(self.upstreams.waiting), 1)
        third = self.client(GET)  # Takes the room at a.
        at_a = self.accept()
        fourth = self.client(GET)
        at_a.give(OK)
        self.assertTrue(third.take().startswith(b"HTTP/1.1 200 "))
        at_a.give(OK)
        self.assertTrue(fourth.take().startswith(b"HTTP/1.1 200 "))
        self.assertEqual(len(self.upstreams.waiting), 1)
        self.pass_time(5.0)
        self.assertTrue(retried.take().startswith(b"HTTP/1.1 503 "))
        at_b.give(OK)
        self.assertTrue(busy.take().startswith(b"HTTP/1.1 200 "))
        self.assert_nothing_left()


class BackpressureTests(BalancerCase):
    def test_client_behind(self) -> None:
        """A client that does not keep up holds the backend back until it has caught up."""
        self.start("a")
        client = self.client(GET)
        backend = self.accept()
        backend.give(BEGIN)
        client.protocol.pauseProducing()
        self.assertEqual(backend.producerState, "paused")
        self.pass_time(61.0)  # The backend's time does not run meanwhile.
        self.assertTrue(backend.open)
        client.protocol.resumeProducing()
        self.assertEqual(backend.producerState, "producing")
        backend.give(b"x" * 95)
        self.assertTrue(client.take().endswith(b"x" * 95))
        self.assert_nothing_left()

    def test_client_behind_in_its_body(self) -> None:
        """What a client sends while it is behind with an early answer goes on once it reads."""
        self.start("a")
        client = self.client(PUT[:-2])
        backend = self.accept()
        backend.give(BEGIN)
        client.protocol.pauseProducing()
        client.give(PUT[-2:])
        backend.take()
        client.protocol.resumeProducing()
        self.assertEqual(backend.take(), PUT[-2:])
        backend.give(b"x" * 95)
        self.assertTrue(client.take().endswith(b"x" * 95))
        self.assert_nothing_left()

    def test_client_behind_with_a_body_to_come(self) -> None:
        """Who has caught up with an early answer is awaited for as long as any other body is."""
        self.start("a")
        client = self.client(PUT[:-2])
        self.accept().give(BEGIN)
        client.protocol.pauseProducing()
        client.protocol.resumeProducing()
        self.pass_time(31.0)
        self.assertFalse(client.open)
        self.assertEqual(self.log.lines[0]["reason"], "body_timeout")
        self.assert_nothing_left()

    def test_client_behind_when_a_connection_stands(self) -> None:
        """The body of a pipelined request is read on when the answer before it is taken."""
        self.start("a")
        put = PUT.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2]
        client = self.client(GET + put + b"2\r\nhi\r\n0\r\n\r\n")
        self.accept().give(CLOSES)
        client.protocol.pauseProducing()
        backend = self.accept()
        client.protocol.resumeProducing()
        self.assertTrue(backend.take().endswith(b"hi\r\n0\r\n\r\n"))
        backend.give(OK)
        self.assertEqual(client.take().count(b"HTTP/1.1 200 OK"), 2)
        self.assert_nothing_left()

    def test_backend_behind(self) -> None:
        """A backend that does not keep up holds the client back until it has caught up."""
        self.start("a")
        client = self.client(PUT[:-2])
        backend = self.accept()
        backend.protocol.pauseProducing()
        self.assertEqual(client.producerState, "paused")
        backend.protocol.resumeProducing()
        self.assertEqual(client.producerState, "producing")
        self.assert_nothing_left()

    def test_backend_reads_slowly(self) -> None:
        """The backend's time to answer begins when it has the request; to read, with each byte."""
        timeouts = model.UpstreamTimeouts(first_byte=1.0, read=2.0)
        self.start("a", timeouts=timeouts)
        client = self.client(PUT[:-1])
        backend = self.accept()
        backend.waiting = 100_000
        backend.protocol.pauseProducing()
        client.give(b"i")  # All of it is queued.
        for left in (60_000, 30_000, 10_000):
            backend.waiting = left
            self.pass_time(1.5)
        self.assertTrue(backend.open)
        backend.waiting = 0
        backend.protocol.resumeProducing()
        self.pass_time(1.5)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 504 "))
        self.assert_nothing_left()

    def test_backend_reads_slowly_what_is_little(self) -> None:
        """That holds too for what waits without anybody having to pause."""
        timeouts = model.UpstreamTimeouts(first_byte=1.0, read=2.0)
        self.start("a", timeouts=timeouts)
        client = self.client(PUT[:-1])
        backend = self.accept()
        backend.waiting = 10_000
        client.give(b"i")
        for left in (6_000, 3_000, 0):
            backend.waiting = left
            self.pass_time(0.5)
        self.assertTrue(backend.open)
        self.pass_time(1.5)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 504 "))
        self.assert_nothing_left()

    def test_body_waits_for_the_connection(self) -> None:
        """No more of a body is read than came before there is someone to take it."""
        self.start("a")
        client = self.client(PUT[:-1])
        self.assertEqual(client.producerState, "paused")
        self.assertTrue(self.accept().take().endswith(b"\r\n\r\nh"))
        self.assertEqual(client.producerState, "producing")
        self.assert_nothing_left()


class StreamTests(BalancerCase):
    def test_events_may_be_silent(self) -> None:
        """An event stream may be silent for longer than other answers, but not for ever."""
        self.start("a")
        client = self.client(GET)
        stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
        self.accept().give(stream)
        self.assertIn(b"data: 1", client.take())
        self.pass_time(3000.0)
        self.assertTrue(client.open)
        self.pass_time(601.0)
        self.assertFalse(client.open)
        self.assert_nothing_left()

    def test_tunnel(self) -> None:
        """After a 101 bytes go both ways; when one side closes, so does the other."""
        for closing in ("client", "backend"):
            self.start("a")
            shake = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            client = self.client(b"GET / HTTP/1.1\r\n" + HOST + shake + b"early")
            backend = self.accept()
            self.assertNotIn(b"early", backend.take())
            backend.give(b"HTTP/1.1 101 Switching Protocols\r\n" + shake + b"hello")
            self.assertEqual(backend.take(), b"early")
            self.assertTrue(client.take().endswith(b"\r\n\r\nhello"))
            client.give(b"\0in")
            backend.give(b"\0out")
            self.assertEqual((backend.take(), client.take()), (b"\0in", b"\0out"))
            (client if closing == "client" else backend).close()
            self.reactor.advance(0)
            self.assertEqual((client.open, backend.open), (False, False))
            self.assertEqual(self.log.lines[0]["status"], 101)
            self.assert_nothing_left()

    def test_tunnel_is_not_read(self) -> None:
        """A side that does not take what the other sent before it closed is given up in time."""
        for closing in ("client", "backend"):
            self.start("a")
            shake = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            client = self.client(b"GET / HTTP/1.1\r\n" + HOST + shake)
            backend = self.accept()
            backend.give(b"HTTP/1.1 101 Switching Protocols\r\n" + shake)
            closed, other = (client, backend) if closing == "client" else (backend, client)
            other.loseConnection = lambda: None  # type: ignore[method-assign]
            closed.close()
            self.pass_time(55.0)
            self.assertTrue(other.open)
            self.pass_time(21.0)
            self.assertFalse(other.open)
            self.assert_nothing_left()


class LastResortTests(BalancerCase):
    def test_degraded(self) -> None:
        """With none healthy, one whose port accepts gets an attempt, and the log says so."""
        self.start("a", "b")
        now = self.reactor.seconds()
        for backend in self.pool.backends:
            self.pool.probed(backend, ProbeOutcome(False, 0.0, "503", True, now), now)
        client = self.client(GET)
        self.accept().give(OK)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200 "))
        self.assertIs(self.log.lines[0]["attempts"][0]["degraded"], True)
        self.assert_nothing_left()
