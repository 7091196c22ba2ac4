"""Tests of `lbproxy test`."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli.main import main
from tests.testing.scenario.plays import folder_with

SCENARIO = """\
duration = 3.0
expect = ["failed {} 0"]
events = [{{ at = 1.0, kill = "*" }}]
load = [{{ rate = 50.0 }}]
"""


class TestTests(SynchronousTestCase):
    """What is said, where, and the exit status."""

    def run_command(self, *words: str | Path) -> tuple[int, str, str]:
        """The exit status, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = main(["test", *map(str, words)])
        return status, output.getvalue(), errors.getvalue()

    def files(self, scenario: str) -> tuple[Path, str, Path]:
        """The words that name a scenario and a config."""
        folder = folder_with(self, scenario)
        return folder / "scenario.toml", "--config", folder / "lbproxy.toml"

    def test_as_expected(self) -> None:
        """Status 0 and a report."""
        status, output, errors = self.run_command(*self.files(SCENARIO.format(">")))
        self.assertEqual((status, errors), (0, ""))
        self.assertTrue(output.endswith("as expected\n"))
        self.assertIn("holds   failed > 0", output)

    def test_not_as_expected(self) -> None:
        """Status 1 and a report."""
        status, output, errors = self.run_command(*self.files(SCENARIO.format("==")))
        self.assertEqual((status, errors), (1, ""))
        self.assertTrue(output.endswith("NOT as expected\n"))

    def test_wrong_files(self) -> None:
        """Status 2, and each mistake on standard error."""
        scenario, flag, config = self.files("duration = 1.0\nload = 3\n")
        status, output, errors = self.run_command(scenario, flag, config)
        said = f"{scenario}:2: load: expected a list, found 3\n"
        self.assertEqual((status, output, errors), (2, "", said))
        config.write_text("worker = 1\n" + config.read_text())
        status, output, errors = self.run_command(scenario, flag, config)
        said = f"{config}:1: worker: unknown key; did you mean workers?\n"
        self.assertEqual((status, output, errors), (2, "", said))

    def test_seed(self) -> None:
        """Another one than the scenario's; no other word than a number."""
        files = self.files(SCENARIO.format(">"))
        _, output, _ = self.run_command(*files, "--seed", "7")
        self.assertIn("seed 7", output)
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            ended = self.assertRaises(SystemExit, main, ["test", "a", "--config=b", "--seed=x"])
        self.assertEqual(ended.code, 2)
        self.assertIn("expected a whole number, found x", errors.getvalue())

    def test_json(self) -> None:
        """A document instead of the report; twice the same."""
        files = self.files(SCENARIO.format("=="))
        status, output, _ = self.run_command(*files, "--json")
        self.assertEqual(status, 1)
        self.assertEqual(json.loads(output)["ok"], False)
        self.assertEqual(self.run_command(*files, "--json")[1], output)

    def test_svg(self) -> None:
        """A picture beside the report; one that cannot be written is told."""
        files = self.files(SCENARIO.format(">"))
        picture = files[0].parent / "timeline.svg"
        status, _, _ = self.run_command(*files, "--svg", picture)
        self.assertEqual(status, 0)
        self.assertTrue(ElementTree.parse(picture).getroot().tag.endswith("svg"))
        nowhere = picture / "beyond.svg"
        status, _, errors = self.run_command(*files, "--svg", nowhere)
        self.assertEqual((status, errors), (2, f"{nowhere}: cannot be written: Not a directory\n"))

    def test_without_unicode(self) -> None:
        """What standard output cannot show is not sent there."""
        files = [str(each) for each in self.files(SCENARIO.format(">"))]
        data = io.BytesIO()
        output = io.TextIOWrapper(data, encoding="ascii")
        with contextlib.redirect_stdout(output):
            self.assertEqual(main(["test", *files]), 0)
        output.flush()
        self.assertIn(b"requests", data.getvalue())
