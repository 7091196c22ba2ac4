"""The eight rules of an order: a history that keeps them, and one that breaks each."""

from __future__ import annotations

from math import inf
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.orders import rules
from lbproxy.testing.orders.history import (
    Event,
    Follow,
    History,
    Move,
    Order,
    Outcome,
    Place,
    Read,
)
from lbproxy.testing.orders.linear import Act, linear

STEPS = {"placed": ("accepted", "cancelled"), "accepted": ("ready",), "ready": (), "cancelled": ()}

ORDER = Order("1", "ann", "placed", ((250, 2), (99, 1)), 599)
ACCEPTED = attrs.evolve(ORDER, status="accepted")
EVENTS = (Event(1, "1", "placed"), Event(2, "1", "accepted"))

GOOD = History(
    STEPS,
    places=(
        Place("ann", 0.0, 1.0, Outcome.OK, ORDER),
        Place("bob", 0.0),
        Place("ann", 2.0, 3.0, Outcome.OK, ACCEPTED),
    ),
    moves=(
        Move("1", "accepted", 1.5, 2.5, Outcome.OK, ACCEPTED),
        Move("1", "ready", 1.6, 1.7, Outcome.REFUSED),
    ),
    reads=(Read(1.6, 2.4, (ORDER,)), Read(1.8, 2.2, (ACCEPTED,)), Read(2.6, 2.7, (ACCEPTED,))),
    follows=(Follow(0, EVENTS), Follow(1, EVENTS[1:]), Follow(0, EVENTS[:1])),
    stored=(ACCEPTED,),
    events=EVENTS,
    shown={"klein": {"1": (b"{}", "x")}, "flask": {"1": (b"{}", "x")}},
)


class RulesTests(SynchronousTestCase):
    def breaks(self, rule: object, **changed: Any) -> None:
        """A changed history breaks this rule."""
        history = attrs.evolve(GOOD, **changed)
        self.assertIn(rule, [each for each in rules.RULES if list(each(history))])

    def test_good(self) -> None:
        """One in which all is well, with one order of which nobody knows."""
        self.assertEqual(rules.broken(GOOD), [])
        self.assertEqual(rules.broken(History(STEPS)), [])

    def test_acknowledged(self) -> None:
        """Lost, doubled, or another one's."""
        rule = rules.acknowledged_exist_once
        self.breaks(rule, stored=())
        self.breaks(rule, stored=(ACCEPTED, ACCEPTED))
        self.breaks(rule, places=(Place("bob", 0.0, 1.0, Outcome.OK, ORDER),))

    def test_twice(self) -> None:
        """Two of one token, neither of which was acknowledged."""
        bob = attrs.evolve(ORDER, token="bob")
        twice = (ACCEPTED, attrs.evolve(bob, id="2"), attrs.evolve(bob, id="3"))
        self.breaks(rules.one_for_each_token, stored=twice)

    def test_totals(self) -> None:
        """A wrong sum, and a price that changes afterwards."""
        dear = attrs.evolve(ACCEPTED, lines=((300, 2), (99, 1)), total=699)
        self.breaks(rules.totals_are_sums, stored=(attrs.evolve(ACCEPTED, total=600),))
        self.breaks(rules.totals_are_sums, stored=(dear,))

    def test_paths(self) -> None:
        """A step twice, one that the table does not have, one that is missing, one of nobody."""
        rule = rules.statuses_are_paths
        self.breaks(rule, events=(*EVENTS, Event(3, "1", "accepted")))
        self.breaks(rule, events=(EVENTS[0], Event(2, "1", "ready")))
        self.breaks(rule, events=EVENTS[:1])
        self.breaks(rule, events=EVENTS[1:])
        self.breaks(rule, events=(*EVENTS, Event(3, "2", "placed")))

    def test_reads(self) -> None:
        """Back in time; before it was posted; after a step was acknowledged."""
        rule = rules.reads_are_linear
        for reads in (
            (Read(1.6, 1.7, (ACCEPTED,)), Read(1.8, 1.9, (ORDER,))),
            (Read(-2.0, -1.0, (ORDER,)),),
            (Read(2.6, 2.7, (ORDER,)),),
        ):
            self.breaks(rule, reads=reads)

    def test_unknown_moves(self) -> None:
        """A step whose fate nobody knows may be seen late, or never, but not undone."""
        unknown = Move("1", "ready", 3.0)
        late = Read(9.0, 9.1, (attrs.evolve(ORDER, status="ready"),))
        before = Read(8.0, 8.1, (ACCEPTED,))
        moves = (*GOOD.moves, unknown)
        for reads in ((), (before, late)):
            history = attrs.evolve(GOOD, moves=moves, reads=(*GOOD.reads, *reads))
            self.assertEqual(list(rules.reads_are_linear(history)), [])
        after = attrs.evolve(before, begin=9.5, end=9.6)
        self.breaks(rules.reads_are_linear, moves=moves, reads=(late, after))

    def test_backends(self) -> None:
        """Other bytes, another tag, or no answer."""
        for other in ({"1": (b"{ }", "x")}, {"1": (b"{}", "y")}, {}):
            shown = {**GOOD.shown, "flask": other}
            self.breaks(rules.backends_agree, shown=shown)

    def test_followers(self) -> None:
        """A gap, a repeat, another order; and two events of one number."""
        rule = rules.followers_miss_nothing
        for events in (EVENTS[1:], (EVENTS[0], EVENTS[0]), EVENTS[::-1]):
            self.breaks(rule, follows=(Follow(0, events),))
        self.breaks(rule, events=(EVENTS[0], attrs.evolve(EVENTS[1], number=1)), follows=())

    def test_invented(self) -> None:
        """An order of nobody, in an answer or in the store; one that the store does not know."""
        other = attrs.evolve(ORDER, token="eve")
        rule = rules.nothing_is_invented
        self.breaks(rule, reads=(Read(1.0, 2.0, (other,)),))
        self.breaks(rule, stored=(ACCEPTED, attrs.evolve(other, id="2")))
        self.breaks(rule, reads=(Read(1.0, 2.0, (attrs.evolve(ORDER, id="9"),)),))


class LinearTests(SynchronousTestCase):
    def test_overlap(self) -> None:
        """What overlaps may come in any order, what does not may not."""

        def put(begin: float, end: float, value: str) -> Act:
            return Act(begin, end, lambda state: (value,))

        def seen(begin: float, end: float, value: str) -> Act:
            return Act(begin, end, lambda state: (state,) if state == value else ())

        writes = [put(0, 5, "a"), put(1, 4, "b")]
        self.assertTrue(linear([*writes, seen(6, 7, "a")], ""))
        self.assertTrue(linear([*writes, seen(6, 7, "b")], ""))
        self.assertFalse(linear([*writes, seen(6, 7, "a"), seen(8, 9, "b")], ""))
        self.assertFalse(linear([put(0, 1, "a"), put(2, 3, "b"), seen(4, 5, "a")], ""))

    def test_large(self) -> None:
        """Many reads at a time are no trouble: what was tried in vain is not tried again."""
        acts = [Act(0, inf, lambda state: (state + "x",), certain=False) for _ in range(8)]
        acts += [Act(0, 1, lambda state: (state,) if state == "y" else ()) for _ in range(8)]
        self.assertFalse(linear(acts, ""))
