"""The fixture for users, in a pytest of its own, and an lbproxy without any pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes import PATIENCE, ROOT
from tests.testing.scenario.plays import CONFIG

SCENARIO = """\
duration = 5.0
events = [{ at = 1.0, kill = "klein" }]
load = [{ rate = 50.0 }]
"""

TESTS = """\
def test_kill(lbproxy_scenario):
    result = lbproxy_scenario("scenario.toml", config="lbproxy.toml")
    assert result.ok
    assert (result.failed, result.doubled) == (0, 0)
    assert result.share("flask") > 0.5

def test_seed(lbproxy_scenario):
    first, other = (
        lbproxy_scenario("scenario.toml", config="lbproxy.toml", seed=seed) for seed in (1, 2)
    )
    assert len(first.requests) != len(other.requests)

def test_too_much(lbproxy_scenario):
    assert lbproxy_scenario("scenario.toml", config="lbproxy.toml").retries == 0

def test_wrong(lbproxy_scenario):
    lbproxy_scenario("lbproxy.toml", config="lbproxy.toml")
"""

WITHOUT_PYTEST = """\
import sys
sys.modules["pytest"] = None  # Whoever imports it now fails.
from lbproxy.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    """Run Python in a folder; its exit code, and all that it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout


def files(folder: Path) -> None:
    """A config and a scenario."""
    (folder / "lbproxy.toml").write_text(CONFIG.format(pool=""))
    (folder / "scenario.toml").write_text(SCENARIO)


def test_fixture(tmp_path: Path) -> None:
    """It is there without being asked for; a test that fails shows the report, or the mistake."""
    files(tmp_path)
    (tmp_path / "test_mine.py").write_text(TESTS)
    code, said = run(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error")
    assert code == 1, said
    assert "2 failed, 2 passed" in said, said
    assert "1: kill klein at 1 s" in said
    assert "lbproxy.toml:1: listeners: unknown key; known are" in said


def test_without_pytest(tmp_path: Path) -> None:
    """The command needs no pytest."""
    files(tmp_path)
    code, said = run(
        tmp_path, "-c", WITHOUT_PYTEST, "test", "scenario.toml", "--config", "lbproxy.toml"
    )
    assert (code, said.splitlines()[-1]) == (0, "as expected"), said
