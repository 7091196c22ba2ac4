"""The parent: one judgement for all workers, their queues, and the end."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.control.link import Load
from lbproxy.control.parent import GRACE, PATIENCE
from lbproxy.control.seat import SILENT
from lbproxy.health.said import NOTHING, Said
from lbproxy.observe.metrics import EJECTIONS, Counts
from tests.control.staff import Hand, Staff


class ParentCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.staff = Staff()
        self.parent = self.staff.parent

    def tearDown(self) -> None:
        """Whatever was tested, it stops and leaves nothing on the clock."""
        stopped = self.parent.drain()
        for hand in self.staff.hands:
            hand.occupant.exited("in order")
        self.successResultOf(stopped)
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.staff.clock.getDelayedCalls(), [])


class JudgementTests(ParentCase):
    def test_told_at_once(self) -> None:
        """A verdict is told to all workers as soon as it stands."""
        self.staff.start()
        for _ in range(200):
            self.staff.pass_time(0.05)
            self.staff.answer(**{name: name == "b" for name in self.staff.probes})
        for hand in self.staff.hands:
            self.assertEqual(hand.states, ["down", "up"])
            self.assertEqual(hand.standings["api", "a"].detail, "")
            probe = hand.standings["api", "a"].last_probe
            assert probe is not None
            self.assertFalse(probe.passed)

    def test_suspect(self) -> None:
        """A refused connection that a worker tells of has the backend probed at once."""
        self.staff.start()
        self.assertEqual(self.staff.probes, {})
        self.staff.hands[1].occupant.suspect(("api", "a"))
        self.staff.hands[0].occupant.suspect(("api", "a"))
        self.assertEqual(list(self.staff.probes), ["a"])

    def test_alike(self) -> None:
        """What one worker says of a pool whose backends all fail alike is reported for all."""
        self.staff.start()
        said = "answer 5xx"
        for how, status in ((said, "degraded"), ("", "ok")):
            self.staff.hands[1].occupant.counted(Counts(), Load(alike={"api": how}))
            document = json.loads(self.parent.health()[1])
            self.assertEqual(document["pools"][0]["fails_alike"], how or None)
            self.assertEqual(document["status"], status)

    def test_breaker(self) -> None:
        """Of the breakers of all workers the one that refuses most is reported."""
        self.staff.start()
        self.assertIsNone(json.loads(self.parent.health()[1])["pools"][0]["breaker"])
        for states, told, status in (
            (("closed", "closed"), "closed", "ok"),
            (("open", "half_open"), "open", "degraded"),
            (("closed", "half_open"), "half_open", "degraded"),
        ):
            for hand, state in zip(self.staff.hands, states, strict=True):
                hand.occupant.counted(Counts(), Load(breakers={"api": state}))
            document = json.loads(self.parent.health()[1])
            self.assertEqual(document["pools"][0]["breaker"], told)
            self.assertEqual(document["status"], status)

    def test_outlier(self) -> None:
        """A backend that one worker speaks against is out at all, for its time."""
        self.staff.start()
        first, second = self.staff.hands
        first.occupant.outlier(("api", "a"))
        self.assertEqual((first.states, second.states), (["ejected", "up"], ["ejected", "up"]))
        self.assertEqual(second.standings["api", "a"].until, 10.0)
        self.assertEqual(self.parent.counts.series, {(EJECTIONS, "api", "a"): [1]})
        self.staff.clock.advance(10.0)
        self.assertEqual((first.states, second.states), (["up", "up"], ["up", "up"]))

    def test_never_the_last(self) -> None:
        """Two workers that speak against two backends at once do not get both out."""
        self.staff.start()
        first, second = self.staff.hands
        first.occupant.outlier(("api", "a"))
        second.occupant.outlier(("api", "b"))
        self.assertEqual((first.states, second.states), (["ejected", "up"], ["ejected", "up"]))

    def test_said(self) -> None:
        """What a backend says of itself is told to all workers, and logged once."""
        self.staff.start()
        with capturedLogs() as logged:
            for said in (Said(drain=True), Said(drain=True), NOTHING):
                while "a" not in self.staff.probes:
                    self.staff.pass_time(0.05)
                self.staff.answers("a", said)
                told = {hand.standings["api", "a"].said for hand in self.staff.hands}
                self.assertEqual(told, {said})
        lines = [formatEvent(event) for event in logged if event.get("backend") == "a"]
        self.assertEqual(lines, ["api/a says drain", "api/a says nothing"])

    def test_newcomer(self) -> None:
        """A worker that comes later is told all before it accepts."""
        self.staff.start()
        self.staff.hands[0].occupant.outlier(("api", "a"))
        self.staff.hands[1].occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        newcomer = self.staff.hands[2]
        newcomer.occupant.ready({})
        self.assertEqual(newcomer.states, ["ejected", "up"])
        self.assertEqual(newcomer.queues, [1])


class QueueTests(ParentCase):
    def queues(self) -> list[list[int]]:
        """The queues from which each worker accepts, in the order in which they were made."""
        return [hand.queues for hand in self.staff.hands]

    def test_first_round(self) -> None:
        """Nobody accepts before each backend has its first verdict."""
        self.parent.startService()
        for hand in self.staff.hands:
            hand.occupant.ready({})
        self.staff.answer(a=True)
        self.assertEqual(self.queues(), [[], []])
        self.staff.answer(b=False)
        self.assertEqual(self.queues(), [[0], [1]])

    def test_adopted(self) -> None:
        """The queue of a worker that has ended is another one's until there is a new worker."""
        self.staff.start()
        self.staff.hands[0].occupant.exited("by signal 9")
        self.assertEqual(self.queues(), [[0], [0, 1]])
        self.staff.clock.advance(0.0)
        self.staff.hands[2].occupant.ready({})
        self.assertEqual(self.queues(), [[0], [1], [0]])

    def test_leaving(self) -> None:
        """So is that of one that drains; its end is not the end of its successor."""
        self.staff.start()
        self.staff.hands[1].occupant.leaving()
        self.assertEqual(self.queues()[0], [0, 1])
        self.staff.hands[2].occupant.ready({})
        self.assertEqual(self.queues(), [[0], [], [1]])
        self.staff.hands[1].occupant.leaving()
        self.staff.hands[1].occupant.exited("in order")
        (_, second) = (seat.report() for seat in self.parent.seats)
        self.assertEqual((second.pid, second.state, second.restarts), (1001, "serving", 1))

    def test_all_gone(self) -> None:
        """With none left each queue waits for its own worker, or for the first that comes."""
        self.staff.start()
        for hand in list(self.staff.hands):
            hand.occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        self.staff.hands[3].occupant.ready({})
        self.assertEqual(self.queues()[2:], [[], [0, 1]])
        self.staff.hands[2].occupant.ready({})
        self.assertEqual(self.queues()[2:], [[0], [1]])


