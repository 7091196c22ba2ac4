"""Temporary folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


def temporary_folder(case: SynchronousTestCase) -> Path:
    """A new folder, absolute and without links in its path, that goes with the test."""
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name).resolve()
