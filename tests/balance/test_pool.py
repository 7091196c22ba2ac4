"""Who is chosen, by all that is known of the backends."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import product

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import State
from lbproxy.balance.tiers import Tiers
from lbproxy.config import model
from lbproxy.errors import ConnectFailed, ReusedConnectionClosed, UpstreamClosed
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said

NOBODY: frozenset[Backend] = frozenset()


def pool_of(*weights: int, slow_start: float = 10.0, max_in_flight: int = 256) -> Pool:
    """A pool of backends named a, b, c ... with these weights."""
    backends = tuple(
        model.Backend("abcdef"[place], f"127.0.0.1:{3001 + place}", weight)
        for place, weight in enumerate(weights)
    )
    config = model.Pool("api", backends, slow_start=slow_start, max_in_flight=max_in_flight)
    return Pool(config, RoundRobin(), 0.0)


def probe(pool: Pool, place: int, passed: bool, now: float, *, reached: bool = True) -> None:
    """Tell a pool the outcome of a probe."""
    pool.probed(pool.backends[place], ProbeOutcome(passed, 0.01, "", reached, now), now)


def names(pool: Pool, count: int, now: float) -> str:
    """The names of the next choices."""
    chosen = [pool.choose(NOBODY, now) for _ in range(count)]
    return "".join("-" if backend is None else backend.name for backend in chosen)


class ChoiceTests(SynchronousTestCase):
    def test_alternates(self) -> None:
        """Two equal backends alternate strictly."""
        self.assertEqual(names(pool_of(1, 1), 6, 0.0), "ababab")

    def test_smooth(self) -> None:
        """Weights are kept, and spread; a weight of 0 gets nothing."""
        self.assertEqual(names(pool_of(5, 1, 1), 7, 0.0), "abaacaa")
        self.assertEqual(names(pool_of(1, 0), 3, 0.0), "aaa")

    def test_registry(self) -> None:
        """The policies are found by the names that the config gives them."""
        config = model.Pool("api", (model.Backend("a", "h:1"),))
        for name in model.BALANCERS:
            made = balancer_for(attrs.evolve(config, balancer=name), random.Random(0))
            self.assertEqual(type(made).__name__.lower(), name.replace("_", ""))
        with self.assertRaises(KeyError):
            balancer_for(attrs.evolve(config, balancer="dice"), random.Random(0))

    def test_tried(self) -> None:
        """What was tried is not chosen again."""
        pool = pool_of(1, 1)
        a, b = pool.backends
        self.assertIs(pool.choose({a}, 0.0), b)
        self.assertIsNone(pool.choose({a, b}, 0.0))
        self.assertTrue(pool.has_other({a}, a))
        self.assertFalse(pool.has_other({a, b}, a))

    def test_room(self) -> None:
        """A backend with enough to do is passed over; when all have, the pool is saturated."""
        pool = pool_of(1, 1, max_in_flight=1)
        a, b = pool.backends
        pool.acquire(a)
        self.assertEqual(names(pool, 2, 0.0), "bb")
        self.assertFalse(pool.saturated(NOBODY))
        self.assertTrue(pool.saturated({b}))
        self.assertFalse(pool.saturated({a, b}))  # To wait would not help.
        pool.acquire(b)
        self.assertTrue(pool.saturated(NOBODY))
        self.assertIsNone(pool.choose(NOBODY, 0.0))
        pool.release(a)
        self.assertFalse(pool.choose(NOBODY, 0.0) is not a)


class HealthTests(SynchronousTestCase):
    def test_down(self) -> None:
        """A backend that is down is not chosen; back again it is."""
        pool = pool_of(1, 1, slow_start=0.0)
        probe(pool, 0, True, 1.0)
        probe(pool, 1, False, 1.0)
        self.assertEqual(names(pool, 3, 1.0), "aaa")
        probe(pool, 1, True, 2.0)
        self.assertEqual(names(pool, 3, 2.0), "aaa")
        probe(pool, 1, True, 3.0)
        self.assertEqual(sorted(names(pool, 4, 3.0)), ["a", "a", "b", "b"])

    def test_last_resort(self) -> None:
        """With none healthy, those whose port accepts get one attempt, and that is marked."""
        pool = pool_of(1, 1)
        probe(pool, 0, False, 1.0, reached=False)
        probe(pool, 1, False, 1.0, reached=True)
        self.assertEqual(names(pool, 2, 1.0), "bb")
        self.assertTrue(pool.degraded)
        self.assertIsNone(pool.choose({pool.backends[1]}, 1.0))
        probe(pool, 1, False, 2.0, reached=False)
        self.assertIsNone(pool.choose(NOBODY, 2.0))

    def test_last_resort_has_limits(self) -> None:
        """Who counts as ill is not given more at a time than who is well."""
        pool = pool_of(1, max_in_flight=1)
        probe(pool, 0, False, 1.0)
        pool.acquire(pool.backends[0])
        self.assertIsNone(pool.choose(NOBODY, 1.0))
        pool.release(pool.backends[0])
        self.assertIs(pool.choose(NOBODY, 1.0), pool.backends[0])

    def test_slow_start(self) -> None:
        """A backend that comes back to a warm one begins with a tenth."""
        pool = pool_of(1, 1)
        probe(pool, 0, True, 0.0)
        probe(pool, 1, False, 0.0)
        probe(pool, 1, True, 20.0)
        probe(pool, 1, True, 21.0)
        self.assertEqual(names(pool, 22, 21.0).count("b"), 2)
        self.assertEqual(names(pool, 20, 31.0).count("b"), 10)

    def test_all_start(self) -> None:
        """When all come up together, none starts slowly."""
        pool = pool_of(1, 1)
        for place in (0, 1):
            probe(pool, place, False, 0.0)
        for place in (0, 1, 0, 1):
            probe(pool, place, True, 1.0)
        self.assertEqual(names(pool, 4, 1.0), "abab")

    def test_suspect(self) -> None:
        """A connection refused by live traffic is told at once; a time-out is not."""
        pool = pool_of(1, 1)
        suspects: list[Backend] = []
        pool.on_suspect = suspects.append
        pool.failed(pool.backends[0], ConnectFailed("refused", refused=True), 1.0)
        pool.failed(pool.backends[1], ConnectFailed("slow"), 1.0)
        self.assertEqual(suspects, pool.backends[:1])

    def test_ejected(self) -> None:
        """Five failures in a row put a backend out for ten seconds, but never the last one."""
        pool = pool_of(1, 1, slow_start=0.0)
        a, b = pool.backends
        for _ in range(5):
            pool.failed(a, UpstreamClosed("gone"), 1.0)
            pool.failed(b, ReusedConnectionClosed("no fault"), 1.0)
        self.assertEqual(names(pool, 2, 10.9), "bb")
        for _ in range(9):
            pool.answered(b, 503, 2.0)
        self.assertEqual(names(pool, 2, 10.9), "bb")
        self.assertIn("a", names(pool, 2, 11.0))

    def test_alike(self) -> None:
        """While all fail alike nobody is put out, until one answers; then it is the others."""
        pool = pool_of(1, 1, 1, slow_start=0.0)
        for _ in range(9):
            for backend in pool.backends:
                pool.failed(backend, UpstreamClosed("gone"), 1.0)
        self.assertEqual(sorted(names(pool, 3, 1.0)), ["a", "b", "c"])
        self.assertEqual(pool.report(1.0)["fails_alike"], "break connections off")
        self.assertTrue(pool.fails_alike(UpstreamClosed("gone"), 1.0))
        self.assertFalse(pool.fails_alike(ConnectFailed("refused"), 1.0))
        pool.answered(pool.backends[2], 200, 2.0)
        self.assertFalse(pool.fails_alike(UpstreamClosed("gone"), 2.0))
        self.assertIsNone(pool.report(2.0)["fails_alike"])
        for backend in pool.backends[:2]:
            pool.failed(backend, UpstreamClosed("gone"), 2.0)
        self.assertEqual(names(pool, 3, 2.0), "ccc")

    def test_alike_in_their_answers(self) -> None:
        """500 puts nobody out, but if all answer with it, it is told; so are probes."""
        pool = pool_of(1, 1)
        for _ in range(9):
            for backend in pool.backends:
                pool.answered(backend, 500, 1.0)
        self.assertEqual((pool.alike(1.0), names(pool, 2, 1.0)), ("answer 5xx", "ab"))
        self.assertEqual(pool.alike(11.1), "")
        for place in (0, 1):
            probe(pool, place, False, 20.0)
        self.assertEqual(pool.alike(20.0), "accept connections and fail their probes")

    def test_alike_in_their_probes(self) -> None:
        """Whose last probe passed does not fail: he is down until there are enough of those."""
        for count in (1, 2, 3):
            for outcomes in product("fpx", repeat=count):  # Fails, passes, and its port refuses.
                pool = pool_of(*[1] * count)
                elsewhere = pool_of(*[1] * count)
                for place, outcome in enumerate(outcomes):
                    probe(pool, place, False, 1.0, reached=outcome == "f")
                    probe(pool, place, outcome == "p", 2.0, reached=outcome != "x")
                    standing = pool.standing(pool.backends[place])
                    elsewhere.learn(elsewhere.backends[place], standing, 2.0)
                all_fail = count > 1 and set(outcomes) == {"f"}
                for each in (pool, elsewhere):
                    self.assertEqual({backend.state for backend in each.backends}, {State.DOWN})
                    self.assertEqual(bool(each.alike(2.0)), all_fail, outcomes)

    def test_turns(self) -> None:
        """Each change of a state is told with its cause."""
        pool = pool_of(1, 1)
        told: list[tuple[str, str, str]] = []
        pool.on_turn = lambda backend, detail: told.append(
            (backend.name, backend.state.value, detail)
        )
        probe(pool, 1, True, 0.5)
        probe(pool, 1, True, 1.0)
        for _ in range(6):
            pool.failed(pool.backends[0], UpstreamClosed("gone"), 1.0)
        names(pool, 2, 11.0)
        self.assertEqual(
            told,
            [
                ("b", "up", ""),
                ("a", "ejected", "live traffic failed; out for 10 s"),
                ("a", "up", "its time out is over"),
            ],
        )

    def test_connected(self) -> None:
        """In TCP mode a connection that stands ends a row of failures."""
        pool = pool_of(1, 1)
        for passes in (0, 1):
            for _ in range(4):
                pool.failed(pool.backends[0], ConnectFailed(), 1.0)
            if not passes:
                pool.connected(pool.backends[0], 1.0)
        self.assertEqual(pool.backends[0].state.value, "unknown")
        pool.failed(pool.backends[0], ConnectFailed(), 1.0)
        self.assertEqual(pool.backends[0].state.value, "ejected")

    def test_restarted(self) -> None:
        """Who was put out since its port was shut is back as soon as a probe passes."""
        pool = pool_of(1, 1, slow_start=0.0)
        a = pool.backends[0]
        for _ in range(5):
            pool.failed(a, ConnectFailed("refused", refused=True), 1.0)
        self.assertEqual(names(pool, 2, 1.5), "bb")
        probe(pool, 0, True, 2.0)
        self.assertEqual(sorted(names(pool, 2, 2.0)), ["a", "b"])

    def test_before_the_first_probe(self) -> None:
        """Who is put out before its first probe is out for as long as that says, if it passes."""
        for passed, then in ((True, State.EJECTED), (False, State.DOWN)):
            pool = pool_of(1, 1, slow_start=0.0)
            probe(pool, 1, True, 0.5)
            for _ in range(5):
                pool.answered(pool.backends[0], 503, 1.0)
            probe(pool, 0, passed, 1.5)
            self.assertIs(pool.backends[0].state, then)
            self.assertEqual(names(pool, 2, 10.9), "bb")
            self.assertEqual("a" in names(pool, 2, 11.0), passed)

    def test_ill(self) -> None:
        """A probe that passes says nothing of failures that only live traffic meets."""
        pool = pool_of(1, 1, slow_start=0.0)
        probe(pool, 0, True, 0.5)
        for _ in range(5):
            pool.answered(pool.backends[0], 503, 1.0)
        probe(pool, 0, True, 2.0)
        self.assertEqual(names(pool, 2, 2.0), "bb")

    def test_no_ejection(self) -> None:
        """Without `ejection` live traffic puts nobody out."""
        backends = (model.Backend("a", "h:1"), model.Backend("b", "h:2"))
        pool = Pool(model.Pool("api", backends, ejection=False), RoundRobin(), 0.0)
        for _ in range(50):
            pool.failed(pool.backends[0], UpstreamClosed("gone"), 1.0)
        self.assertEqual(names(pool, 4, 1.0), "abab")

    def test_report(self) -> None:
        """The report has each backend's state, since when, and its last probe."""
        pool = pool_of(1, 1)
        probe(pool, 0, False, 1.5)
        pool.acquire(pool.backends[1])
        first, second = pool.report(2.0)["backends"]
        self.assertEqual(first["state"], "down")
        self.assertEqual(first["since"], "1970-01-01T00:00:01.500+00:00")
        self.assertEqual((first["weight"], first["draining"]), (1, False))
        self.assertEqual(first["last_probe"]["passed"], False)
        self.assertEqual(
            (second["state"], second["in_flight"], second["last_probe"]), ("unknown", 1, None)
        )


