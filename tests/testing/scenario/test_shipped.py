"""The scenarios that come with lbproxy: each with the config that its file names."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.scenario.play import play
from lbproxy.testing.scenario.report import report
from lbproxy.testing.scenario.terminal import BLOCKS

FOLDER = Path(__file__).parents[3] / "examples" / "scenarios"

_COMMAND = re.compile(r"`lbproxy test (\S+) --config (\S+)`")


def commands(kind: str) -> list[tuple[str, str]]:
    """The scenario and the config of each command that a file of this kind names."""
    return [
        found
        for file in sorted(FOLDER.glob(kind))
        for found in _COMMAND.findall(file.read_text(encoding="utf-8"))
    ]


class ShippedTests(SynchronousTestCase):
    def test_all(self) -> None:
        """What each expects holds, with other seeds too."""
        scenarios = [path.name for path in FOLDER.glob("*.toml") if ".lbproxy." not in path.name]
        found = [pair for pair in commands("*.toml") if pair[1] != "careless.lbproxy.toml"]
        self.assertEqual(sorted(scenario for scenario, _ in found), sorted(scenarios))
        for scenario, config in found:
            for seed in (None, 2):
                result = play(FOLDER / scenario, FOLDER / config, seed)
                self.assertTrue(result.ok, "\n".join(report(result, 80, BLOCKS)))

    def test_careless(self) -> None:
        """A config that does not look after its backends fails, and the reason can be read."""
        ((scenario, config),) = commands("careless.lbproxy.toml")
        result = play(FOLDER / scenario, FOLDER / config)
        self.assertGreater(result.failed, 100)
        text = "\n".join(report(result, 80, BLOCKS))
        self.assertIn("failed: 503 no_backend, told by the balancer", text)
        self.assertIn("connect_failed, stage nothing_sent, then attempts_spent", text)
