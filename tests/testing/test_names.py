"""The DNS of the simulator: what it has, what it says, and who has to be in the pool by that."""

from __future__ import annotations

import random

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend, Pool
from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.discovery.members import expanded
from lbproxy.errors import Unresolved
from lbproxy.testing.draw import plan_of
from lbproxy.testing.nameserver import SLOWEST, NameServer
from lbproxy.testing.zone import CHANGES, HALF, TROUBLES, NameChange, Zone, changed, members

ONE, TWO, THREE = (Place(f"10.0.4.{number}", f"t{number}.test", 80) for number in (1, 2, 3))

SERVICE = Question("_http._tcp.n.test", service=True)
NAMED = Backend("n", f"srv:{SERVICE.name}", weight=2)


def change(kind: str, *places: Place, which: int = 0, seconds: float = 0.0) -> NameChange:
    return NameChange(kind, 1.0, places, which, ttl=9.0, seconds=seconds, weight=3, priority=1)


class ZoneTests(SynchronousTestCase):
    def places(self, *kinds: str) -> list[tuple[Place, ...]]:
        """What each of these changes makes of two places."""
        zone = Zone((ONE, TWO), 1.0)
        return [changed(zone, change(kind, THREE, which=3)).places for kind in kinds]

    def test_changes(self) -> None:
        """Each does what it is called for; the place is counted round the zone."""
        heavy = Place(TWO.address, TWO.target, 80, 1, 3)
        self.assertEqual(
            self.places(*CHANGES),
            [(ONE, TWO, THREE), (ONE,), (THREE,), (TWO, ONE), (ONE, heavy), (ONE, TWO)],
        )
        self.assertEqual(changed(Zone((ONE,), 1.0), change("dns_holds")), Zone((ONE,), 9.0))

    def test_the_last_stays(self) -> None:
        """Something is left, so that all can be well in the end."""
        self.assertEqual(changed(Zone((ONE,), 1.0), change("dns_left")), Zone((ONE,), 1.0))

    def test_members(self) -> None:
        """They are those that the balancer makes of the same answer."""
        hosts = (Place("10.0.4.1"), Place("10.0.4.2"))
        heavy = Place("10.0.4.7", "t7.test", 80, 1, 0), Place("10.0.4.8", "t8.test", 81, 1, 3)
        for backend, question, places in (
            (Backend("n", "n.test:80"), Question("n.test"), hosts),
            (NAMED, SERVICE, (ONE, TWO)),
            (NAMED, SERVICE, (TWO, *heavy)),
            (NAMED, SERVICE, heavy),
        ):
            pool = expanded(Pool("api", (backend,)), {question: Answer(frozenset(places), 1.0)})
            self.assertEqual(set(members(backend, places)), set(pool.backends))


class NameServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counted: list[str] = []
        self.heard: list[list[str]] = []
        self.server = NameServer(self, Zone((ONE, TWO), 1.0), random.Random(1), self.hear)

    def tell(self, *what: object) -> None:
        """There is no trace."""

    def happened(self, kind: str) -> None:
        """Note what is counted."""
        self.counted.append(kind)

    def hear(self) -> None:
        """Note what is known."""
        self.heard.append(sorted(place.address for place in self.server.known or ()))

    def ask(self) -> Answer:
        """What is answered, at the latest when nobody waits any more."""
        asked = self.server.resolve(SERVICE)
        self.clock.advance(SLOWEST)
        return self.successResultOf(asked)

    def test_answer(self) -> None:
        """What it has when it is asked is the answer, and is told if it is something else."""
        self.assertEqual(self.ask(), Answer(frozenset((ONE, TWO)), 1.0))
        asked = self.server.resolve(SERVICE)
        self.server.change(change("dns_joined", THREE))
        self.clock.advance(SLOWEST)
        self.assertEqual(self.successResultOf(asked).places, {ONE, TWO})
        self.assertEqual(self.counted, [])
        self.assertEqual(self.ask().places, {ONE, TWO, THREE})
        self.assertEqual(self.counted, ["dns_joined"])
        self.assertEqual(
            self.heard, [["10.0.4.1", "10.0.4.2"], ["10.0.4.1", "10.0.4.2", "10.0.4.3"]]
        )

    def test_troubles(self) -> None:
        """Each lasts for its time, and what is known stays so."""
        for kind, reason in TROUBLES.items():
            self.server.start([change(kind, seconds=5.0)])
            self.clock.advance(1.0)
            asked = self.server.resolve(SERVICE)
            self.clock.advance(SLOWEST)
            self.assertEqual(str(self.failureResultOf(asked, Unresolved).value), reason)
            self.clock.advance(5.0)
            self.ask()
        self.assertEqual(self.counted, ["dns_empty", "dns_unknown", *[*TROUBLES][1:]])
        self.assertEqual(len(self.heard), 1)

    def test_half(self) -> None:
        """A target that is not found is still known; one that is the only one is found."""
        self.ask()
        self.server.change(change(HALF, which=1, seconds=9.0))
        self.assertEqual(self.ask(), Answer(frozenset((ONE,)), 1.0, frozenset({TWO.family})))
        self.assertEqual((self.server.known, self.counted), ({ONE, TWO}, [HALF]))
        self.server.change(change("dns_left"))
        self.assertEqual(self.ask(), Answer(frozenset((TWO,)), 1.0))

    def test_given_up(self) -> None:
        """A question that is given up is not answered, and its news are for the next one."""
        self.server.change(change("dns_left"))
        asked = self.server.resolve(SERVICE)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask()
        self.assertEqual(self.counted, ["dns_left"])
        self.assertEqual([look_up.ended for look_up in self.server.look_ups], [None, SLOWEST])


class DrawTests(SynchronousTestCase):
    def test_a_part(self) -> None:
        """About a quarter of the lives have a name, and each of these something that happens."""
        plans = [plan_of(seed) for seed in range(1, 101)]
        named = [plan for plan in plans if plan.zone is not None]
        self.assertTrue(15 <= len(named) <= 35, len(named))
        self.assertTrue(all(plan.renamings and plan.named is not None for plan in named))
        self.assertTrue(all(plan.named is None for plan in plans if plan.zone is None))
