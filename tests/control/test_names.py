"""Names of backends that stand for something else while the balancer runs."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend, Config
from lbproxy.observe.metrics import EJECTIONS
from tests.control.staff import Hand, Staff

ONE, TWO = Backend("a@10.0.0.1:1", "10.0.0.1:1"), Backend("a@10.0.0.2:1", "10.0.0.2:1")


def shown(config: Config) -> list[str]:
    """The names of the backends."""
    return [backend.name for backend in config.pools[0].backends]


class NamesTests(SynchronousTestCase):
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
