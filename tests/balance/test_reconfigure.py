"""A pool that takes another config while requests are under way."""

from __future__ import annotations

import random
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.backend import Backend
from lbproxy.balance.balancer import Balancer
from lbproxy.balance.consistent_hash import ConsistentHash
from lbproxy.balance.peak_ewma import FLOOR, PeakEwma
from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import same_policy
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import State
from lbproxy.config import model
from lbproxy.errors import ConnectFailed, UpstreamClosed
from lbproxy.health.alike import EACH
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said

NOBODY: frozenset[Backend] = frozenset()


def backend(name: str, **more: Any) -> model.Backend:
    """One by its name."""
    return model.Backend(name, more.pop("address", f"{name}:80"), **more)


def config_of(names: str, **more: Any) -> model.Pool:
    """A pool of backends with these names."""
    return model.Pool("api", tuple(backend(name) for name in names), **more)


def probe(pool: Pool, name: str, passed: bool, now: float, said: Said = NOTHING) -> None:
    """Tell a pool the outcome of a probe."""
    found = pool.find(name)
    assert found is not None
    pool.probed(found, ProbeOutcome(passed, 0.01, "", True, now, said), now)


def count(pool: Pool, choices: int, now: float) -> dict[str, int]:
    """How often each is chosen."""
    chosen = [pool.choose(NOBODY, now) for _ in range(choices)]
    names = [each.name for each in chosen if each is not None]
    return {name: names.count(name) for name in sorted(set(names))}


class ReconfigureCase(SynchronousTestCase):
    def start(self, config: model.Pool, policy: Balancer | None = None) -> None:
        """Make a pool whose backends have all passed their first probes at 0.0."""
        self.pool = Pool(config, policy or RoundRobin(), 0.0)
        if config.health is not None:
            for each in self.pool.backends:
                probe(self.pool, each.name, True, 0.0)

    def take(self, config: model.Pool, now: float, policy: Balancer | None = None) -> str:
        """Take another config; the names of those that have left."""
        return "".join(each.name for each in self.pool.reconfigure(config, policy, now))

    @property
    def names(self) -> str:
        """Those of the backends, in order."""
        return "".join(each.name for each in self.pool.backends)


class StayTests(ReconfigureCase):
    def test_same(self) -> None:
        """Who stays is the same object, with all that is known of it."""
        self.start(config_of("ab"))
        a, b = self.pool.backends
        self.pool.acquire(a)
        probe(self.pool, "b", False, 1.0)
        self.pool.eject(a, 2.0)
        before = self.pool.standing(a), b.verdict.changing, a.in_flight
        self.assertEqual(self.take(config_of("bca"), 3.0), "")
        self.assertEqual(self.names, "bca")
        self.assertIs(self.pool.find("a"), a)
        self.assertIs(self.pool.find("b"), b)
        self.assertEqual((self.pool.standing(a), b.verdict.changing, a.in_flight), before)

    def test_starting(self) -> None:
        """A slow start that is under way goes on from where it is."""
        self.start(config_of("ab"))
        for now in (20.0, 20.0, 20.0, 30.0, 30.0):
            probe(self.pool, "b", now == 30.0, now)
        self.assertEqual(count(self.pool, 22, 30.0), {"a": 20, "b": 2})
        self.take(config_of("abc"), 35.0)
        self.take(config_of("ab"), 35.0)
        self.assertEqual(count(self.pool, 31, 35.0), {"a": 20, "b": 11})

    def test_address(self) -> None:
        """A name with another address is somebody else."""
        self.start(config_of("a"))
        (a,) = self.pool.backends
        moved = model.Pool("api", (backend("a", address="elsewhere:80"),))
        self.assertEqual(self.take(moved, 1.0), "a")
        (other,) = self.pool.backends
        self.assertTrue(a.gone)
        self.assertEqual((other.gone, other.state), (False, State.UNKNOWN))
        self.assertIs(self.pool.choose(NOBODY, 1.0), other)

    def test_weight(self) -> None:
        """A weight is for those to tell who know whether somebody has changed it."""
        self.start(config_of("ab"))
        self.take(model.Pool("api", (backend("a", weight=3), backend("b"))), 1.0)
        self.assertEqual(count(self.pool, 8, 1.0), {"a": 4, "b": 4})
        self.pool.weigh(self.pool.backends[0], 3, 1.0)
        self.assertEqual(count(self.pool, 8, 1.0), {"a": 6, "b": 2})

    def test_backup(self) -> None:
        """Who becomes a backup gets nothing while the others are well, and the other way round."""
        self.start(config_of("ab"))
        self.take(model.Pool("api", (backend("a"), backend("b", backup=True))), 1.0)
        self.assertEqual(count(self.pool, 4, 1.0), {"a": 4})
        self.take(config_of("ab"), 2.0)
        self.assertEqual(count(self.pool, 4, 2.0), {"a": 2, "b": 2})

    def test_rise_and_fall(self) -> None:
        """The new thresholds hold from the next outcome on."""
        self.start(config_of("ab"))
        probe(self.pool, "b", False, 1.0)
        self.take(config_of("ab", health=model.Health(fall=2)), 2.0)
        probe(self.pool, "b", False, 3.0)
        self.assertEqual(self.pool.backends[1].state, State.DOWN)

    def test_slow_start(self) -> None:
        """Another `slow_start` holds for those that start already."""
        self.start(config_of("a"))
        self.take(config_of("ab"), 20.0)
        probe(self.pool, "b", True, 20.0)
        self.assertTrue(self.pool.backends[1].starting)
        self.take(config_of("ab", slow_start=0.0), 21.0)
        self.assertEqual(count(self.pool, 8, 21.0), {"a": 4, "b": 4})


