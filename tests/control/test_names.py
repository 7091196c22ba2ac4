"""Names of backends that stand for something else while the balancer runs."""

from __future__ import annotations

from random import Random

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import Standing
from lbproxy.config.model import Backend, Config, Health, Pool
from lbproxy.control import status
from lbproxy.control.judged import Judged
from lbproxy.control.link import Names
from lbproxy.control.overrides import Kind, Note
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.observe.metrics import EJECTIONS
from lbproxy.probe.checks import Check
from tests.control.staff import Hand, Staff

ONE, TWO = Backend("a@10.0.0.1:1", "10.0.0.1:1"), Backend("a@10.0.0.2:1", "10.0.0.2:1")


ANN = Note("ann", "disk", 60.0)

ALL = "api", "a"


def shown(config: Config) -> list[str]:
    """The names of the backends."""
    return [backend.name for backend in config.pools[0].backends]


class NamesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.staff = Staff(workers=1)

    @property
    def hand(self) -> Hand:
        """The worker."""
        return self.staff.hands[0]

    def start(self) -> None:
        """Start all, with answers to the first probes."""
        self.staff.start()

    def stand_for(self, *members: Backend) -> None:
        """Have the name of the first backend stand for these."""
        self.staff.members["a"] = members
        self.staff.reloader.refresh()

    def answer(self, *members: Backend) -> None:
        """End the probes of these well."""
        self.staff.answer(**{member.name: True for member in members})

    def served(self) -> list[list[str]]:
        """The backends of each config that the worker was told of."""
        return [shown(config) for config in self.hand.configs]


class NamesTests(NamesCase):
    def test_change(self) -> None:
        """Members are probed, and then the worker hears of them; who stays is not probed anew."""
        self.start()
        self.stand_for(ONE)
        self.assertEqual(self.served(), [])
        self.answer(ONE)
        self.assertEqual(self.served(), [[ONE.name, "b"]])
        self.stand_for(ONE, TWO)
        self.assertEqual([*self.staff.probes], [TWO.name])
        self.answer(TWO)
        self.assertEqual(self.served()[1:], [[ONE.name, TWO.name, "b"]])
        states = {name: each.state.value for (_, name), each in self.hand.standings.items()}
        self.assertEqual(states, {ONE.name: "up", TWO.name: "up", "b": "up"})

    def test_one_after_the_other(self) -> None:
        """While the worker waits for one change, only the last of the others is made."""
        self.start()
        self.stand_for(ONE)
        self.stand_for(ONE, TWO)
        self.stand_for(TWO)
        self.answer(ONE)
        self.assertEqual(self.served(), [[ONE.name, "b"]])
        self.answer(TWO)
        self.assertEqual(self.served()[1:], [[TWO.name, "b"]])

    def test_before_clients(self) -> None:
        """Clients wait for the first answers, and for the verdicts about what is found."""
        self.staff.known = known = Deferred[None]()
        self.staff.parent.startService()
        self.hand.occupant.ready({"web": "http://x/"})
        self.staff.answer(a=True, b=True)
        self.assertEqual(self.hand.queues, [])
        self.stand_for(ONE)
        known.callback(None)
        self.assertEqual((self.served(), self.hand.queues), ([], []))
        self.answer(ONE)
        self.assertEqual((self.served(), self.hand.queues), ([[ONE.name, "b"]], [0]))

    def test_reload(self) -> None:
        """A reload keeps what is known of names, and what changes after it is of its config."""
        self.start()
        self.stand_for(ONE)
        self.answer(ONE)
        pool = self.staff.written.pools[0]
        pool = attrs.evolve(pool, backends=(pool.backends[0], Backend("c", "127.0.0.1:3")))
        self.staff.written = attrs.evolve(self.staff.written, pools=(pool,))
        reloading = self.staff.reloader.reload()
        self.stand_for(TWO)
        self.staff.answer(c=True)
        self.successResultOf(reloading)
        self.assertEqual(self.served()[1:], [[ONE.name, "c"]])
        self.answer(TWO)
        self.assertEqual(self.served()[2:], [[TWO.name, "c"]])

    def test_counts(self) -> None:
        """What was counted of a member goes with it; what the config has named is kept."""
        self.start()
        self.stand_for(ONE)
        self.answer(ONE)
        counts = self.staff.parent.counts
        for name in ("a", ONE.name):
            counts.of((EJECTIONS, "api", name))
        self.stand_for(TWO)
        self.answer(TWO)
        self.assertEqual(list(counts.series), [(EJECTIONS, "api", "a")])

    def test_mistake(self) -> None:
        """What cannot be served is logged, and the next change is made as ever."""
        self.start()
        self.patch(self.staff, "adopt", lambda config: 1 // 0)
        self.stand_for(ONE)
        self.answer(ONE)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.staff, "adopt", lambda config: None)
        self.stand_for(ONE, TWO)
        self.answer(TWO)
        self.assertEqual(self.served(), [[ONE.name, TWO.name, "b"]])


