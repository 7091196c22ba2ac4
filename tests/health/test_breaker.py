"""A pool's breaker, over made-up times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.health.breaker import GOOD, Admission, Breaker, State, worst
from lbproxy.health.ejection import MOST
from lbproxy.health.window import WINDOW, Window

SHARE, REQUESTS, SECONDS = 0.5, 4, 5.0


class BreakerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.breaker = Breaker(SHARE, REQUESTS, SECONDS)
        self.said: list[str] = []
        self.breaker.on_turn = lambda _, why: self.said.append(why)

    def admit(self, now: float) -> Admission:
        """A request that is let through."""
        admission = self.breaker.admit(now)
        assert admission is not None
        return admission

    def see(self, outcomes: str, now: float = 0.0) -> None:
        """Requests one after the other: `+` is answered, `-` fails, and `.` says nothing."""
        for each in outcomes:
            admission = self.admit(now)
            if each == "+":
                admission.answered(now)
            elif each == "-":
                admission.failed(now)
            admission.left()

    def assert_state(self, state: State) -> None:
        self.assertIs(self.breaker.state, state)


class OpenTests(BreakerCase):
    def test_share(self) -> None:
        """It opens with the failure that makes enough requests, and so great a share, fail."""
        for outcomes, state in (
            ("---", State.CLOSED),
            ("----", State.OPEN),
            ("+++-", State.CLOSED),
            ("++--", State.OPEN),
            ("--++", State.CLOSED),
            ("--++++-", State.CLOSED),
            ("...-", State.CLOSED),
        ):
            self.setUp()
            self.see(outcomes)
            self.assertIs(self.breaker.state, state, outcomes)

    def test_window(self) -> None:
        """What is older than ten seconds counts no more."""
        self.see("---", 100.0)
        self.see("-", 100.0 + WINDOW)
        self.assert_state(State.CLOSED)
        self.see("---", 100.0 + 2 * WINDOW - 1)
        self.assert_state(State.OPEN)

    def test_refuses(self) -> None:
        """While it is open nobody is let through; what was let through before counts no more."""
        late, later = self.admit(0.0), self.admit(0.0)
        self.see("----")
        self.assertEqual(self.breaker.until, SECONDS)
        self.assertIsNone(self.breaker.admit(SECONDS - 0.001))
        late.answered(1.0)
        later.failed(1.0)
        self.assertEqual(self.breaker.until, SECONDS)
        self.assertFalse(late.holds)

    def test_cut(self) -> None:
        """An answer that breaks off makes its request one that failed, and no second one."""
        for since, state in ((5.0, State.OPEN), (float(WINDOW), State.CLOSED)):
            self.setUp()
            requests = [self.admit(100.0) for _ in range(REQUESTS)]
            for each in requests:
                each.answered(100.0)
                each.left()
            for each in requests[:2]:
                each.failed(100.0 + since)
                each.failed(100.0 + since)
            self.assertIs(self.breaker.state, state, since)
            self.assertEqual(self.breaker._window.totals(100.0)[0], REQUESTS)


class HalfOpenTests(BreakerCase):
    def setUp(self) -> None:
        super().setUp()
        self.see("----")

    def test_closes(self) -> None:
        """One at a time, one more for each good answer, and so many of them in a row close it."""
        for good in range(GOOD):
            trials = [self.admit(SECONDS) for _ in range(good + 1)]
            self.assertIsNone(self.breaker.admit(SECONDS))
            trials[0].answered(SECONDS)
            for each in trials:
                each.left()
        self.assert_state(State.CLOSED)
        self.see("---", SECONDS)
        self.assert_state(State.CLOSED)  # What was before it opened is forgotten.
        self.assertEqual(
            self.said,
            [
                "opens for 5 s: 4 of 4 requests failed within 10 s",
                "is half-open: one request at a time is let through",
                "closes: 5 requests in a row were answered",
            ],
        )

    def test_one_failure(self) -> None:
        """Any failure opens it again, and the others that are under way count no more."""
        self.see("++", SECONDS)
        one, other = self.admit(SECONDS), self.admit(SECONDS)
        one.failed(SECONDS)
        other.answered(SECONDS)
        self.assertEqual(self.breaker.until, SECONDS + 2 * SECONDS)
        self.assertEqual(
            self.said[-1], "opens for 10 s: one of the few requests that are let through failed"
        )

    def test_nothing(self) -> None:
        """A trial that says nothing gives its place back, once."""
        for _ in range(20):
            trial = self.admit(SECONDS)
            self.assertIsNone(self.breaker.admit(SECONDS))
            trial.left()
            trial.left()
        self.assert_state(State.HALF_OPEN)

    def test_longer_each_time(self) -> None:
        """It is open for longer each time, up to a limit; to be closed for long makes it forget."""
        times = [SECONDS]
        for _ in range(100):
            begun = self.breaker.until
            self.see("-", begun)
            times.append(self.breaker.until - begun)
        self.assertEqual(times[:3], [SECONDS, 2 * SECONDS, 3 * SECONDS])
        self.assertEqual(times[-1], MOST)
        now = self.breaker.until
        self.see("+" * GOOD, now)
        self.see("----", now + MOST + 1.0)
        self.assertEqual(self.breaker.until, now + MOST + 1.0 + SECONDS)

    def test_worst(self) -> None:
        """Of several the one that keeps most from the backends is told."""
        self.assertEqual(worst({"closed", "half_open"}), "half_open")
        self.assertEqual(worst({"closed", "half_open", "open"}), "open")
        self.assertEqual(worst(set()), "")


#: Seconds that pass, and what then happens: somebody comes, or one who is let through ends.
STEPS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.0, 0.0, 0.4, 3.0, 11.0, 400.0)),
        st.sampled_from(("come", "come", "answered", "failed", "left")),
        st.integers(0, 3),
    ),
    max_size=80,
)


class PropertyTests(SynchronousTestCase):
    @given(STEPS, st.sampled_from((0.3, 0.5, 1.0)), st.integers(1, 5))
    def test_machine(self, steps: list[tuple[float, str, int]], share: float, least: int) -> None:
        """Whatever comes, in whatever order: the rules that a reader would write down hold."""
        breaker, now = Breaker(share, least, SECONDS), 1000.0
        running: list[Admission] = []
        counted: list[tuple[float, bool]] = []
        openings = 0
        for seconds, what, place in steps:
            now += seconds
            before = breaker.state
            if what == "come":
                admission = breaker.admit(now)
                trials = sum(each.holds for each in running)
                if before is State.CLOSED:
                    self.assertIsNotNone(admission)
                elif before is State.OPEN:
                    self.assertEqual(admission is None, now < breaker.until)
                elif admission is None:
                    self.assertGreater(trials, 0)  # Somebody is being tried.
                if admission is not None:
                    running.append(admission)
            elif running:
                admission = running.pop(place % len(running))
                holds = admission.holds
                if what == "answered":
                    admission.answered(now)
                elif what == "failed":
                    admission.failed(now)
                admission.left()
                if before is State.CLOSED and holds and what != "left":
                    counted.append((now, what == "failed"))
                if not holds:
                    self.assertIs(breaker.state, before)
                elif before is State.HALF_OPEN and what == "failed":
                    self.assertIs(breaker.state, State.OPEN)
            if breaker.state is State.OPEN and before is not State.OPEN:
                openings += 1
                self.assertLessEqual(breaker.until - now, min(SECONDS * openings, MOST))
                if before is State.CLOSED:
                    late = [failed for at, failed in counted if int(at) > int(now) - WINDOW]
                    self.assertGreaterEqual(len(late), least)
                    self.assertGreaterEqual(sum(late), share * len(late))
            if breaker.state is State.CLOSED and before is not State.CLOSED:
                counted.clear()

    @given(st.lists(st.tuples(st.floats(0.0, 4.0), st.sampled_from("rmt")), max_size=60))
    def test_window(self, steps: list[tuple[float, str]]) -> None:
        """A window counts what was in the present second and the nine before it."""
        window, now = Window(), 50.0
        seen: list[tuple[int, str]] = []
        for seconds, what in steps:
            now += seconds
            if what == "r":
                window.request(now)
            elif what == "m":
                window.mark(now)
            seen.append((int(now), what))
            late = [each for at, each in seen if at > int(now) - WINDOW]
            self.assertEqual(window.totals(now), (late.count("r"), late.count("m")))
