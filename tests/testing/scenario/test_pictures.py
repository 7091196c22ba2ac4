"""The report, the timeline in a terminal and that in SVG."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.scenario.report import document, report
from lbproxy.testing.scenario.result import Result
from lbproxy.testing.scenario.svg import picture
from lbproxy.testing.scenario.terminal import BLOCKS, LETTERS, drawn
from lbproxy.testing.scenario.timeline import timeline
from tests.testing.scenario.plays import played

EVENTS = 'events = [{ at = 2.0, kill = "klein", seconds = 4.0 }, { at = 4.0, stop = "flask" }]'


class PictureTests(SynchronousTestCase):
    """A life in which one backend goes and comes, and the other one goes for good."""

    result: Result

    def setUp(self) -> None:
        self.result = played(self, EVENTS, "methods = { GET = 1, POST = 1 }\n")

    def test_timeline(self) -> None:
        """Each request is in one slice, and states are where they were."""
        times = timeline(self.result, 40)
        self.assertEqual(sum(times.requests.counts), len(self.result.requests))
        self.assertEqual(sum(times.failed.counts), self.result.failed)
        answered = sum(sum(row.counts) for row in times.backends)
        self.assertEqual(answered, self.result.answered)
        self.assertEqual(
            [(mark, place) for mark, place, _ in times.acts], [("1", 8), ("2", 16), ("3", 24)]
        )
        klein = times.backends[0]
        self.assertEqual(klein.states[0], "up")
        self.assertIn(klein.states[15], ("down", "ejected"))

    def test_terminal(self) -> None:
        """It is as wide as the terminal, and can do without Unicode."""
        for width in (60, 80, 200):
            lines = list(drawn(self.result, width, BLOCKS))
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertEqual(
                [line.split()[0] for line in lines[:5]],
                ["events", "requests", "failed", "klein", "flask"],
            )
        self.assertTrue("\n".join(drawn(self.result, 80, LETTERS)).isascii())
        self.assertTrue(any("1: kill klein at 2 s" in line for line in lines))

    def test_many_events(self) -> None:
        """Events beyond the last mark share one, and none is drawn beyond the end."""
        result = played(self, 'events = [{ at = 1.0, flap = "klein", every = 0.1, seconds = 8.9 }]')
        self.assertGreater(len(result.acts), 80)
        lines = list(drawn(result, 80, BLOCKS))
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("z", lines[0])

    def test_svg(self) -> None:
        """It is XML, with a row for each backend and a mark for each event."""
        text = picture(self.result)
        root = ElementTree.fromstring(text)
        said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        for each in ("requests", "klein", "flask", "1", "2", "3", "1: kill klein at 2 s"):
            self.assertIn(each, said)
        self.assertIn("not as expected", said)
        self.assertEqual(text, picture(self.result))

    def test_report(self) -> None:
        """It says what failed, when, why, and what was tried."""
        text = "\n".join(report(self.result, 80, BLOCKS))
        self.assertIn(f"failed    {self.result.failed:7}", text)
        self.assertIn("503 no_backend, told by the balancer, from 4.", text)
        self.assertIn("attempt 1 at flask: connect_failed, stage nothing_sent", text)
        self.assertIn(f"FAILS   failed == 0    {self.result.failed}", text)
        self.assertTrue(text.endswith("NOT as expected"))

    def test_nothing_expected(self) -> None:
        """Who expects nothing is never disappointed."""
        result = played(self, "expect = []\n" + EVENTS)
        self.assertTrue("\n".join(report(result, 80, BLOCKS)).endswith("\nas expected"))

    def test_document(self) -> None:
        """It is JSON, with each failure."""
        told = json.loads(json.dumps(document(self.result)))
        self.assertFalse(told["ok"])
        self.assertEqual(len(told["failures"]), self.result.failed)
        self.assertEqual(set(told["share"]), {"klein", "flask"})
        self.assertEqual(told["events"][0], {"at": 2.0, "event": "kill klein"})
        self.assertEqual(
            told["expectations"][0],
            {"text": "failed == 0", "value": self.result.failed, "holds": False},
        )
