"""The `lbproxy` command, run as people do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.group import TOP, Group
from tests.processes import PATIENCE


def top(workers: int) -> str:
    """The beginning of a config with so many workers."""
    return TOP.replace("workers = 2", f"workers = {workers}")


def lbproxy(proxy: Group, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command against a balancer's admin port, to its end."""
    return run(*words, "--admin", f"127.0.0.1:{proxy.admin}")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    program = Path(sys.executable).with_name("lbproxy")
    return subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )


def done(proxy: Group, *words: str) -> str:
    """The same for a command that does what it should; what it prints."""
    ended = lbproxy(proxy, *words)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


def status(proxy: Group) -> dict[str, Any]:
    """What `lbproxy status --json` says of the backends, by name."""
    document = json.loads(done(proxy, "status", "--json"))
    return {backend["name"]: backend for backend in document["pools"][0]["backends"]}
