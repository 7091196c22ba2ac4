"""The keep-alive trial of `make trials`, in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trials.keep_alive import keep_alive


@pytest.mark.parametrize("backend", ["", 'server = "gunicorn"'])
def test_keep_alive(tmp_path: Path, backend: str) -> None:
    """Of 2,000 requests to a gunicorn that closes idle connections none fails or is doubled."""
    outcome = keep_alive(tmp_path / "trial", backend, clients=500, waves=4)
    assert outcome.faults == [], outcome.verdict
