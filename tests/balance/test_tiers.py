"""Backups get what the first tier cannot bear."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.tiers import spill
from lbproxy.config import model
from lbproxy.health.said import Said
from tests.balance.test_pool import NOBODY, names, probe


def tiered(first: int, backups: int, *, max_in_flight: int = 256) -> Pool:
    """A pool of backends named a, b ... and backups behind them, up to f."""
    backends = tuple(
        model.Backend("abcdefghijklmnop"[place], f"h:{place + 1}", backup=place >= first)
        for place in range(first + backups)
    )
    config = model.Pool("api", backends, slow_start=0.0, max_in_flight=max_in_flight)
    return Pool(config, RoundRobin(), 0.0)


class SpillTests(SynchronousTestCase):
    def test_table(self) -> None:
        """The table of Envoy's documentation, for two priorities."""
        for first, second, expected in (
            (100, 100, 0),
            (72, 72, 0),
            (71, 71, 1),
            (50, 50, 30),
            (25, 100, 65),
            (25, 25, 50),
            (0, 100, 100),
            (100, 0, 0),
        ):
            found = 100.0 * spill(first, 100, second, 100)
            self.assertApproximates(found, expected, 0.7, f"{first} {second}")

    def test_none(self) -> None:
        """Without backups, or with nobody at all, nothing is spilled."""
        self.assertEqual(spill(1, 10, 0, 0), 0.0)
        self.assertEqual(spill(0, 10, 0, 10), 0.0)


class TierTests(SynchronousTestCase):
    def down(self, pool: Pool, *places: int) -> None:
        """Let probes fail."""
        for place in places:
            probe(pool, place, False, 1.0, reached=False)

    def test_idle(self) -> None:
        """While the first tier is well, the backups get nothing."""
        self.assertEqual(set(names(tiered(4, 2), 20, 0.0)), set("abcd"))

    def test_spill(self) -> None:
        """With half of the first tier gone, 3 of 10 go to the backups, evenly spread."""
        pool = tiered(4, 2)
        self.down(pool, 0)
        self.assertEqual(set(names(pool, 20, 1.0)), set("bcd"))
        self.down(pool, 1)
        found = names(pool, 100, 1.0)
        self.assertEqual(sum(found.count(name) for name in "ef"), 30)
        for begin in range(0, 100, 10):
            part = found[begin : begin + 10]
            self.assertIn(sum(part.count(name) for name in "ef"), (3, 4, 2))

    def test_few(self) -> None:
        """Pools of one and two, whoever is down."""
        for first, backups, down, expected in (
            (1, 1, (), "aaaa"),
            (1, 1, (0,), "bbbb"),
            (1, 1, (1,), "aaaa"),
            (1, 1, (0, 1), "----"),
            (2, 1, (0,), "bbbcbbcbbc"),
            (2, 1, (0, 1), "cccc"),
            (1, 2, (0,), "bcbc"),
            (1, 2, (0, 1), "cccc"),
        ):
            pool = tiered(first, backups)
            self.down(pool, *down)
            self.assertEqual(names(pool, len(expected), 1.0), expected, (first, backups, down))

    def test_keys(self) -> None:
        """A key goes to the same tier each time, and the part that spills is kept."""
        pool = tiered(2, 2)
        self.down(pool, 0)
        spilled = 0
        for number in range(2000):
            key = b"%d" % number
            tiers = set()
            for _ in range(3):
                backend = pool.choose(NOBODY, 1.0, key)
                assert backend is not None
                tiers.add(backend.config.backup)
            self.assertEqual(len(tiers), 1)
            spilled += tiers.pop()
        self.assertApproximates(spilled / 2000, 0.3, 0.03)

    def test_retry(self) -> None:
        """A retry stays in the first tier while there is another one, and then goes to a backup."""
        pool = tiered(2, 1)
        a, b, c = pool.backends
        self.assertIs(pool.choose({a}, 0.0), b)
        self.assertIs(pool.choose({a, b}, 0.0), c)
        self.assertIsNone(pool.choose({a, b, c}, 0.0))
        self.assertTrue(pool.has_other({a, b}, b))

    def test_full(self) -> None:
        """What the first tier has no room for goes to a backup."""
        pool = tiered(1, 1, max_in_flight=1)
        a, b = pool.backends
        pool.acquire(a)
        self.assertIs(pool.choose(NOBODY, 0.0), b)
        pool.acquire(b)
        self.assertIsNone(pool.choose(NOBODY, 0.0))
        self.assertTrue(pool.saturated(NOBODY))

    def test_weight(self) -> None:
        """A weight of 0 takes nothing new; it counts for nothing in its tier, sick or well."""
        pool = tiered(2, 1)
        a, b, c = pool.backends
        pool.weigh(a, 0, 1.0)
        self.assertEqual(names(pool, 4, 1.0), "bbbb")
        pool.weigh(b, 0, 1.0)
        self.assertEqual(names(pool, 4, 1.0), "cccc")
        pool.weigh(c, 0, 1.0)
        self.assertIsNone(pool.choose(NOBODY, 1.0))
        pool.weigh(a, 3, 1.0)
        pool.weigh(b, 1, 1.0)
        self.assertEqual(names(pool, 8, 1.0).count("a"), 6)


