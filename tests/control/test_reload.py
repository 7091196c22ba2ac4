"""A changed config, from its reading until the workers have it."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import model
from lbproxy.config.difference import Plan
from lbproxy.control import parent
from lbproxy.control.overrides import Kind, Note
from lbproxy.errors import ReloadRefused
from lbproxy.health.said import Said
from lbproxy.plugins import BalancerMaker
from lbproxy.probe.prober import FIRST_ROUND
from tests.control.staff import Staff
from tests.control.test_parent import ParentCase

A, B = model.Backend("a", "127.0.0.1:1"), model.Backend("b", "127.0.0.1:2")
C = model.Backend("c", "127.0.0.1:3")
ANN = Note("ann")


class ReloadCase(ParentCase):
    def write(self, **fields: Any) -> None:
        """Change something in the config that is read next."""
        self.staff.written = attrs.evolve(self.staff.written, **fields)

    def write_pool(self, *backends: model.Backend, **fields: Any) -> None:
        """Change the pool in it."""
        (pool,) = self.staff.written.pools
        changed = attrs.evolve(pool, backends=backends or pool.backends, **fields)
        self.write(pools=(changed,))

    def reload(self) -> Deferred[Plan]:
        """Ask for it."""
        return self.staff.reloader.reload()

    def reloaded(self) -> list[str]:
        """Do so, when nobody has to be waited for; the plan."""
        return self.successResultOf(self.reload()).lines()[:-1]

    def refused(self, asked: Deferred[Plan] | None = None) -> str:
        """Ask for it in vain; why."""
        failure = self.failureResultOf(self.reload() if asked is None else asked, ReloadRefused)
        return str(failure.value)

    @property
    def served(self) -> list[list[model.Config]]:
        """The configs that each worker was given."""
        return [hand.configs for hand in self.staff.hands]


class RefusedTests(ReloadCase):
    def setUp(self) -> None:
        super().setUp()
        self.staff.start()
        self.before = self.parent.config

    def assert_unchanged(self) -> None:
        """Nothing has changed, but the log was opened anew, since it may have been rotated."""
        self.assertEqual(self.parent.config, self.before)
        self.assertEqual(self.staff.reloader.config, self.before)
        self.assertEqual((self.staff.prepared, self.staff.adopted), ([], []))
        self.assertEqual(self.served, [[], []])
        self.assertEqual(self.staff.probes, {})
        self.assertEqual(self.staff.reopened, 1)
        for hand in self.staff.hands:
            self.assertEqual(hand.asked, ["start", "reopen"])

    def served_too_soon(self, config: model.Config) -> model.Config:
        """Note whose names are looked up; only those of the config that is served may be."""
        self.assertIs(config, self.staff.reloader.config)
        return config

    def test_mistakes(self) -> None:
        """Each mistake is told and logged in a line of its own."""
        self.staff.mistakes = "lb.toml:1: wokers: unknown key\nlb.toml:2: stop: unknown key"
        with capturedLogs() as logged:
            self.assertEqual(self.refused(), self.staff.mistakes)
        lines = [formatEvent(event) for event in logged]
        told = self.staff.mistakes.splitlines()
        self.assertEqual(lines, [f"reload refused: {line}" for line in told])
        self.assert_unchanged()

    def test_needs_restart(self) -> None:
        """What only a new start can change is told, all of it, and nothing else is changed."""
        self.write(workers=3, admin=None)
        self.write_pool(A, B, C)
        first, second = self.refused().splitlines()
        self.assertEqual(first, "~ workers: 2 -> 3: needs a restart")
        self.assertTrue(second.startswith("~ admin: {} -> none: needs"), second)
        self.assert_unchanged()

    def test_port_in_use(self) -> None:
        """A port that cannot be had."""
        self.staff.held = "listeners.web.endpoint: cannot listen on port 80"
        self.write_pool(A, C)
        self.assertEqual(self.refused(), self.staff.held)
        self.assert_unchanged()

    def test_log(self) -> None:
        """A new log that cannot be written, before anything is opened."""
        self.write(access_log="/nowhere/access.log")
        told = "access_log: cannot write to /nowhere/access.log: No such file or directory"
        self.assertEqual(self.refused(), told)
        self.assert_unchanged()

    def test_probe(self) -> None:
        """A probe that cannot be made; what was opened is closed."""

        def fails(config: model.Config, pool: model.Pool) -> Any:
            raise OSError("no more files")

        self.patch(self.parent, "_check_of", fails)
        self.write(pools=(attrs.evolve(self.before.pools[0], slow_start=1.0),))
        self.assertEqual(self.refused(), "no more files")
        self.assert_unchanged()
        self.assertEqual([pool.name for pool in self.parent.pools], ["api"])

    def test_own_policy(self) -> None:
        """A user's own policy that cannot be made of a worker's part is known before any hears."""

        def make(config: model.Pool, chance: Random) -> RoundRobin:
            if config.max_in_flight < 4:  # Of 6, each of two workers has 3.
                raise ValueError("too few")
            return RoundRobin()

        own = BalancerMaker("own", make)
        self.patch(parent, "balancer_maker", lambda name: own)
        self.write_pool(balancer="own")
        self.reloaded()
        self.before = self.parent.config
        for hand in self.staff.hands:
            hand.configs.clear()
            hand.asked.remove("reopen")
        self.staff.adopted.clear()
        self.staff.reopened = 0
        self.write_pool(C, max_in_flight=6)
        # What is known of the names that are served would be lost with those of another config.
        self.patch(self.staff.reloader, "_expand", self.served_too_soon)
        told = 'pools.api.balancer: "own" cannot be made, it raised ValueError: too few'
        self.assertEqual(self.refused(), told)
        self.assert_unchanged()
        self.assertEqual([each.name for each in self.parent.pools[0].backends], ["a", "b"])

    def test_corrected(self) -> None:
        """The next one is taken if it is right."""
        self.staff.mistakes = "wrong"
        self.refused()
        self.staff.mistakes = ""
        self.write_pool(max_in_flight=7)
        self.assertEqual(self.reloaded(), ["~ pools.api.max_in_flight: 256 -> 7"])

    def test_log_is_not_opened(self) -> None:
        """If the log cannot be opened anew, that is said, and all goes on with the one before."""
        self.staff.full = True
        with capturedLogs() as logged:
            self.assertEqual(self.reloaded(), [])
        lines = [formatEvent(event) for event in logged]
        self.assertIn("access_log: cannot be opened anew: the disk is full", lines)
        self.assertEqual([hand.asked for hand in self.staff.hands], [["start"], ["start"]])

    def test_worker_cannot_open_log(self) -> None:
        """The same where the worker opens it by itself."""

        def fails() -> None:
            raise OSError("the disk is full")

        self.patch(self.staff.hands[0], "reopen", fails)
        with capturedLogs() as logged:
            self.assertEqual(self.reloaded(), [])
        lines = [formatEvent(event) for event in logged]
        self.assertIn("access_log: cannot be opened anew: the disk is full", lines)


class TakenTests(ReloadCase):
    def setUp(self) -> None:
        super().setUp()
        self.staff.start()

    def test_same(self) -> None:
        """A config that has not changed is given to the workers: files that it names may have."""
        with capturedLogs() as logged:
            self.assertEqual(self.reloaded(), [])
        lines = [formatEvent(event) for event in logged]
        told = "reload: = 1 listener, 1 pool, 2 backends, 1 route unchanged"
        self.assertEqual(lines, [told])
        self.assertEqual(self.served, [[self.staff.written]] * 2)
        self.assertEqual(len(self.staff.checked), 3)  # At the start, to see, and to be served.

    def test_taken(self) -> None:
        """All hear of it, with how all stand; then the log is opened anew."""
        self.write(stop=model.Stop(5.0))
        self.write_pool(A, attrs.evolve(B, weight=3))
        told = ["~ pools.api.backends.b.weight: 1 -> 3", "~ stop.drain: 30.0 -> 5.0"]
        self.assertEqual(self.reloaded(), told)
        written = self.staff.written
        self.assertEqual((self.staff.prepared, self.staff.adopted), ([written], [written]))
        self.assertEqual(self.served, [[written], [written]])
        self.assertEqual(self.parent.config, written)
        for hand in self.staff.hands:
            self.assertEqual((hand.states, hand.weights), (["up", "up"], [1, 3]))
            self.assertEqual(hand.asked, ["start", "reopen"])
        self.assertEqual(self.reloaded(), [])

    def test_health_stays(self) -> None:
        """Who stays is judged as before, and is not probed before its time."""
        self.staff.hands[0].occupant.outlier(("api", "a"))
        self.write_pool(attrs.evolve(A, weight=2), B)
        self.reloaded()
        self.assertEqual(self.staff.probes, {})
        self.assertEqual(self.staff.hands[0].states, ["ejected", "up"])
        self.assertEqual(self.staff.hands[0].standings["api", "a"].until, 10.0)
        self.staff.clock.advance(10.0)
        self.assertEqual(self.staff.hands[0].states, ["up", "up"])

    def test_gone(self) -> None:
        """Who is gone is not probed, and does not come back when its time out is over."""
        self.staff.hands[0].occupant.outlier(("api", "a"))
        self.staff.hands[0].occupant.suspect(("api", "a"))
        self.assertEqual(list(self.staff.probes), ["a"])
        asking = self.staff.probes.pop("a")
        self.write_pool(B)
        self.assertEqual(self.reloaded(), ["- pools.api.backends.a"])
        self.assertTrue(asking.called)
        self.assertEqual(list(self.staff.hands[0].standings), [("api", "b")])
        self.staff.pass_time(20.0)
        self.assertEqual(list(self.staff.probes), ["b"])
        self.assertEqual(list(self.staff.hands[0].standings), [("api", "b")])

    def test_pools(self) -> None:
        """A pool that is gone is not probed any more, and of what is told of it nothing is made."""
        self.write(pools=(model.Pool("other", (C,)),), routes=(model.Route("/", pool="other"),))
        asked = self.reload()
        self.staff.answer(c=True)
        self.successResultOf(asked)
        self.staff.pass_time(10.0)
        self.assertEqual(list(self.staff.probes), ["c"])
        first = self.staff.hands[0].occupant
        first.outlier(("api", "a"))
        first.suspect(("api", "a"))
        self.assertEqual([pool.name for pool in self.parent.pools], ["other"])
        self.assertEqual(list(self.staff.hands[0].standings), [("other", "c")])

    def test_order(self) -> None:
        """Pools are reported in the order of the config."""
        (pool,) = self.staff.written.pools
        self.write(pools=(attrs.evolve(pool, name="first", health=None), pool))
        self.reloaded()
        self.assertEqual([each.name for each in self.parent.pools], ["first", "api"])

    def test_interval(self) -> None:
        """A shorter interval holds at once."""
        self.write_pool(health=model.Health(interval=1.0))
        self.reloaded()
        self.staff.pass_time(0.9)
        self.assertEqual(self.staff.probes, {})
        self.staff.pass_time(0.4)
        self.assertEqual(sorted(self.staff.probes), ["a", "b"])

    def test_probes_off_and_on(self) -> None:
        """Without probes all are up; with them again the first verdicts come before it is told."""
        self.staff.hands[0].occupant.suspect(("api", "a"))
        asking = self.staff.probes.pop("a")
        self.write_pool(health=None)
        self.reloaded()
        self.assertTrue(asking.called)
        self.staff.pass_time(20.0)
        self.staff.hands[0].occupant.suspect(("api", "a"))
        self.assertEqual(self.staff.probes, {})
        self.write_pool(health=model.Health())
        asked = self.reload()
        self.staff.answer(a=False)
        self.assertNoResult(asked)
        self.staff.answer(b=True)
        self.successResultOf(asked)
        self.assertEqual(self.staff.hands[0].states, ["down", "up"])

    def test_other_use(self) -> None:
        """A pool that takes sessions now is probed in another way."""
        seen: list[frozenset[str]] = []
        check_of = self.staff.check_of

        def noted(config: model.Config, pool: model.Pool) -> Any:
            seen.append(config.stream_pools)
            return check_of(config, pool)

        self.patch(self.parent, "_check_of", noted)
        listener = model.Listener("db", "tcp:1", mode="tcp", pool="api")
        self.write(listeners=(*self.staff.written.listeners, listener), routes=())
        self.reloaded()
        self.assertEqual({*seen}, {frozenset({"api"})})


class OverrideTests(ReloadCase):
    def setUp(self) -> None:
        super().setUp()
        self.staff.start()

    def test_kept(self) -> None:
        """What people have changed holds on for who stays, whatever the config says now."""
        self.parent.overrides.drain(("api", "a"), ANN)
        self.parent.overrides.weigh(("api", "b"), 5, ANN)
        self.write_pool(attrs.evolve(A, weight=7), attrs.evolve(B, weight=8))
        self.reloaded()
        self.assertEqual(self.staff.hands[1].weights, [0, 5])
        self.parent.overrides.undrain(("api", "a"), ANN)
        self.parent.overrides.unweigh(("api", "b"), ANN)
        self.assertEqual(self.staff.hands[1].weights, [7, 8])

    def test_dropped(self) -> None:
        """It is dropped, and that is said, with who is gone; who comes back is as in the config."""
        self.parent.overrides.drain(("api", "a"), Note("ann", "disk", 3600.0))
        self.write_pool(B)
        with capturedLogs() as logged:
            self.reloaded()
        lines = [formatEvent(event) for event in logged]
        told = "api/a is gone, and with it the drain by ann for 3600 s: disk"
        self.assertIn(told, lines)
        self.assertIsNone(self.parent.overrides.of(("api", "a"), Kind.DRAIN))
        self.write_pool(A, B)
        asked = self.reload()
        self.staff.answer(a=True)
        self.successResultOf(asked)
        self.assertEqual(self.staff.hands[0].weights, [1, 1])

    def test_refused(self) -> None:
        """A config that is refused drops nothing."""
        self.parent.overrides.drain(("api", "a"), ANN)
        self.write_pool(B)
        self.staff.held = "port in use"
        self.refused()
        self.assertIsNotNone(self.parent.overrides.of(("api", "a"), Kind.DRAIN))

    def test_meanwhile(self) -> None:
        """A change while newcomers are probed holds at once, and afterwards."""
        self.write_pool(A, B, C)
        asked = self.reload()
        self.parent.overrides.drain(("api", "a"), ANN)
        self.assertEqual(self.staff.hands[0].weights, [0, 1])
        self.staff.answer(c=True)
        self.successResultOf(asked)
        self.assertEqual(self.staff.hands[0].weights, [0, 1])

    def test_over_meanwhile(self) -> None:
        """The end of a change at who is about to go breaks nothing."""
        self.parent.overrides.drain(("api", "a"), Note("ann", "", 0.5))
        self.write_pool(B, C)
        asked = self.reload()
        self.staff.clock.advance(0.5)
        self.assertIsNone(self.parent.overrides.of(("api", "a"), Kind.DRAIN))
        self.staff.answer(c=True)
        self.successResultOf(asked)
        self.assertEqual(list(self.staff.hands[0].standings), [("api", "b"), ("api", "c")])

    def test_moved(self) -> None:
        """A backend with another address is drained if its name is."""
        self.parent.overrides.drain(("api", "a"), ANN)
        self.write_pool(attrs.evolve(A, address="127.0.0.1:9"), B)
        asked = self.reload()
        self.staff.answer(a=True)
        self.successResultOf(asked)
        self.assertEqual(self.staff.hands[0].weights, [0, 1])

    def test_says(self) -> None:
        """What a backend says of itself holds on too."""
        while "a" not in self.staff.probes:
            self.staff.pass_time(0.05)
        self.staff.answers("a", Said(weight=2))
        self.write_pool(attrs.evolve(A, weight=7), B)
        self.reloaded()
        self.assertEqual(self.staff.hands[0].weights, [2, 1])


class NewcomerTests(ReloadCase):
    def setUp(self) -> None:
        super().setUp()
        self.staff.start()

    def test_probed_first(self) -> None:
        """The workers hear of who is new with its first verdict, and of nothing before."""
        self.write_pool(attrs.evolve(A, weight=0), B, C)
        asked = self.reload()
        self.assertEqual(list(self.staff.probes), ["c"])
        self.assertNoResult(asked)
        for hand in self.staff.hands:
            self.assertEqual((hand.configs, hand.weights), ([], [1, 1]))
            self.assertNotIn(("api", "c"), hand.standings)
        self.staff.answer(c=False)
        self.successResultOf(asked)
        for hand in self.staff.hands:
            self.assertEqual((len(hand.configs), hand.weights), (1, [0, 1]))
            self.assertEqual(hand.standings["api", "c"].state.value, "down")

    def test_silent(self) -> None:
        """Who does not answer in time is waited for no longer than at the start."""
        self.write_pool(A, B, C, health=model.Health(timeout=5.0))
        asked = self.reload()
        self.staff.clock.advance(FIRST_ROUND)
        self.successResultOf(asked)
        self.assertEqual(self.staff.hands[0].standings["api", "c"].state.value, "unknown")
        self.staff.answer(c=True)
        self.assertEqual(self.staff.hands[0].standings["api", "c"].state.value, "up")

    def test_others_meanwhile(self) -> None:
        """What is seen of the others meanwhile is told at once."""
        self.write_pool(A, B, C)
        asked = self.reload()
        self.staff.hands[1].occupant.outlier(("api", "a"))
        self.assertEqual(self.staff.hands[0].states, ["ejected", "up"])
        self.staff.answer(c=True)
        self.successResultOf(asked)
        self.assertEqual(self.staff.hands[0].states, ["ejected", "up"])

    def test_moved(self) -> None:
        """What is seen at another address is not told of the one that the workers still have."""
        self.write_pool(attrs.evolve(A, address="127.0.0.1:9"), B, C)
        asked = self.reload()
        self.staff.answer(a=False)
        self.assertEqual(self.staff.hands[0].states, ["up", "up"])
        self.staff.hands[0].occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        newcomer = self.staff.hands[2]
        newcomer.occupant.ready({})
        self.assertEqual(list(newcomer.standings), [("api", "b")])
        self.staff.answer(c=True)
        self.successResultOf(asked)
        for hand in self.staff.hands[1:]:
            self.assertEqual(hand.states, ["down", "up"])
            self.assertEqual(len(hand.standings), 3)

    def test_late_worker(self) -> None:
        """A worker that is made afterwards is told of all, and is made for the new config."""
        self.write_pool(A, B, C)
        asked = self.reload()
        self.staff.answer(c=True)
        self.successResultOf(asked)
        self.staff.hands[1].occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        newcomer = self.staff.hands[2]
        newcomer.occupant.ready({})
        self.assertEqual(len(newcomer.standings), 3)
        self.assertEqual(self.staff.adopted[-1], self.staff.written)


class TurnTests(ReloadCase):
    def test_one_after_the_other(self) -> None:
        """Who asks while one is under way gets what is different after it."""
        self.staff.start()
        self.write_pool(A, B, C)
        first = self.reload()
        second = self.reload()
        self.write_pool(max_in_flight=7)
        third = self.reload()
        self.assertEqual(len(self.staff.prepared), 1)
        self.staff.answer(c=True)
        plans = [self.successResultOf(each).lines()[:-1] for each in (first, second, third)]
        self.assertEqual(
            plans,
            [
                ["+ pools.api.backends.c (127.0.0.1:3)"],
                ["~ pools.api.max_in_flight: 256 -> 7"],
                [],
            ],
        )
        self.assertEqual([len(configs) for configs in self.served], [3, 3])

    def test_after_refused(self) -> None:
        """One that is refused does not hold up the next."""
        self.staff.start()
        self.write_pool(A, B, C)
        first = self.reload()
        self.staff.mistakes = "wrong"
        second, third = self.reload(), self.reload()
        self.staff.answer(c=True)
        self.successResultOf(first)
        self.assertEqual([self.refused(second), self.refused(third)], ["wrong", "wrong"])

    def test_at_the_start(self) -> None:
        """While the first verdicts are awaited it waits too; the workers accept when it is done."""
        self.parent.startService()
        for hand in self.staff.hands:
            hand.occupant.ready({})
        self.write_pool(A, B, C)
        asked = self.reload()
        self.staff.answer(a=True)
        self.assertEqual(list(self.staff.probes), ["b"])
        self.assertEqual([hand.queues for hand in self.staff.hands], [[], []])
        self.staff.answer(b=True)
        self.assertEqual([hand.queues for hand in self.staff.hands], [[], []])
        self.assertEqual(self.served, [[], []])
        self.staff.answer(c=True)
        self.successResultOf(asked)
        self.assertEqual([len(configs) for configs in self.served], [1, 1])
        self.assertEqual([hand.queues for hand in self.staff.hands], [[0], [1]])


class EndTests(ReloadCase):
    """At the end; `tearDown` sees that nothing is left."""

    def tearDown(self) -> None:
        self.successResultOf(self.drained)
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.staff.clock.getDelayedCalls(), [])

    def drain(self) -> None:
        """All ends; the workers at once."""
        self.drained = self.parent.drain()
        for hand in self.staff.hands:
            hand.occupant.exited("in order")

    def test_draining(self) -> None:
        """While all ends nothing is read, opened or probed any more."""
        self.staff.start()
        self.drain()
        self.staff.mistakes = "is not read"
        self.write_pool(A, B, C)
        self.assertEqual(self.refused(), "the balancer is about to end")
        self.assertEqual((self.staff.prepared, self.staff.probes), ([], {}))

    def test_meanwhile(self) -> None:
        """If all ends while newcomers are probed, what was opened is closed."""
        self.staff.start()
        self.write_pool(A, B, C)
        asked = self.reload()
        self.assertEqual(len(self.staff.prepared), 1)
        self.drain()
        self.staff.answer(c=True)
        self.assertEqual(self.refused(asked), "the balancer is about to end")
        self.assertEqual((self.staff.prepared, self.staff.adopted), ([], []))
        self.assertEqual(self.served, [[], []])

    def test_before_its_turn(self) -> None:
        """If all ends before its turn comes, nobody new is probed at all."""
        self.parent.startService()
        self.write_pool(A, B, C)
        asked = self.reload()
        self.drain()
        self.staff.answer(a=True, b=True)
        self.assertEqual(self.refused(asked), "the balancer is about to end")
        self.assertEqual((self.staff.prepared, self.staff.probes), ([], {}))


class OneWorkerTests(ReloadCase):
    def setUp(self) -> None:
        self.staff = Staff(workers=1)
        self.parent = self.staff.parent
        self.staff.start()

    def test_addresses(self) -> None:
        """Where a worker listens then is logged, as far as it is new, and reported."""
        (hand,) = self.staff.hands
        with capturedLogs() as logged:
            hand.occupant.listening({"web": "http://x/", "other": "http://y/"})
        lines = [formatEvent(event) for event in logged]
        self.assertEqual(lines, ["other listens on http://y/"])
        self.assertEqual(self.parent.addresses, {"web": "http://x/", "other": "http://y/"})
        hand.occupant.listening({"web": "http://x/"})
        with capturedLogs() as logged:
            hand.occupant.listening({"web": "http://x/", "other": "http://y/"})
        self.assertEqual([formatEvent(event) for event in logged], lines)