class LimitTests(ReconfigureCase):
    def test_less(self) -> None:
        """Who has more in flight than a new limit allows gets nothing until it has less."""
        self.start(config_of("a", max_in_flight=5))
        (a,) = self.pool.backends
        for _ in range(4):
            self.pool.acquire(a)
        self.take(config_of("a", max_in_flight=2), 1.0)
        for under_way in (4, 3, 2):
            self.assertEqual(a.in_flight, under_way)
            self.assertIsNone(self.pool.choose(NOBODY, 1.0))
            self.assertTrue(self.pool.saturated(NOBODY))
            self.pool.release(a)
        self.assertIs(self.pool.choose(NOBODY, 1.0), a)

    def test_more(self) -> None:
        """Who was full has room at once."""
        self.start(config_of("a", max_in_flight=1))
        (a,) = self.pool.backends
        self.pool.acquire(a)
        self.assertIsNone(self.pool.choose(NOBODY, 1.0))
        self.take(config_of("a", max_in_flight=2), 1.0)
        self.assertIs(self.pool.choose(NOBODY, 1.0), a)

    def test_said(self) -> None:
        """A backend that wants less than the new limit goes on getting less."""
        self.start(config_of("ab", max_in_flight=10))
        probe(self.pool, "a", True, 1.0, Said(capacity=3))
        self.take(config_of("ab", max_in_flight=5), 2.0)
        self.assertEqual([each.limit for each in self.pool.backends], [3, 5])
        self.take(config_of("ab", max_in_flight=2), 3.0)
        self.assertEqual([each.limit for each in self.pool.backends], [2, 2])


