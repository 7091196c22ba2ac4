"""`lbproxy roll` restarts both backends of the shop while customers order."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.asking import ask
from tests.integration.commands import lbproxy, status, top
from tests.integration.group import Group, until
from tests.integration.shoppers import Shoppers
from tests.integration.supervised import pid_of, supervised


@contextlib.contextmanager
def shop(folder: Path, workers: int) -> Iterator[Group]:
    """The shop with both backends up and supervised."""
    process = supervised(folder, top(workers), "slow_start = 0.5")
    with Group.of(process) as started:
        started.wait_until_all_serve()
        until(lambda: all(each["state"] == "up" for each in status(started).values()))
        yield started
        assert process.stop() == 0, process.output
    assert "Traceback" not in process.output, process.output


@pytest.mark.parametrize("workers", [1, 2])
def test_roll(tmp_path: Path, workers: int) -> None:
    """Both are other processes afterwards; no request has failed, and orders mean what they say."""
    with shop(tmp_path, workers) as proxy:
        before = [pid_of(name, proxy.process) for name in ("klein", "flask")]
        with Shoppers(proxy.process.port, keys=False) as shoppers:
            shoppers.wait_for_progress()
            rolled = lbproxy(proxy, "roll", "--reason", "deploy 4.2")
            shoppers.wait_for_progress()
        assert (rolled.returncode, rolled.stderr) == (0, "")
        assert rolled.stdout.endswith("rolled 2: api/klein, api/flask\n")
        after = [pid_of(name, proxy.process) for name in ("klein", "flask")]
        assert not {*before} & {*after}
        assert (shoppers.failed, shoppers.unsure) == ([], [])
        ports = [int(each["address"].rpartition(":")[2]) for each in status(proxy).values()]
        assert shoppers.check(ports) == []
        assert not any(each["draining"] for each in status(proxy).values())


def test_command(tmp_path: Path) -> None:
    """With a command of the user's; the first that fails ends it, and is left drained."""
    script = tmp_path / "restart.py"
    script.write_text(
        "import sys\nprint(*sys.argv[1:], flush=True)\nsys.exit('klein' in sys.argv)\n"
    )
    command = f"{sys.executable} {script} {{name}} {{address}}"
    with shop(tmp_path, 1) as proxy:
        rolled = lbproxy(proxy, "roll", "--command", command)
        backends = status(proxy)
        assert rolled.returncode == 1
        assert f"klein {backends['klein']['address']}\n" in rolled.stdout
        assert "ended with exit status 1; it stays drained, until: lbproxy undrain" in rolled.stderr
        assert "not rolled: api/flask\n" in rolled.stderr
        draining = {name: each["draining"] for name, each in backends.items()}
        assert draining == {"klein": True, "flask": False}
        assert lbproxy(proxy, "undrain", "klein").returncode == 0
        assert lbproxy(proxy, "roll", "--command", "true {name}").returncode == 0


def test_does_not_come_back(tmp_path: Path) -> None:
    """A backend that is not there after its restart is named with its last probe."""
    with shop(tmp_path, 1) as proxy:
        stopped = pid_of("klein", proxy.process)
        command = f"kill -STOP {stopped}"  # As a program is that hangs while it starts.
        rolled = lbproxy(proxy, "roll", "--command", command, "--timeout", "3")
        assert rolled.returncode == 1
        assert "api/klein: did not come back within 3 s, last probe: no answer in" in rolled.stderr
        assert status(proxy)["klein"]["draining"] is True
        assert ask(proxy.process.port, "GET", "/api/restaurants").fields["x-served-by"] == "flask"
        os.kill(stopped, signal.SIGCONT)
