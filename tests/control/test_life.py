"""The life of a worker, on a clock that the test moves."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.control.life import MOST, PATIENCE, STABLE, WorkerCore, life_of


class LifeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[str] = []
        self.states: list[str] = []
        self.core = WorkerCore(
            2,
            self.clock,
            spawn=lambda: self.done.append("spawn"),
            stop=lambda: self.done.append("stop"),
            kill=lambda: self.done.append("kill"),
            moved=lambda: self.states.append(self.core.state),
        )
        self.life = life_of(self.core)

    def serve(self) -> None:
        """Make the first process, which becomes ready."""
        self.life.start()
        self.life.ready()

    def assert_still(self) -> None:
        """Nothing is left on the clock."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_long_life(self) -> None:
        """It starts, serves, drains and is gone."""
        self.serve()
        self.assert_still()
        self.life.drain()
        self.life.exited("in order")
        self.assertEqual(self.states, ["starting", "serving", "draining", "gone"])
        self.assertEqual(self.done, ["spawn", "stop"])
        self.assertEqual(self.core.restarts, 0)
        self.assert_still()

    def test_first_end(self) -> None:
        """The first end is not waited for."""
        self.serve()
        self.life.exited("by signal 9")
        self.clock.advance(0.0)
        self.assertEqual((self.core.state, self.core.restarts), ("starting", 1))
        self.assertEqual(self.done, ["spawn", "spawn"])

    def test_crash_loop(self) -> None:
        """Ends in a row are waited for longer and longer, up to a limit."""
        self.life.start()
        waited = []
        for _ in range(9):
            self.life.exited("with exit status 1")
            (due,) = self.clock.getDelayedCalls()
            waited.append(due.getTime() - self.clock.seconds())
            self.clock.advance(waited[-1])
            self.assertEqual(self.core.state, "starting")
        self.assertEqual(waited, [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, MOST, MOST, MOST])

    def test_stable(self) -> None:
        """A process that served for a while makes what was before forgotten."""
        self.serve()
        for _ in range(3):
            self.life.exited("by signal 9")
            self.clock.advance(0.0)
            self.assertEqual(self.core.state, "starting")
            self.life.ready()
            self.clock.advance(STABLE)

    def test_never_ready(self) -> None:
        """A process that does not become ready is ended, and another one made."""
        self.life.start()
        self.clock.advance(PATIENCE)
        self.assertEqual(self.done, ["spawn", "kill"])
        self.life.exited("by signal 9")
        self.assertEqual(self.core.state, "backing off")

    def test_leaving(self) -> None:
        """When the process leaves of itself, the next one is made before it has ended."""
        self.serve()
        self.life.leaving()
        self.assertEqual(self.done, ["spawn", "spawn"])
        self.assertEqual((self.core.state, self.core.restarts), ("starting", 1))

    def test_drain_while_backing_off(self) -> None:
        """Then nothing is made any more."""
        self.life.start()
        self.life.exited("with exit status 1")
        self.life.drain()
        self.clock.advance(60.0)
        self.assertEqual((self.core.state, self.done), ("gone", ["spawn"]))
        self.assert_still()

    def test_drain_while_starting(self) -> None:
        """It is asked to end, and may still say that it is ready."""
        self.life.start()
        self.life.drain()
        self.life.ready()
        self.life.leaving()
        self.life.drain()
        self.assertEqual((self.core.state, self.done), ("draining", ["spawn", "stop"]))
        self.life.exited("in order")
        self.assertEqual(self.core.state, "gone")
        self.assert_still()

    def test_after_patience(self) -> None:
        """Until a process that was too slow has ended, it may be ready, or all may end."""
        for event, state in (("ready", "serving"), ("drain", "draining")):
            self.setUp()
            self.life.start()
            self.clock.advance(PATIENCE)
            getattr(self.life, event)()
            self.assertEqual((self.core.state, self.done[:2]), (state, ["spawn", "kill"]))

    def test_drain_before_all(self) -> None:
        """What was never started is gone at once."""
        self.life.drain()
        self.life.drain()
        self.assertEqual(self.done, [])
