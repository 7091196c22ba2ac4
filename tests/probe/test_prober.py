"""When backends are probed, on a clock that the test moves."""

from __future__ import annotations

import itertools
import random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import State
from lbproxy.config import model
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.probe.prober import Prober

HEALTH = model.Health()


class ProberTests(SynchronousTestCase):
    """One backend; its probes wait until the test answers them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[float, Deferred[ProbeOutcome]]] = []
        config = model.Pool("api", (model.Backend("a", "127.0.0.1:1"),))
        self.pool = Pool(config, RoundRobin(), 0.0)
        self.backend = self.pool.backends[0]
        self.prober = Prober(self.clock, self.pool, self.check, random.Random(1))
        self.prober.startService()

    def check(self, backend: model.Backend, health: model.Health) -> Deferred[ProbeOutcome]:
        asking: Deferred[ProbeOutcome] = Deferred()
        self.asked.append((self.clock.seconds(), asking))
        return asking

    def answer(self, passed: bool) -> None:
        """End the last probe."""
        outcome = ProbeOutcome(passed, 0.0, "", True, self.clock.seconds())
        self.asked[-1][1].callback(outcome)

    def run_for(self, seconds: float) -> None:
        """Let time pass in small steps."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def test_interval(self) -> None:
        """A healthy backend is probed every five seconds, give or take a tenth."""
        while len(self.asked) <= 10:
            if not self.asked[-1][1].called:
                self.answer(True)
            self.run_for(0.05)
        times = [time for time, _ in self.asked]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        self.assertEqual(len(gaps), 10)
        self.assertTrue(all(4.4 <= gap <= 5.8 for gap in gaps), gaps)
        self.assertGreater(len({round(gap, 2) for gap in gaps}), 1)

    def test_faster_while_changing(self) -> None:
        """What speaks against the verdict is looked into every half second."""
        self.answer(True)
        self.run_for(5.8)
        self.answer(False)
        self.run_for(0.75)
        self.assertEqual(len(self.asked), 3)
        self.answer(False)
        self.run_for(0.75)
        self.answer(False)
        self.assertIs(self.backend.state, State.DOWN)

    def test_timeout(self) -> None:
        """A probe that takes longer than the timeout has failed; of its port nothing is known."""
        self.run_for(1.1)
        self.assertIs(self.backend.state, State.DOWN)
        assert self.backend.last_probe is not None
        self.assertEqual(self.backend.last_probe.detail, "no answer in 1.0 s")
        self.assertFalse(self.backend.reached)

    def test_outcome_at_the_end(self) -> None:
        """What a check still says when its time is over counts."""
        outcome = ProbeOutcome(True, 1.0, "just so", True, 1.0)

        def check(backend: model.Backend, health: model.Health) -> Deferred[ProbeOutcome]:
            return Deferred(lambda asking: asking.callback(outcome))

        self.answer(True)
        self.prober.reconfigure(check)
        self.run_for(7.0)
        self.assertEqual(self.backend.last_probe, outcome)

    def test_suspect(self) -> None:
        """A suspect is probed at once, and never twice at a time."""
        self.answer(True)
        self.prober.probe_now(self.backend)
        self.prober.probe_now(self.backend)
        self.assertEqual(len(self.asked), 2)

    def test_first_round(self) -> None:
        """The first round is over when each backend has a verdict."""
        first = self.prober.first_round()
        self.assertNoResult(first)
        self.answer(True)
        self.successResultOf(first)
        self.successResultOf(self.prober.first_round())

    def test_first_round_is_bounded(self) -> None:
        """A probe that takes long does not keep clients waiting for more than a second."""
        first = self.prober.first_round()
        self.run_for(1.0)
        self.successResultOf(first)

    def test_stop_while_asking(self) -> None:
        """Stopping cancels the probe under way and leaves nothing on the clock."""
        self.prober.first_round()
        self.successResultOf(self.prober.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(self.backend.state, State.UNKNOWN)

    def test_broken_check(self) -> None:
        """A check that fails in a way that nobody thought of is logged, and probes go on."""
        self.asked[-1][1].errback(ValueError("unthought of"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.run_for(6.0)
        self.assertGreater(len(self.asked), 1)

    def test_cancelled(self) -> None:
        """A check that gives itself up has failed, as long as nobody has asked it to."""
        self.asked[-1][1].cancel()
        assert self.backend.last_probe is not None
        self.assertEqual(self.backend.last_probe.detail, "was cancelled")

    def test_said_in_vain(self) -> None:
        """What cannot be heard is logged once."""
        with capturedLogs() as logged:
            for _ in range(3):
                now = self.clock.seconds()
                outcome = ProbeOutcome(True, 0.0, "", True, now, ignored=("weight is no number",))
                self.asked[-1][1].callback(outcome)
                self.run_for(6.0)
        told = [formatEvent(event) for event in logged]
        self.assertEqual(told, ["api/a is probed well, but weight is no number: that is ignored"])

    def test_without_health(self) -> None:
        """With `health = false` nobody is probed, and the backends are taken as up."""
        config = model.Pool("api", (model.Backend("a", "127.0.0.1:1"),), health=None)
        pool = Pool(config, RoundRobin(), 0.0)
        clock, before = Clock(), len(self.asked)
        prober = Prober(clock, pool, self.check, random.Random(1))
        prober.startService()
        self.successResultOf(prober.first_round())
        self.assertEqual((len(self.asked), clock.getDelayedCalls()), (before, []))
        self.assertIs(pool.backends[0].state, State.UP)
        self.successResultOf(prober.stopService())

    def take(self, *names: str, health: model.Health | None = HEALTH) -> None:
        """Probe by another config."""
        backends = tuple(model.Backend(name, f"{name}:1") for name in names)
        backends = (self.backend.config, *backends) if "a" not in names else backends
        config = model.Pool("api", backends, health=health)
        self.pool.reconfigure(config, None, self.clock.seconds())
        self.prober.reconfigure(self.check)

    def test_joined(self) -> None:
        """Who joins is probed at once, and the others when they would have been anyway."""
        self.answer(True)
        self.clock.advance(2.0)
        self.take("b")
        self.assertEqual([at for at, _ in self.asked[1:]], [2.0])
        self.answer(True)
        self.run_for(1.0)
        self.assertEqual(len(self.asked), 2)

    def test_first_round_of_who_joins(self) -> None:
        """There is a first round for who joins, too; who leaves meanwhile is not waited for."""
        self.answer(True)
        self.take("b", "c")
        first = self.prober.first_round()
        self.answer(True)
        self.assertNoResult(first)
        self.take("c")
        self.successResultOf(first)
        self.take("b", "c", "d")
        self.take()
        self.assertEqual([asking.called for _, asking in self.asked], [True] * len(self.asked))

    def test_other_check(self) -> None:
        """The next probe goes the new way; that under way still counts."""
        other: list[str] = []

        def check(backend: model.Backend, health: model.Health) -> Deferred[ProbeOutcome]:
            other.append(backend.name)
            return Deferred()

        self.prober.reconfigure(check)
        self.answer(False)
        self.assertEqual((self.backend.state, other), (State.DOWN, []))
        self.run_for(1.0)
        self.assertEqual(other, ["a"])

    def test_shorter(self) -> None:
        """A shorter interval holds at once, counted from now; a longer one from the next probe."""
        self.answer(True)
        self.run_for(1.0)
        self.take(health=model.Health(interval=2.0))
        self.run_for(1.75)
        self.assertEqual(len(self.asked), 1)
        self.run_for(0.5)
        self.assertEqual(len(self.asked), 2)
        self.answer(True)
        self.take(health=model.Health(interval=60.0))
        self.run_for(3.0)
        self.assertEqual(len(self.asked), 3)
        self.answer(True)
        self.run_for(50.0)
        self.assertEqual(len(self.asked), 3)

    def test_off_and_on(self) -> None:
        """Turned off nobody is asked, whatever live traffic shows; turned on, all are at once."""
        self.take(health=None)
        self.assertTrue(self.asked[0][1].called)
        self.successResultOf(self.prober.first_round())
        self.run_for(20.0)
        self.pool.suspect(self.backend)
        self.assertEqual(len(self.asked), 1)
        self.take()
        self.assertEqual([at for at, _ in self.asked[1:]], [self.clock.seconds()])
        self.assertNoResult(self.prober.first_round())
        self.answer(True)
        self.run_for(1.0)
        self.pool.suspect(self.backend)
        self.assertEqual(len(self.asked), 3)
        self.successResultOf(self.prober.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_while_off(self) -> None:
        """A prober without probes ends as others do."""
        self.take(health=None)
        self.successResultOf(self.prober.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
