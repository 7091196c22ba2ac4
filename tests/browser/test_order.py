"""An order placed in a real browser, through the balancer, while the backends die and return."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Process, start_backend, start_balancer

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def browser() -> str:
    """The browser's program; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    return found


def test_backend_killed_while_ordering(browser: str, tmp_path: Path) -> None:
    """The answer to an order dies with its backend: the page shows that order, made once."""
    store = tmp_path / "shop.sqlite3"
    with ExitStack() as processes:
        backends = {
            name: processes.enter_context(start_backend(name, store)) for name in ("klein", "flask")
        }
        ports = {name: backend.port for name, backend in backends.items()}
        balancer = start_balancer(**ports, config=tmp_path / "lbproxy.toml")
        processes.enter_context(balancer)
        arguments = ["--chromium", browser, "--base", f"http://127.0.0.1:{balancer.port}/"]
        pids = [f"--backend={name}={backend.pid}" for name, backend in backends.items()]
        program = [sys.executable, "-m", "tests.browser.place_order", *arguments, *pids]
        shopper = processes.enter_context(Process(program))
        killed = shopper.wait_for_line(r"^alone (\w+)$")[1]
        again = start_backend(killed, store, ports[killed])
        backends[killed] = processes.enter_context(again)
        shopper.wait_for_line(r"^together$")
        for backend in backends.values():
            backend.kill()
        seen: dict[str, Any] = json.loads(shopper.wait_for_line(r"^seen (\{.*\})$")[1])
        assert shopper.wait() == 0
    survivor = {"klein": "flask", "flask": "klein"}[killed]
    assert seen["keys"][0]
    assert len(seen["keys"]) > 1
    assert len(set(seen["keys"])) == 1
    assert "will not be ordered twice" in seen["repeating"]
    assert seen["orders"] == [seen["posted"]] == [seen["shown"]]
    assert seen["orders_from"] == survivor
    assert seen["badge"] == f"Answered by {survivor}"
    assert seen["statuses"] == ["placed", "accepted"]
    assert seen["notified"] == ["accepted", "placed"]
    title, status = seen["outage"]
    assert title
    assert status == "503"
    assert seen["errors"] == []
