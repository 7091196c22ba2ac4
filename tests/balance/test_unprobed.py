"""A pool without probes whose config changes."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import model
from tests.balance.test_pool import probe

BACKENDS = tuple(model.Backend(name, f"{name}.test:80") for name in "abc")


class UnprobedTests(SynchronousTestCase):
    def pool(self, health: model.Health | None) -> Pool:
        """A pool of the first two backends."""
        return Pool(model.Pool("api", BACKENDS[:2], health=health), RoundRobin(), 0.0)

    def states(self, pool: Pool) -> list[str]:
        """The states of all backends."""
        return [backend.state.value for backend in pool.backends]

    def test_down_stays_down(self) -> None:
        """One that is down although nobody probes, since it has no address, stays so."""
        pool = self.pool(None)
        probe(pool, 0, False, 1.0, reached=False)
        self.assertEqual(self.states(pool), ["down", "up"])
        pool.reconfigure(attrs.evolve(pool.config, backends=BACKENDS), None, 2.0)
        self.assertEqual(self.states(pool), ["down", "up", "up"])

    def test_probes_end(self) -> None:
        """When probes are turned off all are up, and what is said from then on counts."""
        pool = self.pool(model.Health(fall=3))
        probe(pool, 0, False, 1.0)
        probe(pool, 1, True, 1.0)
        pool.reconfigure(attrs.evolve(pool.config, health=None), None, 2.0)
        self.assertEqual(self.states(pool), ["up", "up"])
        for place in (0, 1):
            probe(pool, place, False, 3.0)
        self.assertEqual(self.states(pool), ["down", "down"])

    def test_probes_begin_again(self) -> None:
        """What probes said before they were turned off is void when they are turned on."""
        pool = self.pool(model.Health(rise=2, fall=2))
        probe(pool, 0, False, 1.0)
        pool.reconfigure(attrs.evolve(pool.config, health=None), None, 2.0)
        pool.reconfigure(attrs.evolve(pool.config, health=model.Health(fall=2)), None, 3.0)
        probe(pool, 0, False, 4.0)
        self.assertEqual(self.states(pool)[0], "down")
