"""What weight each backend has to have, by what people asked for and by the configs."""

from __future__ import annotations

from math import inf

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend
from lbproxy.control.link import Names
from lbproxy.control.overrides import Note, Overrides
from lbproxy.testing.changes import Change, Weights


def drained(seconds: float | None = None) -> Change:
    return Change("drained", 0.0, seconds=seconds)


def weighed(weight: int, seconds: float | None = None) -> Change:
    return Change("weighed", 0.0, weight=weight, seconds=seconds)


def make(overrides: Overrides, names: Names, change: Change) -> bool:
    """Make a change as the admin listener's pages do; whether it changes anything."""
    note = Note("operator", "", change.seconds)
    if change.kind == "undrained":
        return overrides.undrain(names, note)
    if change.kind == "unweighed":
        return overrides.unweigh(names, note)
    if change.kind == "drained":
        overrides.drain(names, note)
    else:
        overrides.weigh(names, change.weight, note)
    return True


UNDRAINED, UNWEIGHED = Change("undrained", 0.0), Change("unweighed", 0.0)


def backends(*weights: tuple[str, int], record: int = 1) -> list[Backend]:
    return [
        Backend(name, "127.0.0.1:80", weight=weight * record, record_weight=record)
        for name, weight in weights
    ]


class WeightsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.weights = Weights(backends(("a", 1), ("b", 2)))

    def note(self, now: float, change: Change, name: str = "a") -> bool:
        return self.weights.note(name, change, now)

    def at(self, *moments: float) -> list[int]:
        """The weight of `a` at each moment."""
        return [self.weights.at("a", moment) for moment in moments]

    def test_drain(self) -> None:
        """It holds until it is ended, or ends; a weight is under it."""
        self.assertTrue(self.note(1.0, weighed(5)))
        self.assertTrue(self.note(2.0, drained()))
        self.assertTrue(self.note(3.0, UNDRAINED))
        self.assertFalse(self.note(3.5, UNDRAINED))
        self.assertTrue(self.note(4.0, drained(1.0)))
        self.assertEqual(self.at(0.9, 1.0, 2.0, 2.9, 3.0, 4.5, 5.0), [1, 5, 0, 0, 5, 0, 5])
        self.assertFalse(self.note(6.0, UNDRAINED))
        self.assertTrue(self.note(7.0, UNWEIGHED))
        self.assertEqual(self.at(7.0), [1])
        self.assertEqual(self.weights.at("b", 4.5), 2)
        self.assertEqual([self.weights.over(moment) for moment in (4.9, 5.0, inf)], [0, 1, 1])

    def test_weight_ends_drain(self) -> None:
        """To give a weight ends the drain, for good."""
        self.note(1.0, drained())
        self.note(2.0, weighed(3, 1.0))
        self.assertEqual(self.at(1.5, 2.5, 3.5), [0, 3, 1])

    def test_within(self) -> None:
        """All weights of a time, its borders included."""
        self.note(1.0, drained(1.0))
        self.assertEqual(self.weights.within("a", 0.5, 3.0), {0, 1})
        self.assertEqual(self.weights.within("a", 1.2, 1.8), {0})
        self.assertEqual(self.weights.within("a", 1.2, 2.0), {0, 1})

    def test_reload(self) -> None:
        """Until all have been told either config may hold; who is gone takes his changes along."""
        self.note(1.0, drained())
        which = self.weights.begin(backends(("b", 4), ("c", 1)), 2.0)
        self.assertEqual(self.weights.within("b", 2.1, 2.2), {2, 4})
        self.assertEqual(self.weights.settled(2.1), {"b"})
        self.weights.told(which, 3.0)
        self.assertEqual(self.weights.settled(3.0), {"b", "c"})
        self.assertEqual(self.weights.within("b", 3.1, 9.0), {4})
        self.assertEqual([self.weights.at(name, 3.5) for name in "abc"], [0, 4, 1])
        self.weights.begin(backends(("a", 1)), 5.0, told=5.0)
        self.assertEqual(self.at(5.5), [1])
        self.assertEqual(self.weights.names, ["a", "b", "c"])
        self.assertEqual(self.weights.time_of("c"), (3.0, 5.0))
        self.assertEqual(self.weights.time_of("b"), (-inf, 5.0))
        self.assertEqual(self.weights.time_of("d"), (inf, inf))
        self.assertEqual([self.weights.gone_at(name) for name in "abcd"], [inf, 5.0, 5.0, inf])

    def test_gone_meanwhile(self) -> None:
        """What is changed of one who is about to go is forgotten when all have been told."""
        which = self.weights.begin(backends(("b", 2)), 1.0)
        self.note(1.5, drained())
        self.weights.told(which, 2.0)
        self.weights.begin(backends(("a", 1), ("b", 2)), 3.0, told=3.0)
        self.assertEqual(self.at(3.5), [1])

    def test_all_members(self) -> None:
        """What is changed of a name is under a member's own, and holds for who joins later."""
        self.weights = Weights(backends(("n@1", 2), record=3))
        self.note(1.0, weighed(5), "n")
        self.note(2.0, weighed(1), "n@1")
        self.note(3.0, drained(), "n")
        self.weights.begin(backends(("n@1", 2), ("n@2", 2), record=3), 4.0, told=4.0)
        self.note(5.0, UNDRAINED, "n")
        moments = 0.5, 1.5, 2.5, 3.5, 4.5, 5.5
        self.assertEqual([self.weights.at("n@1", each) for each in moments], [6, 15, 1, 0, 0, 1])
        self.assertEqual([self.weights.at("n@2", each) for each in moments[3:]], [0, 0, 15])
        self.assertEqual(self.weights.settled(6.0), {"n", "n@1", "n@2"})
        self.weights.begin(backends(("m", 1)), 7.0, told=7.0)
        self.assertFalse(self.note(8.0, UNWEIGHED, "n"))

    def test_as_it_is(self) -> None:
        """The balancer's own book comes to the same."""
        clock, names = Clock(), ("api", "a")
        overrides = Overrides(clock, lambda _: None)
        for change in (weighed(3, 2.0), drained(5.0), UNWEIGHED, UNDRAINED, UNDRAINED, weighed(2)):
            self.assertIs(
                make(overrides, names, change), self.note(clock.seconds(), change), change
            )
            for _ in range(3):
                self.assertEqual(overrides.weight(names, 1), self.at(clock.seconds())[0])
                clock.advance(0.25)
