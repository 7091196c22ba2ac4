"""The names of a config, and what its pools become by them."""

from __future__ import annotations

import random

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import DNS, Backend, Config, Health, Listener, Pool
from lbproxy.discovery.answer import Question
from lbproxy.discovery.service import FIRST_ROUND, Discovery
from lbproxy.discovery.watch import RETRY
from lbproxy.health.outcome import ProbeOutcome
from tests.discovery.names import Names, addresses

ONE, TWO = Question("one.test"), Question("two.test")

STATIC = Backend("static", "10.9.9.9:80")
A, B, C = Backend("a", "one.test:80"), Backend("b", "one.test:81"), Backend("c", "two.test:80")

PLAIN = DNS()

PASSED = ProbeOutcome(True, 0.0, "well", True, 0.0)


def config(*pools: Pool, dns: DNS = PLAIN) -> Config:
    """A config with these pools."""
    return Config((Listener("web", "tcp:0"),), pools=pools, dns=dns)


def shown(pool: Pool) -> list[str]:
    """The names of a pool's backends."""
    return [backend.name for backend in pool.backends]


class DiscoveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.names = Clock(), Names()
        self.made: list[DNS] = []
        self.changes: list[list[list[str]]] = []
        self.unresolved: list[tuple[str, str, ProbeOutcome]] = []
        self.config = config()
        self.discovery = Discovery(self.clock, self.resolver_of, random.Random(1))
        self.discovery.changed = self.changed
        self.discovery.unresolved = lambda *told: self.unresolved.append(told)

    def resolver_of(self, dns: DNS) -> Names:
        """The same for all, and what it was made for."""
        self.made.append(dns)
        return self.names

    def changed(self) -> None:
        """Remember what the pools are now."""
        self.changes.append([shown(pool) for pool in self.discovery.take(self.config).pools])

    def take(self, *pools: Pool, dns: DNS = PLAIN) -> list[list[str]]:
        """Take a config; the backends of its pools."""
        self.config = config(*pools, dns=dns)
        return [shown(pool) for pool in self.discovery.take(self.config).pools]

    def test_nothing_to_ask(self) -> None:
        """A config without names stays as it is, and nobody is asked."""
        whole = config(Pool("api", (STATIC,)))
        self.assertEqual(self.discovery.take(whole), whole)
        self.discovery.startService()
        self.successResultOf(self.discovery.first_round())
        self.assertEqual((self.names.asked, self.clock.getDelayedCalls()), ([], []))

    def test_before_the_first_answer(self) -> None:
        """A name of which nothing is known is one backend; nothing is asked before the start."""
        self.assertEqual(self.take(Pool("api", (A, STATIC))), [["a", "static"]])
        self.assertEqual(self.names.asked, [])

    def test_answers(self) -> None:
        """An answer changes each pool that has its name, and those alone; it is asked for once."""
        self.take(Pool("api", (A, STATIC)), Pool("both", (B, C)), Pool("no", (STATIC,)))
        self.discovery.startService()
        self.assertEqual(self.names.asked, [ONE, TWO])
        self.names.pending[0].callback(addresses("10.0.0.1", "10.0.0.2", ttl=60))
        api, b = ["a@10.0.0.1:80", "a@10.0.0.2:80", "static"], ["b@10.0.0.1:81", "b@10.0.0.2:81"]
        self.assertEqual(self.changes, [[api, [*b, "c"], ["static"]]])
        self.names.pending[1].callback(addresses("10.0.0.3"))
        self.assertEqual(self.changes[1:], [[api, [*b, "c@10.0.0.3:80"], ["static"]]])

    def test_first_round(self) -> None:
        """It is over with the last first answer, of whatever kind, or after a while."""
        self.take(Pool("api", (A, C)))
        self.discovery.startService()
        waited, late = self.discovery.first_round(), self.discovery.first_round()
        self.names.pending.pop(0).callback(addresses("10.0.0.1"))
        self.assertNoResult(waited)
        self.clock.advance(FIRST_ROUND)
        self.successResultOf(waited)
        self.successResultOf(late)
        soon = self.discovery.first_round()
        self.names.pending.pop(0).callback(addresses("10.0.0.1"))
        self.successResultOf(soon)

    def test_at_once(self) -> None:
        """What is answered at once is told when all know of each other."""
        self.names.known[ONE] = addresses("10.0.0.1")
        self.discovery.startService()
        self.assertEqual(self.take(Pool("api", (A,))), [["a@10.0.0.1:80"]])
        self.names.known[TWO] = addresses("10.0.0.2")
        self.assertEqual(self.take(Pool("api", (C, A))), [["c@10.0.0.2:80", "a@10.0.0.1:80"]])
        self.assertEqual(self.changes, [])

    def test_reload(self) -> None:
        """Another config has what is known already, and its names are asked as before."""
        self.names.known[ONE] = addresses("10.0.0.1")
        self.discovery.startService()
        self.take(Pool("api", (A, C)))
        now = self.take(Pool("api", (attrs.evolve(A, name="z"),)), Pool("new", (B,)))
        self.assertEqual(now, [["z@10.0.0.1:80"], ["b@10.0.0.1:81"]])
        self.assertEqual(self.names.asked, [ONE, TWO])
        self.assertEqual(self.names.cancelled, 1)  # Nobody wants to know it.
        self.names.known[ONE] = addresses("10.0.0.2")
        self.clock.advance(70.0)
        self.assertEqual(self.changes, [[["z@10.0.0.2:80"], ["b@10.0.0.2:81"]]])

    def test_other_servers(self) -> None:
        """Other servers are asked at once, and what is known holds until they answer."""
        self.names.known[ONE] = addresses("10.0.0.1")
        self.discovery.startService()
        self.take(Pool("api", (A,)))
        del self.names.known[ONE]
        other = DNS(servers=("10.0.0.53:53",))
        self.assertEqual(self.take(Pool("api", (A,)), dns=other), [["a@10.0.0.1:80"]])
        self.assertEqual((self.made[-1], self.names.asked), (other, [ONE, ONE]))
        self.names.pending.pop().callback(addresses("10.0.0.2"))
        self.assertEqual(self.changes, [[["a@10.0.0.2:80"]]])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_not_probed(self) -> None:
        """In a pool without probes, which nobody asks, each failure is told until there is one."""
        self.names.known[ONE] = "nobody answers"
        self.take(Pool("api", (A, STATIC), health=None), Pool("probed", (B,)))
        self.discovery.startService()
        detail = "one.test does not resolve: nobody answers"
        outcome = ProbeOutcome(False, 0.0, detail, False, 0.0)
        self.assertEqual(self.unresolved, [("api", "a", outcome)])
        self.clock.advance(RETRY * 1.2)
        self.assertEqual(len(self.unresolved), 2)
        self.names.known[ONE] = addresses("10.0.0.1", ttl=1)
        self.clock.advance(RETRY * 1.2)
        self.names.known[ONE] = "nobody answers"
        self.clock.advance(RETRY * 1.2)
        self.assertEqual(len(self.unresolved), 2)

    def test_stop(self) -> None:
        """Stopping gives up what is under way and leaves nothing on the clock."""
        self.names.known[ONE] = addresses("10.0.0.1")
        self.take(Pool("api", (A, C)))
        self.discovery.startService()
        self.successResultOf(self.discovery.stopService())
        self.assertEqual((self.names.cancelled, self.clock.getDelayedCalls()), (1, []))


