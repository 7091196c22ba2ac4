"""What people have changed: how it is laid over the config, and when it ends."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.control.link import Names
from lbproxy.control.overrides import Kind, Note, Overrides

KLEIN = "api", "klein"
ONE, TWO = ("api", "klein@10.0.0.5:3001"), ("api", "klein@10.0.0.6:3001")
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
        ann = Note("ann", "disk swap", 10.0)
        self.assertEqual(self.overrides.drain(KLEIN, ann), [])
        with capturedLogs() as logged:
            replaced = self.overrides.drain(KLEIN, Note("bob"))
        self.assertEqual([each.note for each in replaced], [ann])
        told = [
            "api/klein: the drain by ann for 10 s: disk swap is replaced",
            "api/klein is drained by bob",
        ]
        self.assertEqual([formatEvent(event) for event in logged], told)
        self.assertEqual(self.overrides.drain(KLEIN, Note("bob")), [])
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


class FollowTests(SynchronousTestCase):
    """What is changed of a member whose address gets another name."""

    ALONE, FIRST = ("api", "klein@t:80"), ("api", "klein@t:80/10.0.0.1")
    SECOND = "api", "klein@t:80/10.0.0.2"

    def setUp(self) -> None:
        self.clock = Clock()
        self.overrides = Overrides(self.clock, lambda names: None)

    def drained(self) -> list[Names]:
        """Who is drained."""
        every = self.ALONE, self.FIRST, self.SECOND
        return [each for each in every if self.overrides.weight(each, 1) == 0]

    def test_there_and_back(self) -> None:
        """A drain stays with the program that was drained, and ends when it was to end."""
        self.overrides.drain(self.ALONE, Note("ann", seconds=10.0))
        alone = {self.ALONE: "10.0.0.1:80"}
        both = {self.FIRST: "10.0.0.1:80", self.SECOND: "10.0.0.2:80"}
        for before, after, name in ((alone, both, self.FIRST), (both, alone, self.ALONE)):
            self.clock.advance(4.0)
            self.overrides.follow(before, after)
            self.overrides.keep(after)
            self.assertEqual(self.drained(), [name])
            held = self.overrides.of(name, Kind.DRAIN)
            assert held is not None
            self.assertEqual((held.backend, held.until), (name[1], 10.0))
        self.clock.advance(2.0)
        self.assertEqual((self.drained(), self.clock.getDelayedCalls()), ([], []))

    def test_others(self) -> None:
        """What is gone is gone, and who has the address but is of another name is somebody else."""
        before = {self.FIRST: "10.0.0.1:80", self.SECOND: "10.0.0.2:80"}
        self.overrides.drain(self.FIRST, NOTE)
        self.overrides.follow(before, {("api", "flask@t:80"): "10.0.0.1:80"})
        self.overrides.follow(before, {("web", "klein@t:80"): "10.0.0.1:80"})
        self.overrides.follow(before, {self.ALONE: "10.0.0.2:80"})
        self.assertEqual(self.drained(), [self.FIRST])


class MembersTests(SynchronousTestCase):
    """What is changed of a name that has several members, and of one of these."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.changed: list[Names] = []
        self.overrides = Overrides(self.clock, self.changed.append)

    def weights(self) -> list[int]:
        """Those of the members, whose config says 6: 2, and 3 of each record."""
        return [self.overrides.weight(names, 6, 3) for names in (ONE, TWO)]

    def authors(self, kind: Kind) -> list[str]:
        """Who has made what holds for each."""
        held = [self.overrides.of(names, kind) for names in (ONE, TWO)]
        return ["" if each is None else each.note.author for each in held]

    def test_all(self) -> None:
        """A change of the name holds for each member, and for nobody else."""
        self.overrides.drain(KLEIN, NOTE)
        self.assertEqual(self.weights(), [0, 0])
        for names in (("other", ONE[1]), ("api", "klein2"), ("api", "klein2@10.0.0.5:3001")):
            self.assertEqual(self.overrides.weight(names, 6), 6, names)
        self.assertTrue(self.overrides.undrain(KLEIN, NOTE))
        self.assertEqual(self.weights(), [6, 6])
        self.assertEqual(self.changed, [KLEIN, KLEIN])

    def test_record(self) -> None:
        """A weight stands for that of the config, to which each record adds its own."""
        self.overrides.weigh(KLEIN, 5, NOTE)
        self.overrides.weigh(TWO, 4, NOTE)
        self.assertEqual(self.weights(), [15, 4])

    def test_own_first(self) -> None:
        """What a member has itself holds for it; a drain of all lies over its weight too."""
        self.overrides.weigh(KLEIN, 5, Note("ann"))
        self.overrides.weigh(TWO, 4, Note("bob"))
        self.assertEqual(self.authors(Kind.WEIGHT), ["ann", "bob"])
        self.overrides.drain(KLEIN, Note("ann"))
        self.assertEqual(self.weights(), [0, 0])
        self.overrides.drain(TWO, Note("bob"))
        self.assertEqual(self.authors(Kind.DRAIN), ["ann", "bob"])

    def test_ended_as_made(self) -> None:
        """A drain is ended by the name that it was made by, and by no other."""
        self.overrides.drain(KLEIN, NOTE)
        self.assertFalse(self.overrides.undrain(ONE, NOTE))
        self.overrides.weigh(ONE, 4, NOTE)
        self.assertEqual(self.weights(), [0, 0])
        self.overrides.drain(TWO, NOTE)
        self.assertTrue(self.overrides.undrain(KLEIN, NOTE))
        self.assertEqual(self.weights(), [4, 0])
        self.assertFalse(self.overrides.undrain(KLEIN, NOTE))
        self.assertTrue(self.overrides.undrain(TWO, NOTE))
        self.assertEqual(self.weights(), [4, 6])

    def test_weight_ends_drain(self) -> None:
        """A weight of the name ends the drain of the name, and not that of one member."""
        self.overrides.drain(KLEIN, NOTE)
        self.overrides.drain(TWO, NOTE)
        self.overrides.weigh(KLEIN, 5, NOTE)
        self.assertEqual(self.weights(), [15, 0])

    def test_end(self) -> None:
        """It ends at its time for all, and what a member has itself goes on."""
        self.overrides.drain(KLEIN, Note("ann", seconds=10.0))
        self.overrides.drain(TWO, Note("bob", seconds=30.0))
        for seconds, weights in ((9.0, [0, 0]), (1.0, [6, 0]), (20.0, [6, 6])):
            self.clock.advance(seconds)
            self.assertEqual(self.weights(), weights)
        self.assertEqual(self.changed, [KLEIN, TWO, KLEIN, TWO])

    def test_kept(self) -> None:
        """A member takes its own change along, and only the last one that of the name."""
        for names in (KLEIN, ONE):
            self.overrides.drain(names, Note("ann", "disk", 60.0))
        self.overrides.keep([TWO])
        self.assertEqual(self.weights(), [0, 0])
        self.assertFalse(self.overrides.undrain(ONE, NOTE))
        self.overrides.keep([KLEIN])
        self.assertEqual(self.weights(), [0, 0])
        self.overrides.keep([("other", ONE[1]), ("api", "klein2@10.0.0.5:3001")])
        self.assertEqual(self.weights(), [6, 6])
        self.assertEqual(self.clock.getDelayedCalls(), [])