class SteadyTests(SynchronousTestCase):
    """A list of candidates that is the same object says that nothing has changed."""

    def seen(self, pool: Pool, now: float) -> list[tuple[str, float]]:
        """The candidates of the next choice, with their shares; the list is kept."""
        outer = self

        class Eye:
            def choose(self, candidates: list[Backend], now: float, key: bytes | None) -> Backend:
                outer.list = candidates
                return candidates[0]

        pool._balancer = Eye()  # type: ignore[assignment]
        pool.choose(NOBODY, now)
        return [(backend.name, backend.share) for backend in self.list]

    list: list[Backend]

    def test_steady(self) -> None:
        """It is the same from one choice to the next, and another one after each change."""
        pool = tiered(3, 0)
        self.seen(pool, 0.0)
        first = self.list
        self.assertEqual(self.seen(pool, 5.0), [("a", 1.0), ("b", 1.0), ("c", 1.0)])
        self.assertIs(self.list, first)
        probe(pool, 2, False, 5.0)
        self.assertEqual(self.seen(pool, 5.0), [("a", 1.0), ("b", 1.0)])
        self.assertIsNot(self.list, first)
        pool.weigh(pool.backends[0], 2, 5.0)
        self.assertEqual(self.seen(pool, 5.0), [("a", 2.0), ("b", 1.0)])

    def test_full(self) -> None:
        """With somebody full it is the same too, until another one is, or has room again."""
        pool = tiered(3, 1, max_in_flight=2)
        a, b, c, backup = pool.backends
        whole = [("a", 1.0), ("b", 1.0), ("c", 1.0)]
        for change, expected in (
            ((pool.acquire, a), whole),
            ((pool.acquire, a), whole[1:]),
            ((pool.acquire, b), whole[1:]),
            ((pool.acquire, b), whole[2:]),
            ((pool.release, a), [whole[0], whole[2]]),
            ((pool.acquire, a), whole[2:]),
            ((pool.acquire, c), whole[2:]),
            ((pool.acquire, c), [("d", 1.0)]),
            ((pool.acquire, backup), [("d", 1.0)]),
            ((pool.release, c), whole[2:]),
        ):
            call, backend = change
            call(backend)
            self.assertEqual(self.seen(pool, 1.0), expected)
            first = self.list
            self.assertEqual(self.seen(pool, 5.0), expected)
            self.assertIs(self.list, first)
        pool.hear(a, Said(capacity=3), 5.0)  # In vain: the config says less.
        pool.reconfigure(attrs.evolve(pool.config, max_in_flight=3), None, 5.0)
        self.assertEqual(self.seen(pool, 5.0), whole)
        pool.hear(b, Said(capacity=1), 5.0)
        self.assertEqual(self.seen(pool, 5.0), [whole[0], whole[2]])
        pool.weigh(c, 7, 6.0)
        self.assertEqual(self.seen(pool, 6.0), [("a", 1.0), ("c", 7.0)])

    def test_starting(self) -> None:
        """While one starts slowly the list changes as its share does, in a hundred steps."""
        backends = tuple(model.Backend(name, f"{name}:1") for name in "ab")
        pool = Pool(model.Pool("api", backends, slow_start=10.0), RoundRobin(), 0.0)
        for passed, now in ((False, 0.0), (True, 20.0), (True, 21.0)):
            probe(pool, 1, passed, now)
        lists: list[list[Backend]] = []
        for step in range(1100):
            shares = self.seen(pool, 21.0 + step / 100)
            if not lists or lists[-1] is not self.list:
                lists.append(self.list)
            expected = min(1.0, 0.1 + 0.9 * step / 1000)
            self.assertApproximates(dict(shares)["b"], expected, 0.01)
        self.assertTrue(90 <= len(lists) <= 110, len(lists))
