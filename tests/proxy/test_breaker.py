"""The breaker of a pool, as clients see it."""

from __future__ import annotations

from itertools import product

from lbproxy.config import model
from lbproxy.errors import Drained
from lbproxy.health.breaker import GOOD, State
from tests.proxy.test_failure import BUSY, CLOSING, GET, POST, FailureCase
from tests.proxy.test_stream import TCP, SessionCase
from tests.proxy.wires import Wire

BREAKER = model.Breaker(share=0.5, requests=4, open=5.0)
BUSY_CLOSING = BUSY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

#: What each backend may do with all that it gets.
MANNERS = ("answers", "refuses", "breaks", "is busy")


class BreakerCase(FailureCase):
    def state(self) -> State:
        """That of the breaker, which the pool has to tell."""
        assert self.upstreams.breaker is not None
        state = self.upstreams.breaker.state
        self.assertEqual(self.pool.report(0.0)["breaker"], state.value)
        return state

    def other(self, request: bytes = POST) -> bytes:
        """The same request for something else, since one that breaks again and again is poison."""
        return request.replace(b" / ", b" /%d " % len(self.wires))

    def lose(self) -> Wire:
        """A client whose request fails at the one backend that gets it."""
        client = self.client(self.other())
        self.accept().reset()
        return client

    def open(self) -> None:
        """Start, and let so many fail that the breaker opens."""
        self.start(breaker=BREAKER, ejection=False)
        for _ in range(BREAKER.requests):
            self.lose()
        self.assertIs(self.state(), State.OPEN)

    def assert_refused(self, client: Wire, seconds: int) -> None:
        """The client was refused at once, and nobody was asked."""
        answer = self.assert_status(client, b"503")
        self.assertIn(b"\r\nRetry-After: %d\r\n" % seconds, answer)
        self.assertIn(b'"reason": "breaker_open"', answer)
        self.assertIn(b"(pools.api.breaker)", answer)
        self.assertEqual(self.log.lines[-1]["reason"], "breaker_open")
        self.assertEqual((self.log.lines[-1]["attempts"], self.dialled), ([], []))


class RequestTests(BreakerCase):
    def test_off(self) -> None:
        """Without one, however much fails, each request goes out."""
        self.start(ejection=False)
        self.assertFalse(self.upstreams.wary)
        for _ in range(50):
            self.lose()
        self.client(GET)
        self.assertEqual(len(self.dialled), 1)
        self.assertIsNone(self.pool.report(0.0)["breaker"])

    def test_refuses(self) -> None:
        """Open, it refuses all at once, and says for how long."""
        self.open()
        self.assert_refused(self.client(GET), 5)
        self.reactor.advance(1.5)
        self.assert_refused(self.client(POST), 4)
        self.assert_nothing_left()

    def test_half_open(self) -> None:
        """Then one is let through, and one more for each that is answered, until it is closed."""
        self.open()
        self.reactor.advance(5.0)
        self.client(GET)
        trial = self.accept()
        self.assertIs(self.state(), State.HALF_OPEN)
        self.assert_refused(self.client(GET), 1)
        trial.give(CLOSING)
        for _ in range(GOOD - 1):
            client = self.client(GET)
            self.accept().give(CLOSING)
            self.assert_status(client, b"200")
        self.assertIs(self.state(), State.CLOSED)
        self.assert_nothing_left()

    def test_again(self) -> None:
        """A trial that fails opens it for longer."""
        self.open()
        self.reactor.advance(5.0)
        self.lose()
        self.assert_refused(self.client(GET), 10)
        self.assert_nothing_left()

    def test_trial_leaves(self) -> None:
        """A trial whose client goes, or that we refuse ourselves, gives its place to the next."""
        self.open()
        self.reactor.advance(5.0)
        for _ in range(3):
            client = self.client(GET)
            self.accept()
            client.close()
        for backend in self.pool.backends:
            self.pool.weigh(backend, 0, self.reactor.seconds())
        for _ in range(3):
            self.assertIn(Drained.reason.encode(), self.client(GET).take())
        self.assertIs(self.state(), State.HALF_OPEN)
        self.assert_nothing_left()

    def test_what_counts(self) -> None:
        """What clients do and what we refuse says nothing; 500 is an answer, and a cut is none."""
        self.start(breaker=BREAKER, ejection=False, queue=model.Queue(length=0), max_in_flight=1)
        breaker = self.upstreams.breaker
        assert breaker is not None

        def counted() -> tuple[int, int]:
            return breaker._window.totals(self.reactor.seconds())

        first, second = self.client(GET), self.client(GET)
        self.assertIn(b"queue_full", self.client(GET).take())
        first.close()
        second.close()
        self.reactor.advance(0)
        self.assertEqual(counted(), (0, 0))
        self.reactor.tcpClients.clear()
        self.client(GET)
        self.accept().give(CLOSING.replace(b"200 OK", b"500 Oh"))
        self.assertEqual(counted(), (1, 0))
        self.client(GET)
        backend = self.accept()
        backend.give(CLOSING[:-1])
        self.assertEqual(counted(), (2, 0))
        backend.reset()
        self.assertEqual(counted(), (2, 1))
        self.assertEqual(self.log.lines[-1]["reason"], "answer_cut")
        self.client(GET)
        self.accept().give(BUSY)
        self.assertEqual(counted(), (3, 2))

    def test_time_out(self) -> None:
        """All hang, which nothing else answers soon: the first that time out open it."""
        timeouts = model.UpstreamTimeouts(first_byte=2.0)
        self.start(breaker=BREAKER, timeouts=timeouts, retry=model.Retry(attempts=1))
        clients = [self.client(GET) for _ in range(BREAKER.requests)]
        for _ in clients:
            self.accept()
        self.pass_time(2.5)
        for client in clients:
            self.assert_status(client, b"504")
        self.assert_status(self.client(GET), b"503")
        self.assertEqual(self.log.lines[-1]["reason"], "breaker_open")

    def test_queued(self) -> None:
        """Who waits when it opens is refused when his turn comes."""
        self.start("a", breaker=model.Breaker(requests=1), max_in_flight=1)
        self.client(POST)
        waiting, other = self.client(GET), self.client(GET)
        self.accept().reset()
        for client in (waiting, other):
            self.assertIn(b"breaker_open", self.assert_status(client, b"503"))
        self.assertEqual(self.dialled, [])
        self.assert_nothing_left()

    def test_held(self) -> None:
        """So is who is held."""
        self.start(breaker=model.Breaker(requests=1), hold_when_down=model.Hold(), slow_start=0.0)
        self.client(POST)
        sent = self.accept()
        for backend in self.pool.backends:
            backend.reached = False
        held = [self.client(GET), self.client(GET)]
        while self.dialled:
            self.refuse()
        self.assertEqual(len(self.upstreams.waiting.held), 2)
        sent.reset()
        for client in held:
            self.assertIn(b"breaker_open", self.assert_status(client, b"503"))
        self.assertEqual(self.dialled, [])
        self.assert_nothing_left()

    def test_reload(self) -> None:
        """A reload leaves it as it is, unless its settings are others: then it begins closed."""
        self.open()
        config = self.pool.config
        for breaker, state in ((BREAKER, State.OPEN), (model.Breaker(requests=9), State.CLOSED)):
            changed = model.Pool("api", config.backends, health=None, breaker=breaker)
            self.upstreams.reconfigure(changed, None, {}, self.reactor.seconds())
            self.assertIs(self.state(), state)
        off = model.Pool("api", config.backends, health=None)
        self.reactor.advance(11.0)  # And what broke before is no evidence any more.
        self.upstreams.reconfigure(off, None, {}, self.reactor.seconds())
        self.assertIsNone(self.upstreams.breaker)
        self.assertIsNone(self.pool.report(0.0)["breaker"])
        self.assertFalse(self.upstreams.wary)