class ChangedTests(NamesCase):
    """What people change of a name that stands for several."""

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.stand_for(ONE)
        self.answer(ONE)

    @property
    def weights(self) -> dict[str, int]:
        """Those of all backends, as the worker was told."""
        told = self.hand.standings.items()
        return {name: each.said.weight_of(each.given) for (_, name), each in told}

    def drain(self) -> None:
        """Drain all of the name."""
        self.staff.parent.overrides.drain(ALL, ANN)

    def test_joins(self) -> None:
        """Who joins a drained name is drained with the first word of it, to people too."""
        self.drain()
        self.assertEqual(self.weights, {ONE.name: 0, "b": 1})
        self.stand_for(ONE, TWO)
        told = status.named(self.staff.parent, ALL, lambda backend: False)
        self.assertEqual([each["draining"] for each in told], [True, True])
        self.assertNotIn(TWO.name, self.weights)
        self.answer(TWO)
        self.assertEqual(self.weights, {ONE.name: 0, TWO.name: 0, "b": 1})
        self.staff.parent.overrides.undrain(ALL, ANN)
        self.assertEqual(self.weights, {ONE.name: 1, TWO.name: 1, "b": 1})

    def test_second_address(self) -> None:
        """A member that is drained stays so when its target gets a second address, and back."""
        alone = attrs.evolve(ONE, name="a@t:1")
        first, second = (attrs.evolve(each, name=f"a@t:1/{each.address}") for each in (ONE, TWO))
        self.stand_for(alone)
        self.answer(alone)
        self.staff.parent.overrides.drain(("api", alone.name), Note("ann"))
        self.stand_for(first, second)
        self.answer(first, second)
        told = {name: each.given for (_, name), each in self.hand.standings.items()}
        self.assertEqual(told, {first.name: 0, second.name: 1, "b": 1})
        self.stand_for(alone)
        self.answer(alone)
        told = {name: each.given for (_, name), each in self.hand.standings.items()}
        self.assertEqual(told, {alone.name: 0, "b": 1})

    def test_all_others(self) -> None:
        """It holds when none of those is left that it was made for; so do author and end."""
        self.staff.clock.advance(20.0)
        self.drain()
        self.stand_for(TWO)
        self.answer(TWO)
        self.assertEqual(self.weights, {TWO.name: 0, "b": 1})
        held = self.staff.parent.overrides.of(("api", TWO.name), Kind.DRAIN)
        assert held is not None
        self.assertEqual((held.note, held.until), (ANN, 80.0))
        self.staff.clock.advance(59.9)
        self.assertEqual(self.weights[TWO.name], 0)
        self.staff.clock.advance(0.1)
        self.assertEqual(self.weights[TWO.name], 1)

    def test_before_any(self) -> None:
        """Before anything is known of the name it is drained for who will come."""
        self.staff.members.clear()
        self.staff.reloader.refresh()
        self.staff.answer(a=False)
        self.drain()
        self.stand_for(ONE, TWO)
        self.answer(ONE, TWO)
        self.assertEqual(self.weights, {ONE.name: 0, TWO.name: 0, "b": 1})

    def test_reload(self) -> None:
        """It outlives a reload that has the name, and no other."""
        self.drain()
        pool = self.staff.written.pools[0]
        first, other = pool.backends
        for backends, drained in (
            ((attrs.evolve(first, weight=3), other), {ONE.name: 0, "b": 1}),
            ((other,), {"b": 1}),
            ((first, other), {ONE.name: 1, "b": 1}),
        ):
            pools = (attrs.evolve(pool, backends=backends),)
            self.staff.written = attrs.evolve(self.staff.written, pools=pools)
            reloading = self.staff.reloader.reload()
            self.answer(*(each for each in (ONE,) if each.name in self.staff.probes))
            self.successResultOf(reloading)
            self.assertEqual(self.weights, drained)

    def test_weight(self) -> None:
        """Each record adds its own weight, whoever joins."""
        one = attrs.evolve(ONE, weight=6, record_weight=3)
        two = attrs.evolve(TWO, weight=4, record_weight=2)
        self.staff.parent.overrides.weigh(ALL, 5, ANN)
        self.stand_for(one, two)
        self.answer(two)
        self.assertEqual(self.weights, {ONE.name: 15, TWO.name: 10, "b": 1})
        self.staff.parent.overrides.unweigh(ALL, ANN)
        self.assertEqual(self.weights, {ONE.name: 6, TWO.name: 4, "b": 1})