class ReportTests(ParentCase):
    def test_elsewhere(self) -> None:
        """Each worker is told what is under way in the others, once a second."""
        self.staff.start()
        first, second = self.staff.hands
        first.occupant.counted(Counts(), Load({("api", "a"): 3, ("api", "b"): 1}, {"api": 0}, 5))
        second.occupant.counted(Counts(), Load({("api", "a"): 10}, {"api": 0}, 5))
        self.staff.clock.advance(1.0)
        self.assertEqual(first.whole.elsewhere, {("api", "a"): 10})
        self.assertEqual(second.whole.elsewhere, {("api", "a"): 3, ("api", "b"): 1})
        backends = json.loads(self.parent.health()[1])["pools"][0]["backends"]
        self.assertEqual([backend["in_flight"] for backend in backends], [13, 1])
        first.occupant.exited("by signal 9")
        self.assertEqual(second.whole.elsewhere, {})

    def test_workers(self) -> None:
        """All hear of each change in a worker's life, and the report has it."""
        self.staff.start()
        self.staff.hands[0].occupant.exited("by signal 9")
        workers = self.staff.hands[1].whole.workers
        self.assertEqual([each.state for each in workers], ["backing off", "serving"])
        told = json.loads(self.parent.health()[1])["workers"]
        self.assertEqual([each["pid"] for each in told], [None, 1001])

    def test_fresh(self) -> None:
        """Whoever asks gets what was counted until now; a worker that hangs is not waited for."""
        self.staff.start()
        self.staff.hands[1].counting = Deferred()
        asked = self.parent.fresh()
        self.assertNoResult(asked)
        self.staff.clock.advance(PATIENCE)
        self.successResultOf(asked)
        ((_, numbers),) = self.parent.counts.series.items()
        self.assertEqual(numbers[0], 1)