class EveryPoolTests(BreakerCase):
    def ask(self, manners: dict[str, str], request: bytes = GET) -> bytes:
        """The status of a request to backends of which each does what it does."""
        client = self.client(self.other(request))
        while self.dialled:
            manner = manners[self.dialled[0]]
            if manner == "refuses":
                self.refuse()
            elif manner == "breaks":
                self.accept().reset()
            else:
                self.accept().give(CLOSING if manner == "answers" else BUSY_CLOSING)
        return client.take()[9:12]

    def test_every_pool(self) -> None:
        """It opens in no pool of one, two and three that still answers, and in each other one.

        That is for requests that may be sent again, where the route says so of busy ones too: what
        a retry hides is no failure.
        """
        route = model.Route("/", pool="api", retry_on=frozenset({503}))
        count = 0
        for size in (1, 2, 3):
            for manners in product(MANNERS, repeat=size):
                count += 1
                names = "abc"[:size]
                self.start(*names, route=route, breaker=BREAKER)
                does = dict(zip(names, manners, strict=True))
                statuses = {self.ask(does) for _ in range(30)}
                answers = "answers" in manners
                self.assertIs(self.state(), State.CLOSED if answers else State.OPEN, manners)
                if answers and manners.count("breaks") < 2:  # Two that break make it poison.
                    self.assertEqual(statuses, {b"200"}, manners)
        self.assertEqual(count, 4 + 4**2 + 4**3)

    def test_not_hidden(self) -> None:
        """By itself one backend never opens it, even where no retry hides how it fails.

        Before as many have failed as it takes by default, the one is put out.
        """
        for size, manner in product((2, 3), MANNERS):
            for place in range(size):
                names = "abc"[:size]
                self.start(*names, breaker=model.Breaker(), retry=model.Retry(attempts=1))
                does = {
                    name: manner if number == place else "answers"
                    for number, name in enumerate(names)
                }
                for _ in range(60):
                    self.ask(does, POST)
                self.assertIs(self.state(), State.CLOSED, (does, self.log.lines[-1]))


class SessionTests(SessionCase):
    def test_sessions(self) -> None:
        """Of a session it counts whether a connection is made, and nothing that comes later."""
        self.start(breaker=BREAKER, ejection=False, listener=TCP)
        for _ in range(BREAKER.requests):
            _, backend = self.joined()
            backend.reset()
        for _ in range(BREAKER.requests):
            self.session()
            while self.dialled:
                self.refuse()
        refused = self.session()
        self.reactor.advance(0)
        self.assertEqual((self.dialled, refused.open), ([], False))
        self.assertEqual(self.log.lines[-1]["reason"], "breaker_open")
        self.reactor.advance(5.0)
        gone = self.session()
        gone.close()
        self.reactor.tcpClients.clear()
        for _ in range(GOOD):
            self.joined()
        assert self.upstreams.breaker is not None
        self.assertIs(self.upstreams.breaker.state, State.CLOSED)
