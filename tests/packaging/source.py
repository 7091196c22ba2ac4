"""A copy of the checkout to build from, for building leaves its traces in the source."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.processes import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build", "dist", "var"
)


def copy_checkout(target: Path) -> None:
    """Copy what the project is made of, without what was made from it."""
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)