class LeaveTests(ReconfigureCase):
    def test_gone(self) -> None:
        """Who leaves is not chosen, and is not among the available."""
        self.start(config_of("abc"))
        b = self.pool.backends[1]
        self.assertEqual(self.take(config_of("ac"), 1.0), "b")
        self.assertEqual(count(self.pool, 6, 1.0), {"a": 3, "c": 3})
        self.assertFalse(b.available)
        self.assertIsNone(self.pool.find("b"))

    def test_release(self) -> None:
        """What it finishes makes room for nobody, however full it was."""
        self.start(config_of("ab", max_in_flight=1))
        a, b = self.pool.backends
        self.pool.acquire(a)
        self.pool.acquire(b)
        self.take(config_of("a", max_in_flight=1), 1.0)
        self.pool.release(b)
        self.assertEqual(b.in_flight, 0)
        self.assertIsNone(self.pool.choose(NOBODY, 1.0))
        self.pool.release(a)
        self.assertIs(self.pool.choose(NOBODY, 1.0), a)

    def test_nothing_is_learned(self) -> None:
        """How its last attempts end is told to nobody, and says nothing of the pool."""
        self.start(config_of("abc"), PeakEwma(10.0, random.Random(1)))
        told: list[str] = []
        self.pool.on_suspect = lambda backend: told.append(f"suspect {backend.name}")
        self.pool.on_outlier = lambda backend, now: told.append(f"outlier {backend.name}")
        c = self.pool.backends[2]
        self.take(config_of("ab"), 1.0)
        for _ in range(20):
            self.pool.failed(c, ConnectFailed("", refused=True), 2.0)
            self.pool.failed(c, UpstreamClosed(""), 2.0)
            self.pool.answered(c, 503, 2.0)
            self.pool.took(c, 5.0, False, 2.0)
        self.assertEqual(told, [])
        self.assertEqual(c.state, State.UP)
        self.assertEqual(self.pool.alike(2.0), "")

    def test_alike(self) -> None:
        """A pool whose backends all fail alike does not any more when somebody joins."""
        for health in (model.Health(), None):
            self.start(config_of("ab", health=health, ejection=False))
            error = UpstreamClosed("")
            for _ in range(EACH):
                for each in self.pool.backends:
                    self.pool.failed(each, error, 1.0)
            self.assertTrue(self.pool.fails_alike(error, 1.0))
            self.take(config_of("abc", health=health, ejection=False), 2.0)
            self.assertFalse(self.pool.fails_alike(error, 2.0))

    def test_ejected(self) -> None:
        """The end of a time out does not bring back who has left meanwhile."""
        self.start(config_of("abc"))
        b = self.pool.backends[1]
        self.pool.eject(b, 1.0)
        self.take(config_of("ac"), 2.0)
        self.assertEqual(count(self.pool, 6, 60.0), {"a": 3, "c": 3})
        self.assertEqual(b.state, State.EJECTED)

    def test_all(self) -> None:
        """All can be replaced at once, and those who join then start together."""
        self.start(config_of("ab"))
        self.assertEqual(self.take(config_of("cd"), 60.0), "ab")
        for name in "cd":
            probe(self.pool, name, True, 60.0)
        self.assertEqual(count(self.pool, 6, 60.0), {"c": 3, "d": 3})
        self.assertFalse(any(each.starting for each in self.pool.backends))


class JoinTests(ReconfigureCase):
    def test_slowly(self) -> None:
        """Who joins others that are warm starts slowly, whether it is probed or not."""
        for health in (model.Health(), None):
            self.start(config_of("a", health=health))
            self.take(config_of("ab", health=health), 20.0)
            if health is not None:
                probe(self.pool, "b", True, 20.0)
            self.assertEqual(count(self.pool, 22, 20.0)["b"], 2)
            self.assertEqual(count(self.pool, 8, 31.0), {"a": 4, "b": 4})

    def test_at_once(self) -> None:
        """Who joins others that have just begun has its whole share."""
        self.start(config_of("a"))
        self.take(config_of("ab"), 5.0)
        probe(self.pool, "b", True, 5.0)
        self.assertEqual(count(self.pool, 8, 5.0), {"a": 4, "b": 4})

    def test_down(self) -> None:
        """Who fails its first probe gets nothing, as at the start."""
        self.start(config_of("a"))
        self.take(config_of("ab"), 20.0)
        probe(self.pool, "b", False, 20.0)
        self.assertEqual(count(self.pool, 4, 20.0), {"a": 4})

    def test_back(self) -> None:
        """Who leaves and joins again is not known any more."""
        self.start(config_of("ab"))
        b = self.pool.backends[1]
        self.pool.acquire(b)
        self.take(config_of("a"), 1.0)
        self.take(config_of("ab"), 2.0)
        again = self.pool.backends[1]
        self.pool.release(b)
        self.assertEqual((again is b, again.state, again.in_flight), (False, State.UNKNOWN, 0))


