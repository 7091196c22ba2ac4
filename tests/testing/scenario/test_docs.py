"""What the documentation says of scenarios is so."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.scenario.expectation import METRICS
from lbproxy.testing.scenario.model import Behaviour, Event, Load, Scenario
from lbproxy.testing.scenario.play import play
from tests.config.folder import temporary_folder

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")


class DocsTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Each key and each number is in a table."""
        words = set(re.findall(r"`([a-z_0-9]+)", TEXT))
        for cls in (Scenario, Load, Behaviour, Event):
            keys = {field.name for field in attrs.fields(cls)} - {"name", "at", "load", "backends"}
            self.assertEqual(keys - words, set(), cls)
        self.assertEqual(set(METRICS) - words, set())

    def test_example(self) -> None:
        """The example is played, and all that it expects holds."""
        example = TEXT.partition("```toml\n")[2].partition("```")[0]
        file = temporary_folder(self) / "scenario.toml"
        file.write_text(example)
        self.assertTrue(play(file, ROOT / "examples" / "lbproxy.toml").ok)

    def test_scenarios(self) -> None:
        """Each file that comes with it is named."""
        for file in (ROOT / "examples" / "scenarios").glob("*.toml"):
            self.assertIn(file.name, TEXT)
