"""The ends of streams, spread over some seconds."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.proxy.spread import Spread


class Told:
    """A stream that notes when it is told to end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: list[float] = []

    def depart(self) -> None:
        self.at.append(self._clock.seconds())


class SpreadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.spread = Spread(self.clock)

    def join(self, count: int = 1) -> list[Told]:
        """So many streams begin."""
        told = [Told(self.clock) for _ in range(count)]
        for each in told:
            self.spread.join(each)
        return told

    def check(self, streams: list[Told], *at: float) -> None:
        """Each was told once, then; and nothing is left on the clock."""
        self.assertEqual([each.at for each in streams], [[each] for each in at])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_evenly(self) -> None:
        """Each has its time, in the order in which they began; the first one now."""
        streams = self.join(4)
        self.spread.begin(2.0)
        self.clock.pump([0.25] * 8)
        self.check(streams, 0.0, 0.5, 1.0, 1.5)

    def test_alone(self) -> None:
        """One that is alone waits for nobody."""
        streams = self.join()
        self.spread.begin(5.0)
        self.check(streams, 0.0)

    def test_at_once(self) -> None:
        """Over no time all end now."""
        streams = self.join(3)
        self.spread.begin(0.0)
        self.check(streams, 0.0, 0.0, 0.0)

    def test_behind(self) -> None:
        """A clock that was late makes up for it."""
        streams = self.join(4)
        self.spread.begin(2.0)
        self.clock.advance(1.1)
        self.clock.advance(0.4)
        self.check(streams, 0.0, 1.1, 1.1, 1.5)

    def test_ended_before(self) -> None:
        """Whoever has ended is not told, and takes no time."""
        first, second, third, fourth = self.join(4)
        self.spread.leave(first)
        self.spread.begin(3.0)
        self.spread.leave(third)
        self.clock.advance(1.0)
        self.check([second, fourth], 0.0, 1.0)
        self.assertEqual(first.at + third.at, [])

    def test_all_ended(self) -> None:
        """When all have ended the clock is left alone."""
        streams = self.join(2)
        self.spread.begin(3.0)
        self.spread.leave(streams[1])
        self.check(streams[:1], 0.0)

    def test_late(self) -> None:
        """One that begins meanwhile is the last one, and one that begins after is told soon."""
        streams = self.join(2)
        self.spread.begin(2.0)
        streams += self.join()
        self.clock.pump([1.0, 1.0])
        self.check(streams, 0.0, 1.0, 2.0)
        self.clock.advance(10.0)
        late = self.join()
        self.assertEqual(late[0].at, [])  # Not while it is being made.
        self.clock.advance(0.0)
        self.check(late, 12.0)

    def test_many_late(self) -> None:
        """However many begin meanwhile, all are told by the time that they are spread over."""
        for before in range(3):
            spread = self.spread = Spread(self.clock)
            began = self.clock.seconds()
            streams = self.join(before)
            spread.begin(4.0)
            streams += self.join(5)
            self.clock.pump([0.5] * 8)
            self.assertEqual([len(each.at) for each in streams], [1] * len(streams))
            self.assertEqual(max(each.at[0] for each in streams), began + 4.0)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_begun(self) -> None:
        """Until it begins nobody is told, and the streams are counted."""
        streams = self.join(2)
        self.assertEqual(len(self.spread), 2)
        self.spread.leave(streams[0])
        self.assertEqual((len(self.spread), self.clock.getDelayedCalls()), (1, []))