class SaidTests(SynchronousTestCase):
    """What backends say of themselves."""

    def setUp(self) -> None:
        self.pool = pool_of(3, 3, slow_start=0.0, max_in_flight=4)
        self.a, self.b = self.pool.backends
        for place in (0, 1):
            probe(self.pool, place, True, 0.0)
        self.heard: list[str] = []
        self.pool.on_said = lambda backend: self.heard.append(f"{backend.name} {backend.said}")

    def says(self, said: Said, now: float = 1.0, *, passed: bool = True) -> None:
        """A probe of the first backend ends, and it has said something."""
        self.pool.probed(self.a, ProbeOutcome(passed, 0.0, "", True, now, said), now)

    def test_drain(self) -> None:
        """It gets nothing new while it says so; that is no failure, and heard of once."""
        for now in (1.0, 2.0):
            self.says(Said(drain=True), now)
            self.assertEqual(names(self.pool, 2, now), "bb")
        self.assertIs(self.a.state, State.UP)
        self.assertFalse(self.pool.has_other(NOBODY, self.b))
        self.says(NOTHING, 3.0)
        self.assertEqual(sorted(names(self.pool, 2, 3.0)), ["a", "b"])
        self.assertEqual(self.heard, ["a drain", "a nothing"])

    def test_late_while_draining(self) -> None:
        """One failure is not the end of a drain; to be down is."""
        self.says(Said(drain=True))
        for now in (2.0, 3.0):
            self.says(NOTHING, now, passed=False)
            self.assertEqual(names(self.pool, 2, now), "bb")
        self.assertEqual(self.a.said, Said(drain=True))
        self.says(NOTHING, 4.0, passed=False)
        self.assertEqual((self.a.state, self.a.said, self.a.weight), (State.DOWN, NOTHING, 3))

    def test_failure_says_nothing(self) -> None:
        """What an answer that failed says is not heard."""
        self.says(Said(drain=True), passed=False)
        self.assertEqual((self.heard, self.a.weight), ([], 3))

    def test_weight(self) -> None:
        """Of what it says and what people say the smaller one holds, whoever spoke last."""
        self.says(Said(weight=1))
        self.assertEqual(sorted(names(self.pool, 4, 1.0)), list("abbb"))
        self.pool.weigh(self.a, 0, 2.0)
        self.assertEqual(names(self.pool, 2, 2.0), "bb")
        self.pool.weigh(self.a, 9, 3.0)
        self.assertEqual(self.a.weight, 1)
        self.says(Said(weight=5), 4.0)
        self.assertEqual(self.a.weight, 5)
        self.says(NOTHING, 5.0)
        self.assertEqual(self.a.weight, 9)

    def test_capacity(self) -> None:
        """It has no more under way than it says, nor than the config says."""
        self.says(Said(capacity=1))
        self.pool.acquire(self.a)
        self.assertEqual(names(self.pool, 2, 1.0), "bb")
        self.assertTrue(self.pool.saturated({self.b}))
        self.pool.release(self.a)
        self.says(Said(capacity=100), 2.0)
        self.assertEqual(self.a.limit, 4)

    def test_less_than_is_under_way(self) -> None:
        """A capacity that is exceeded already lets nothing in until enough has ended."""
        for _ in range(3):
            self.pool.acquire(self.a)
        self.says(Said(capacity=2))
        for _ in range(2):
            self.assertEqual(names(self.pool, 2, 1.0), "bb")
            self.pool.release(self.a)
        self.assertIn("a", names(self.pool, 2, 1.0))
        for _ in range(2):
            self.pool.acquire(self.b)
        self.pool.acquire(self.a)
        self.says(Said(capacity=3), 2.0)
        self.assertIn("a", names(self.pool, 2, 2.0))

    def test_parts(self) -> None:
        """Several processes divide a capacity."""
        config = model.Pool("api", (model.Backend("a", "h:1"),), max_in_flight=64)
        pool = Pool(config, RoundRobin(), 0.0, parts=4)
        pool.hear(pool.backends[0], Said(capacity=10), 0.0)
        self.assertEqual(pool.backends[0].limit, 3)

    def test_report(self) -> None:
        """The report has what was said."""
        self.says(Said(weight=2, drain=True))
        said = [backend["says"] for backend in self.pool.report(2.0)["backends"]]
        self.assertEqual(said, [{"weight": 2, "drain": True}, {}])


