"""One coarse timer for all deadlines."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.timer import NEVER, RESOLUTION, CoarseTimer


class Watched:
    """Something with a deadline that remembers when it was over."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.over: list[float] = []

    def expired(self, now: float) -> None:
        self.over.append(now)
        self.deadline = NEVER


class Faulty(Watched):
    """Something that fails at its deadline."""

    def expired(self, now: float) -> None:
        super().expired(now)
        raise ZeroDivisionError


class First(Watched):
    """Something at whose deadline others are put off, or ended."""

    def __init__(self, deadline: float, timer: CoarseTimer, others: list[Watched]) -> None:
        super().__init__(deadline)
        self._timer = timer
        self._others = others

    def expired(self, now: float) -> None:
        super().expired(now)
        later, gone = self._others
        later.deadline = now + 2.0
        self._timer.discard(gone)


class CoarseTimerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timer = CoarseTimer(self.clock)
        self.timer.startService()
        self.addCleanup(self.timer.stopService)

    def test_deadlines(self) -> None:
        """A deadline is noticed once, at most one tick late, and never early."""
        watched = [Watched(second) for second in (1.0, 1.3, NEVER)]
        for one in watched:
            self.timer.add(one)
        self.clock.pump([0.1] * 30)
        first, second, third = (one.over for one in watched)
        self.assertTrue(1.0 <= first[0] <= 1.0 + RESOLUTION + 0.01, first)
        self.assertTrue(1.3 <= second[0] <= 1.3 + RESOLUTION + 0.01, second)
        self.assertEqual((len(first), len(second), third), (1, 1, []))

    def test_put_off(self) -> None:
        """What another deadline of the same tick has put off or ended is not over in that tick."""
        others = [Watched(1.0), Watched(1.0)]
        for one in (First(1.0, self.timer, others), *others):
            self.timer.add(one)
        self.clock.pump([0.1] * 15)
        self.assertEqual([one.over for one in others], [[], []])
        self.clock.pump([0.1] * 30)
        self.assertEqual([len(one.over) for one in others], [1, 0])

    def test_read_late(self) -> None:
        """Who is held up knows it while that lasts, and until all that came has been read."""
        self.clock.pump([0.1] * 20)
        self.assertLess(self.timer.read_late(self.clock.seconds()), 0.0)
        held_up = self.clock.seconds() + 3.0
        self.assertEqual(self.timer.read_late(held_up), NEVER)
        self.clock.advance(3.0)
        until = self.timer.read_late(held_up)
        self.assertTrue(held_up < until <= held_up + RESOLUTION)
        self.clock.pump([0.1] * 20)
        self.assertEqual(self.timer.read_late(self.clock.seconds()), until)

    def test_held_up(self) -> None:
        """A deadline that passed while we were held up is over one tick later, if still then."""
        answered, silent = Watched(3.0), Watched(3.0)
        self.timer.add(answered)
        self.timer.add(silent)
        self.clock.pump([0.5] * 4)
        self.clock.advance(60.0)
        self.assertEqual((answered.over, silent.over), ([], []))
        answered.deadline = NEVER  # What had come meanwhile is read.
        self.clock.advance(RESOLUTION)
        self.assertEqual((answered.over, len(silent.over)), ([], 1))

    def test_always_late(self) -> None:
        """Who is held up all the time ends what is over all the same."""
        one = Watched(3.0)
        self.timer.add(one)
        self.clock.pump([2.0] * 4)
        self.assertEqual(len(one.over), 1)

    def test_discarded(self) -> None:
        """What is not watched any more hears nothing."""
        one = Watched(1.0)
        self.timer.add(one)
        self.timer.discard(one)
        self.clock.pump([0.5] * 4)
        self.assertEqual(one.over, [])

    def test_fault(self) -> None:
        """A fault of one does not stop the clock of the others, and is logged."""
        faulty, one = Faulty(0.5), Watched(1.0)
        self.timer.add(faulty)
        self.timer.add(one)
        self.clock.pump([0.5] * 4)
        self.assertEqual((len(faulty.over), len(one.over)), (1, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
