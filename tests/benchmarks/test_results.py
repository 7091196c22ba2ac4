"""Runs and their files."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.results import newest, read, write
from benchmarks.macro.summary import Spread
from tests.benchmarks.runs import SMALL, run


class RunTests(SynchronousTestCase):
    def test_ratio(self) -> None:
        """A ratio needs rounds of both."""
        self.assertEqual(run([20.0, 30.0], [10.0, 10.0]).ratio(SMALL, "lbproxy"), Spread(2, 2.5, 3))
        self.assertIsNone(run([], [10.0]).ratio(SMALL, "lbproxy"))
        self.assertIsNone(run([10.0], []).ratio(SMALL, "lbproxy"))
        self.assertIsNone(run([10.0], [10.0]).ratio(SMALL, "caddy"))

    def test_errors(self) -> None:
        """They are those of all rounds."""
        measure = run([20.0, 30.0], [10.0, 10.0], errors=2).measure("small", "lbproxy")
        assert measure is not None
        self.assertEqual(measure.errors, 4)


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())

    def test_round_trip(self) -> None:
        """What is read is what was written."""
        write(run([20.0], [10.0]), self.folder / "one.json")
        self.assertEqual(
            read(self.folder / "one.json").measures[0], run([20.0], [10.0]).measures[0]
        )
        self.assertEqual(read(self.folder / "one.json").machine, run([20.0], [10.0]).machine)

    def test_newest(self) -> None:
        """The last one is told by when it was made, not by its name; there may be none."""
        self.assertIsNone(newest(self.folder))
        write(run([20.0], [10.0], when="2026-02-01T00:00:00+00:00"), self.folder / "a.json")
        write(run([20.0], [10.0], when="2026-01-01T00:00:00+00:00"), self.folder / "b.json")
        last = newest(self.folder)
        assert last is not None
        self.assertEqual(last.when[:10], "2026-02-01")

    def test_other_file(self) -> None:
        """A file of something else is refused with its name."""
        self.folder.mkdir()
        for number, text in enumerate(("[]", "{}", '{"when": 1}', "no JSON")):
            path = self.folder / f"{number}.json"
            path.write_text(text)
            with self.assertRaises(ValueError, msg=text):
                read(path)