class UnprobedTests(SynchronousTestCase):
    """A pool that nobody probes, with a name of which no address is known."""

    def setUp(self) -> None:
        self.told: list[tuple[str, str]] = []
        named = Pool("api", (Backend("a", "a.test:1"), Backend("b", "127.0.0.1:2")), health=None)
        self.config = named
        self.judged = self.judge(named, self.check)
        self.judged.start()

    def judge(self, config: Pool, check: Check) -> Judged:
        """It, as judged from its beginning."""
        return Judged(
            Clock(), config, RoundRobin(), check, Random(1), self.tell, lambda names: None
        )

    def check(self, backend: Backend, health: Health) -> Deferred[ProbeOutcome]:
        """Nobody is to be probed."""
        raise AssertionError(backend)

    def tell(self, names: Names, standing: Standing) -> None:
        """Note what the workers hear."""
        self.told.append((names[1], standing.state.value))

    def states(self) -> dict[str, str]:
        """The backends' states by name."""
        standings = self.judged.standings()
        return {name: standing.state.value for (_, name), standing in standings.items()}

    def test_start(self) -> None:
        """It is down from the first moment on, and nobody need hear of that."""
        self.assertEqual((self.states(), self.told), ({"a": "down", "b": "up"}, []))

    def test_members(self) -> None:
        """Its members are up, as all that nobody probes."""
        self.judged.reconfigure(attrs.evolve(self.config, backends=(ONE,)), None, self.check)
        self.assertEqual(self.states(), {ONE.name: "up"})

    def test_joins(self) -> None:
        """One that joins by a reload is down as well, and one whose probes are turned off."""
        probed = attrs.evolve(self.config, health=Health(), backends=self.config.backends[1:])
        self.judged = self.judge(probed, lambda *_: Deferred())
        self.assertEqual(self.states(), {"b": "unknown"})
        self.judged.reconfigure(self.config, None, self.check)
        self.assertEqual(self.states(), {"a": "down", "b": "up"})
        self.assertEqual(self.told[-1], ("a", "down"))
        probed = attrs.evolve(self.config, health=Health())
        self.judged.reconfigure(probed, None, lambda *_: Deferred())
        self.judged.reconfigure(self.config, None, self.check)
        self.assertEqual(self.states(), {"a": "down", "b": "up"})
        self.successResultOf(self.judged.stop())