class SilenceTests(ParentCase):
    """A worker that hangs is killed, and then another one takes its place."""

    def setUp(self) -> None:
        super().setUp()
        self.staff.start()
        self.first, self.second = self.staff.hands

    def seconds_pass(self, seconds: int, *speakers: Hand) -> None:
        """Let some seconds pass, in each of which these workers tell what they have counted."""
        for _ in range(seconds):
            self.staff.clock.advance(1.0)
            for hand in speakers:
                hand.occupant.counted(Counts(), hand.load)

    def test_one_that_hangs(self) -> None:
        """It is killed when it has told nothing for long, and only it is."""
        self.seconds_pass(SILENT - 1, self.second)
        self.assertEqual(self.first.asked, ["start"])
        self.seconds_pass(1, self.second)
        self.assertEqual((self.first.asked, self.second.asked), (["start", "kill"], ["start"]))
        self.first.occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        self.assertEqual([hand.number for hand in self.staff.hands], [0, 1, 0])

    def test_killed_once(self) -> None:
        """What does not end by that is told once."""
        self.seconds_pass(3 * SILENT, self.second)
        self.assertEqual(self.first.asked, ["start", "kill"])

    def test_one_that_comes_back(self) -> None:
        """What was told in time counts anew."""
        self.seconds_pass(SILENT - 2, self.second)
        self.seconds_pass(1, self.first, self.second)
        self.seconds_pass(SILENT - 1, self.second)
        self.assertEqual(self.first.asked, ["start"])

    def test_machine_stands_still(self) -> None:
        """After a minute in which nobody could tell anything all have the same time again."""
        self.staff.clock.advance(60.0)
        self.seconds_pass(SILENT - 2)
        self.assertEqual((self.first.asked, self.second.asked), (["start"], ["start"]))

    def test_one_that_leaves(self) -> None:
        """So is one that only had to finish what it had begun."""
        self.first.occupant.leaving()
        self.staff.hands[2].occupant.ready({})
        self.seconds_pass(SILENT, *self.staff.hands[1:])
        self.assertEqual(self.first.asked, ["start", "kill"])

    def test_one_that_starts(self) -> None:
        """One that is not ready yet has a time of its own for that."""
        self.first.occupant.exited("by signal 9")
        self.staff.clock.advance(0.0)
        self.seconds_pass(SILENT + 1, self.second)
        self.assertEqual(self.staff.hands[2].asked, ["start"])


class EndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.staff = Staff()
        self.parent = self.staff.parent
        self.staff.start()

    def tearDown(self) -> None:
        self.successResultOf(self.parent.stopService())
        self.assertEqual(self.staff.clock.getDelayedCalls(), [])

    def test_drain(self) -> None:
        """All are asked to finish, and it is over when the last one has ended."""
        first, second = self.staff.hands
        ended = self.parent.drain()
        self.assertEqual((first.asked[1:], second.asked[1:]), (["drain"], ["drain"]))
        self.assertEqual(self.parent.health()[0], 503)
        first.occupant.exited("in order")
        self.assertNoResult(ended)
        second.occupant.exited("by signal 9")
        self.successResultOf(ended)
        self.assertEqual(len(self.staff.hands), 2)

    def test_one_that_leaves(self) -> None:
        """One that was leaving already is waited for as well."""
        self.staff.hands[0].occupant.leaving()
        self.staff.hands[2].occupant.ready({})
        ended = self.parent.drain()
        for hand in self.staff.hands[1:]:
            hand.occupant.exited("in order")
        self.assertNoResult(ended)
        self.staff.hands[0].occupant.exited("in order")
        self.successResultOf(ended)

    def test_end_now(self) -> None:
        """A second signal goes to all."""
        ended = self.parent.drain()
        self.parent.end_now()
        for hand in self.staff.hands:
            self.assertEqual(hand.asked[1:], ["drain", "end"])
            hand.occupant.exited("in order")
        self.successResultOf(ended)

    def test_one_that_does_not_end(self) -> None:
        """One that does not end in time is killed."""
        ended = self.parent.drain()
        self.staff.clock.advance(30.0 + GRACE)
        for hand in self.staff.hands:
            self.assertEqual(hand.asked[-1], "kill")
            hand.occupant.exited("by signal 9")
        self.successResultOf(ended)
