"""What of the requests that were held may go, and where to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.backend import Backend
from lbproxy.balance.outage import is_shut, shut, takes_held
from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import model
from lbproxy.errors import ConnectFailed
from lbproxy.health.outcome import ProbeOutcome


class OutageTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two backends that have refused a connection."""
        backends = (model.Backend("a", "h:1"), model.Backend("b", "h:2"))
        self.pool = Pool(model.Pool("api", backends, max_in_flight=20), RoundRobin(), 0.0)
        self.back: list[Backend] = []
        self.pool.on_reached = self.back.append
        for backend in self.pool.backends:
            self.pool.failed(backend, ConnectFailed("refused", refused=True), 1.0)

    def probe(self, place: int, now: float, *, passed: bool = True) -> None:
        """A probe has reached a backend."""
        backend = self.pool.backends[place]
        self.pool.probed(backend, ProbeOutcome(passed, 0.01, "", True, now), now)

    def test_shut(self) -> None:
        """Nobody takes anything until one accepts, which is told once."""
        self.assertTrue(is_shut(self.pool))
        self.assertEqual((shut(self.pool), takes_held(self.pool, 2.0)), (frozenset(), False))
        for now in (2.0, 3.0):
            self.probe(0, now)
        a, b = self.pool.backends
        self.assertFalse(is_shut(self.pool))
        self.assertEqual((self.back, shut(self.pool)), ([a], {b}))

    def test_lost_before(self) -> None:
        """A connection that is given up says nothing of one who has come back since it began."""
        self.probe(0, 5.0)
        a = self.pool.backends[0]
        self.pool.failed(a, ConnectFailed("no answer within 2.0 s"), 6.0, 4.0)
        self.assertFalse(is_shut(self.pool))
        self.pool.failed(a, ConnectFailed("no answer within 2.0 s"), 8.0, 6.0)
        self.assertTrue(is_shut(self.pool))

    def test_refused_since(self) -> None:
        """One that is refused says that it is out of reach now."""
        self.probe(0, 5.0)
        self.pool.failed(self.pool.backends[0], ConnectFailed("refused", refused=True), 6.0, 4.0)
        self.assertTrue(is_shut(self.pool))

    def test_pace(self) -> None:
        """A tenth of the limit at first, all of it after the slow start."""
        self.probe(0, 100.0)
        a = self.pool.backends[0]
        for now, bears in ((100.0, 2), (105.0, 11), (110.0, 20)):
            a.in_flight = bears - 1
            self.assertTrue(takes_held(self.pool, now))
            a.in_flight = bears
            self.assertFalse(takes_held(self.pool, now))

    def test_last_resort(self) -> None:
        """One whose port accepts will do if no one is able: while another is, it is not."""
        self.probe(0, 2.0, passed=False)
        self.assertEqual(self.pool.backends[0].state.value, "down")
        self.assertTrue(is_shut(self.pool))
        self.pool.weigh(self.pool.backends[1], 0, 3.0)
        self.assertFalse(is_shut(self.pool))
        self.assertTrue(takes_held(self.pool, 3.0))