class ProbeTests(ReconfigureCase):
    """Probes that are turned on and off."""

    def test_off(self) -> None:
        """Then all are up, and that is told; who is out for what live traffic showed stays out."""
        self.start(config_of("abc"))
        a, b, c = self.pool.backends
        for now in (1.0, 2.0, 3.0):
            probe(self.pool, "a", False, now)
        self.pool.eject(b, 3.0)
        turned: list[tuple[str, str]] = []
        self.pool.on_turn = lambda backend, detail: turned.append((backend.name, detail))
        self.take(config_of("abc", health=None), 4.0)
        self.assertEqual(turned, [("a", "it is not probed")])
        states = [a.state, b.state, c.state]
        self.assertEqual(states, [State.UP, State.EJECTED, State.UP])
        self.assertEqual([each.last_probe for each in (a, b, c)], [None] * 3)

    def test_off_and_on(self) -> None:
        """When they are on again the first outcome counts, whatever was known before."""
        for passed in (False, True):
            self.start(config_of("ab"))
            for now in (1.0, 2.0, 3.0):
                probe(self.pool, "a", False, now)
            self.take(config_of("ab", health=None), 4.0)
            self.take(config_of("ab"), 5.0)
            self.assertEqual(self.pool.backends[0].state, State.UP)
            probe(self.pool, "a", passed, 6.0)
            state = State.UP if passed else State.DOWN
            self.assertEqual(self.pool.backends[0].state, state)
            for now in (7.0, 8.0):  # And from then on by rise and fall.
                self.assertEqual(self.pool.backends[0].state, state)
                probe(self.pool, "a", not passed, now)
            if passed:
                probe(self.pool, "a", False, 9.0)
            self.assertIsNot(self.pool.backends[0].state, state)

    def test_said(self) -> None:
        """What was said to a probe holds no more when nobody could hear the contrary."""
        self.start(config_of("ab"))
        probe(self.pool, "a", True, 1.0, Said(drain=True))
        self.assertEqual(count(self.pool, 4, 1.0), {"b": 4})
        self.take(config_of("ab", health=None, slow_start=0.0), 2.0)
        self.assertEqual(count(self.pool, 4, 2.0), {"a": 2, "b": 2})

    def test_on(self) -> None:
        """When they are turned on, each stays up until its first outcome."""
        self.start(config_of("ab", health=None))
        self.take(config_of("ab"), 1.0)
        self.assertEqual(count(self.pool, 4, 1.0), {"a": 2, "b": 2})
        probe(self.pool, "a", False, 2.0)
        self.assertEqual(count(self.pool, 4, 2.0), {"b": 4})