class WeightTests(SynchronousTestCase):
    """Weights that change while the pool is at work."""

    def setUp(self) -> None:
        self.pool = pool_of(1, 1)
        for place in (0, 1):
            probe(self.pool, place, True, 0.0)
        self.a, self.b = self.pool.backends
        self.weighed: list[Backend] = []
        self.pool.on_weigh = self.weighed.append

    def test_many(self) -> None:
        """However many change between two choices, the tiers are sorted once; before the next."""
        sort, sorted_at = Tiers.sort, []

        def noted(tiers: Tiers, backends: Iterable[Backend]) -> None:
            sorted_at.append([each.weight for each in backends])
            sort(tiers, backends)

        self.patch(Tiers, "sort", noted)
        self.pool.weigh(self.a, 0, 20.0)
        self.pool.weigh(self.b, 3, 20.0)
        self.assertEqual(names(self.pool, 3, 20.0), "bbb")
        self.assertEqual(sorted_at, [[0, 3]])

    def test_another(self) -> None:
        """Another weight is another share at once, and heard of; the same one is no news."""
        self.pool.weigh(self.a, 3, 20.0)
        self.pool.weigh(self.a, 3, 20.0)
        self.assertEqual(sorted(names(self.pool, 4, 20.0)), list("aaab"))
        self.assertEqual(self.weighed, [self.a])

    def test_drained(self) -> None:
        """A drained backend is not chosen, not even as the last resort."""
        self.pool.weigh(self.a, 0, 20.0)
        self.assertEqual(names(self.pool, 2, 20.0), "bb")
        self.assertTrue(self.a.draining and not self.a.available)
        self.assertFalse(self.pool.has_other(NOBODY, self.b))
        for _ in range(3):
            probe(self.pool, 1, False, 21.0)
        self.assertEqual(names(self.pool, 1, 21.0), "b")
        self.assertIsNone(self.pool.choose({self.b}, 21.0))
        self.assertTrue(self.pool.drained())
        self.pool.weigh(self.b, 0, 22.0)
        self.assertEqual(names(self.pool, 1, 22.0), "-")

    def test_undrained_while_down(self) -> None:
        """One that is down meanwhile stays out, down since when it was."""
        self.pool.weigh(self.a, 0, 20.0)
        for _ in range(3):
            probe(self.pool, 0, False, 21.0)
        self.assertFalse(self.pool.drained())
        self.pool.weigh(self.a, 1, 30.0)
        self.assertEqual((names(self.pool, 2, 30.0), self.a.since), ("bb", 21.0))


