"""What people have changed: how it is laid over the config, and when it ends."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.control.link import Names
from lbproxy.control.overrides import Kind, Note, Overrides

KLEIN = "api", "klein"
NOTE = Note("ann", "deploy 4.2")


class OverridesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100.0)
        self.changed: list[Names] = []
        self.overrides = Overrides(self.clock, self.changed.append)

    def tearDown(self) -> None:
        """Nothing is left on the clock, whatever still holds."""
        self.overrides.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def weight(self) -> int:
        """That of the backend, whose config says 3."""
        return self.overrides.weight(KLEIN, 3)

    def test_none(self) -> None:
        """Without a change it is as in the config, and there is nothing to end."""
        self.assertEqual(self.weight(), 3)
        self.assertFalse(self.overrides.undrain(KLEIN, NOTE))
        self.assertFalse(self.overrides.unweigh(KLEIN, NOTE))
        self.assertEqual(self.changed, [])

    def test_layers(self) -> None:
        """A drain lies over a weight, which holds again when the drain ends."""
        self.overrides.weigh(KLEIN, 5, NOTE)
        self.overrides.drain(KLEIN, NOTE)
        self.assertEqual(self.weight(), 0)
        self.assertEqual(self.overrides.weight(("other", "klein"), 3), 3)
        self.assertTrue(self.overrides.undrain(KLEIN, NOTE))
        self.assertEqual(self.weight(), 5)
        self.assertTrue(self.overrides.unweigh(KLEIN, NOTE))
        self.assertEqual(self.weight(), 3)
        self.assertEqual(self.changed, [KLEIN] * 4)

    def test_weight_ends_drain(self) -> None:
        """Whoever gives a drained backend a weight wants it to have that."""
        self.overrides.drain(KLEIN, Note("ann", seconds=10.0))
        self.overrides.weigh(KLEIN, 5, NOTE)
        self.assertEqual(self.weight(), 5)
        self.clock.advance(10.0)
        self.assertEqual(self.weight(), 5)

    def test_end(self) -> None:
        """Each ends at its time, and what lies beneath holds again."""
        self.overrides.weigh(KLEIN, 5, Note("ann", seconds=60.0))
        self.overrides.drain(KLEIN, Note("bob", seconds=10.0))
        held = self.overrides.of(KLEIN, Kind.DRAIN)
        assert held is not None
        self.assertEqual((held.since, held.until), (100.0, 110.0))
        for seconds, weight in ((9.0, 0), (1.0, 5), (49.0, 5), (1.0, 3)):
            self.clock.advance(seconds)
            self.assertEqual(self.weight(), weight)
        self.assertEqual(self.changed, [KLEIN] * 4)

    def test_again(self) -> None:
        """A second drain takes the place of the first, and of its end."""
        self.overrides.drain(KLEIN, Note("ann", seconds=10.0))
        self.overrides.drain(KLEIN, Note("bob"))
        self.clock.advance(1000.0)
        held = self.overrides.of(KLEIN, Kind.DRAIN)
        assert held is not None
        self.assertEqual((held.note.author, held.until), ("bob", None))

    def test_ended_by_hand(self) -> None:
        """What was ended by hand does not end a second time, whatever came after it."""
        self.overrides.drain(KLEIN, Note("ann", seconds=10.0))
        self.overrides.undrain(KLEIN, NOTE)
        self.overrides.drain(KLEIN, NOTE)
        self.clock.advance(10.0)
        self.assertEqual(self.weight(), 0)

    def test_said(self) -> None:
        """A note reads as a sentence's end."""
        self.assertEqual(str(Note("ann", "why", 90.0)), "by ann for 90 s: why")
        self.assertEqual(str(Note("ann")), "by ann")