class PolicyTests(ReconfigureCase):
    def test_kept(self) -> None:
        """Without another policy the one that is there goes on, with what it knows."""
        policy = PeakEwma(10.0, random.Random(1))
        self.start(config_of("abc"), policy)
        a, _, c = self.pool.backends
        for each in (a, c):
            self.pool.took(each, 2.0, False, 1.0)
        self.take(config_of("ab"), 1.0)
        self.assertTrue(self.pool.timed)
        self.assertEqual(policy.latency(a, 1.0), 2.0)
        self.assertNotIn(c, policy._known)

    def test_changed(self) -> None:
        """Another one chooses from the next request on, and knows nothing yet."""
        self.start(config_of("ab"), PeakEwma(10.0, random.Random(1)))
        self.take(config_of("ab"), 1.0, RoundRobin())
        self.assertFalse(self.pool.timed)
        self.assertEqual(count(self.pool, 4, 1.0), {"a": 2, "b": 2})
        policy = PeakEwma(10.0, random.Random(1))
        self.take(config_of("ab"), 2.0, policy)
        self.assertTrue(self.pool.timed)
        self.assertEqual(policy.latency(self.pool.backends[0], 2.0), FLOOR)

    def test_hash(self) -> None:
        """Only the keys of who has left move; when it is back they are there again."""
        policy = ConsistentHash(100.0, random.Random(1))
        self.start(config_of("abc", health=None, slow_start=0.0), policy)
        keys = [b"%d" % number for number in range(200)]

        def homes() -> list[str]:
            chosen = [self.pool.choose(NOBODY, 1.0, key) for key in keys]
            return [each.name for each in chosen if each is not None]

        before = homes()
        self.take(config_of("ac", health=None, slow_start=0.0), 1.0)
        self.assertNotIn("b", policy._seeds)
        without = homes()
        moved = [name for name, now in zip(before, without, strict=True) if name != now]
        self.assertEqual(set(moved), {"b"})
        self.assertNotIn("b", without)
        self.take(config_of("abc", health=None, slow_start=0.0), 1.0)
        self.assertEqual(homes(), before)

    def test_hash_moved(self) -> None:
        """A name with another address has the keys that it had."""
        policy = ConsistentHash(100.0, random.Random(1))
        self.start(config_of("ab", health=None, slow_start=0.0), policy)
        keys = [b"%d" % number for number in range(50)]
        before = [self.pool.choose(NOBODY, 1.0, key) for key in keys]
        moved = backend("a"), backend("b", address="elsewhere:80")
        self.take(model.Pool("api", moved, health=None, slow_start=0.0), 1.0)
        after = [self.pool.choose(NOBODY, 1.0, key) for key in keys]
        names = [[each and each.name for each in chosen] for chosen in (before, after)]
        self.assertEqual(names[0], names[1])
        self.assertLessEqual(set(after), set(self.pool.backends))

    def test_same_policy(self) -> None:
        """A policy stays for all that it was not made from; a user's own for nothing."""
        pool = config_of("ab", balancer="peak_ewma")
        for kept, changes in (
            (True, {"backends": (backend("c"),), "max_in_flight": 1, "health": None}),
            (False, {"decay": 1.0}),
            (False, {"balancer": "round_robin"}),
            (False, {"hash": model.Hash("path")}),
        ):
            self.assertIs(same_policy(pool, attrs.evolve(pool, **changes)), kept, changes)
        own = attrs.evolve(pool, balancer="dice")
        self.assertTrue(same_policy(own, attrs.evolve(own)))
        self.assertFalse(same_policy(own, attrs.evolve(own, max_in_flight=1)))


#: Something that happens to a pool: who is asked for, by a number, or another config.
_STEPS = st.one_of(
    st.tuples(st.just("acquire"), st.integers(0, 9)),
    st.tuples(st.just("release"), st.integers(0, 99)),
    st.tuples(
        st.sets(st.sampled_from("abcd"), min_size=1).map(sorted).map("".join), st.integers(1, 3)
    ),
)


class AnyOrderTests(SynchronousTestCase):
    @given(st.lists(_STEPS, max_size=60))
    def test_counts(self, steps: list[tuple[str, int]]) -> None:
        """In whatever order, each backend has what is under way there, and full is who is full."""
        pool = Pool(config_of("ab", health=None, max_in_flight=2), RoundRobin(), 0.0)
        under_way: list[Backend] = []
        for what, number in steps:
            if what == "acquire":
                chosen = pool.choose(NOBODY, 0.0)
                self.assertEqual(chosen is None, pool.saturated(NOBODY))
                if chosen is not None:
                    self.assertIn(chosen, pool.backends)
                    self.assertLess(chosen.in_flight, pool.config.max_in_flight)
                    pool.acquire(chosen)
                    under_way.append(chosen)
            elif what == "release":
                if under_way:
                    pool.release(under_way.pop(number % len(under_way)))
            else:
                config = config_of(what, health=None, max_in_flight=number)
                pool.reconfigure(config, None, 0.0)
            for each in {*pool.backends, *under_way}:
                self.assertEqual(each.in_flight, under_way.count(each))
            full = [each for each in pool.backends if each.in_flight >= each.limit]
            self.assertEqual(pool._full, len(full))