class CheckTests(SynchronousTestCase):
    """How a backend is probed whose name has no address."""

    def setUp(self) -> None:
        self.clock, self.names = Clock(), Names()
        self.discovery = Discovery(self.clock, lambda dns: self.names, random.Random(1))
        self.probed: list[Backend] = []
        self.discovery.take(config(Pool("api", (A, STATIC))))
        self.discovery.startService()

    def probe(self, backend: Backend, timeout: float = 1.0) -> Deferred[ProbeOutcome]:
        """Probe by a check that always passes."""

        def check(backend: Backend, health: Health) -> Deferred[ProbeOutcome]:
            self.probed.append(backend)
            return succeed(PASSED)

        return self.discovery.checked(check)(backend, Health(timeout=timeout))

    def test_addresses(self) -> None:
        """What has an address is probed as ever."""
        for backend in (STATIC, attrs.evolve(A, name="a@10.0.0.1:80", address="10.0.0.1:80")):
            self.assertIs(self.successResultOf(self.probe(backend)), PASSED)
            self.assertEqual(self.probed.pop(), backend)

    def test_unresolved(self) -> None:
        """A name's first answer is awaited; if there is none that is why the backend is down."""
        probe = self.probe(A)
        self.assertNoResult(probe)
        self.clock.advance(0.5)
        self.names.known[ONE] = "nobody answers"
        self.names.pending.pop().errback(self.failureResultOf(self.names.resolve(ONE)))
        outcome = self.successResultOf(probe)
        self.assertEqual((outcome.passed, outcome.reached, outcome.at), (False, False, 0.5))
        self.assertEqual(outcome.detail, "one.test does not resolve: nobody answers")
        self.names.known[ONE] = "another reason"
        self.clock.advance(RETRY * 1.2)
        self.assertIn("another reason", self.successResultOf(self.probe(A)).detail)
        self.assertEqual(self.probed, [])

    def test_late(self) -> None:
        """Without an answer it is down soon, before clients would be sent there."""
        for timeout, patience in ((0.5, 0.45), (30.0, 0.9)):
            probe = self.probe(A, timeout)
            self.clock.advance(patience - 0.01)
            self.assertNoResult(probe)
            self.clock.advance(0.02)
            detail = self.successResultOf(probe).detail
            self.assertEqual(detail, "one.test does not resolve: no answer yet")

    def test_given_up(self) -> None:
        """A probe that is given up has no outcome."""
        probe = self.probe(A)
        probe.cancel()
        self.failureResultOf(probe, CancelledError)

    def test_resolves(self) -> None:
        """A name whose members are about to come is not down: nobody need hear of that."""
        probe = self.probe(A)
        self.names.pending.pop().callback(addresses("10.0.0.1"))
        outcome = self.successResultOf(probe)
        self.assertEqual((outcome.passed, outcome.detail), (True, "one.test resolves"))

    def test_resolves_late(self) -> None:
        """Once clients are accepted it stays down to the end: its members are asked, and not it."""
        self.discovery.first_round()
        self.clock.advance(FIRST_ROUND)
        probe = self.probe(A)
        self.names.pending.pop().callback(addresses("10.0.0.1"))
        for outcome in (self.successResultOf(probe), self.successResultOf(self.probe(A))):
            self.assertEqual((outcome.passed, outcome.reached), (False, False))
            self.assertEqual(outcome.detail, "one.test resolves")