class DrainedTests(SynchronousTestCase):
    """A backend that takes work again."""

    def setUp(self) -> None:
        self.pool = pool_of(1, 1)
        for place in (0, 1):
            probe(self.pool, place, True, 0.0)
        self.a, _ = self.pool.backends

    def test_starts_slowly(self) -> None:
        """After a drain it begins with a tenth, though no probe saw it down."""
        self.pool.weigh(self.a, 0, 20.0)
        self.pool.weigh(self.a, 1, 30.0)
        self.assertEqual(names(self.pool, 22, 30.0).count("a"), 2)
        self.assertEqual(names(self.pool, 20, 40.0).count("a"), 10)
        self.assertEqual(self.a.since, 30.0)

    def test_alone(self) -> None:
        """With nobody else to do the work it does all of it at once."""
        for backend in self.pool.backends:
            self.pool.hear(backend, Said(drain=True), 20.0)
        self.assertIsNone(self.pool.choose(NOBODY, 20.0))
        self.pool.hear(self.a, NOTHING, 30.0)
        self.assertFalse(self.a.starting)
        self.assertEqual(names(self.pool, 2, 30.0), "aa")


class TellingTests(SynchronousTestCase):
    """A pool that judges, and one that is told."""

    def setUp(self) -> None:
        self.judging, self.told = pool_of(1, 1), pool_of(1, 1)

    def tell(self, now: float) -> None:
        """Tell all that the judging pool knows."""
        for backend, other in zip(self.judging.backends, self.told.backends, strict=True):
            self.told.learn(other, self.judging.standing(backend), now)

    def test_probed(self) -> None:
        """What the probes say holds where it is told, with its time and its slow start."""
        for place in (0, 1):
            probe(self.judging, place, place == 0, 0.0)
        probe(self.judging, 1, True, 20.0)
        probe(self.judging, 1, True, 21.0)
        self.tell(21.5)
        self.assertEqual(self.told.report(22.0), self.judging.report(22.0))
        self.assertEqual(names(self.told, 20, 21.0).count("b"), 2)

    def test_weighed(self) -> None:
        """So does what was changed by hand, to the end of a drain and its slow start."""
        for place in (0, 1):
            probe(self.judging, place, True, 0.0)
        self.judging.weigh(self.judging.backends[1], 0, 20.0)
        self.tell(20.0)
        self.assertEqual(names(self.told, 2, 20.0), "aa")
        self.judging.weigh(self.judging.backends[1], 2, 30.0)
        self.tell(30.1)
        self.assertEqual(self.told.report(30.2), self.judging.report(30.2))
        self.assertEqual(names(self.told, 12, 30.0).count("b"), 2)

    def test_said(self) -> None:
        """So does what a backend says of itself, to the end of its drain and its slow start."""
        for place in (0, 1):
            probe(self.judging, place, True, 0.0)
        b = self.judging.backends[1]
        self.judging.hear(b, Said(drain=True, capacity=3), 20.0)
        self.tell(20.0)
        self.assertEqual(names(self.told, 2, 20.0), "aa")
        self.assertEqual(self.told.backends[1].limit, 3)
        self.judging.hear(b, NOTHING, 30.0)
        self.tell(30.1)
        self.assertEqual(self.told.report(30.2), self.judging.report(30.2))
        self.assertEqual(names(self.told, 11, 30.0).count("b"), 1)

    def test_every_probe(self) -> None:
        """Each probe is heard of, whether or not it turned anything."""
        heard: list[Backend] = []
        self.judging.on_probe = heard.append
        for _ in range(3):
            probe(self.judging, 0, True, 1.0)
        self.assertEqual(heard, [self.judging.backends[0]] * 3)

    def test_outlier(self) -> None:
        """Where another pool judges, an outlier is told, and is out once that was heard."""
        outliers: list[Backend] = []
        self.told.on_outlier = lambda backend, now: outliers.append(backend)
        a = self.told.backends[0]
        for _ in range(5):
            self.told.failed(a, UpstreamClosed("gone"), 1.0)
        self.assertEqual(outliers, [a])
        self.assertIn("a", names(self.told, 2, 1.0))
        self.judging.eject(self.judging.backends[0], 1.0)
        self.tell(1.0)
        self.assertEqual(names(self.told, 2, 10.9), "bb")
        self.assertIn("a", names(self.told, 20, 11.0))
        self.told.failed(a, UpstreamClosed("gone"), 11.0)
        self.assertEqual(outliers, [a])

    def test_last_one(self) -> None:
        """Of those that are spoken against the last one stays, whoever says so."""
        a, b = self.judging.backends
        self.judging.eject(a, 1.0)
        self.judging.eject(b, 1.0)
        self.judging.eject(a, 1.0)
        self.tell(1.0)
        self.assertEqual(names(self.told, 2, 1.0), "bb")
        self.judging.reinstate(a, 10.9)
        self.assertFalse(a.available)
        self.judging.reinstate(a, 11.0)
        self.tell(11.0)
        self.assertIn("a", names(self.told, 20, 11.0))
