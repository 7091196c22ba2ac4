"""An order placed in a real browser, through the balancer, while the backends die."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import PATIENCE, ROOT, Process, free_port, start_backend

CONFIG = """
[listeners.web]
endpoint = "tcp:{port}:interface=127.0.0.1"

[[routes]]
path = "/api/"
pool = "api"
expose_backend = true

[[routes]]
path = "/"
static = "{public}"

[pools.api]
health = {{ path = "/health", interval = 5.0, timeout = 1.0, rise = 2, fall = 3 }}

[[pools.api.backends]]
name = "klein"
address = "127.0.0.1:{klein}"
server = "klein"

[[pools.api.backends]]
name = "flask"
address = "127.0.0.1:{flask}"
server = "gunicorn"
"""


def start_balancer(config_text: str, tmp_path: Path, port: int) -> Process:
    """Start the balancer with that configuration and wait until it listens on `port`."""
    config = tmp_path / "lbproxy.toml"
    config.write_text(config_text)
    twistd = Path(sys.executable).with_name("twistd")
    balancer = Process([twistd, "-n", "--pidfile=", "lbproxy", "--config", config])
    balancer.port = port
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return balancer
        except OSError:
            if time.monotonic() > deadline:
                balancer.kill()
                raise AssertionError(
                    f"it does not listen; it printed:\n{balancer.output}"
                ) from None
            time.sleep(0.05)


def chromium() -> str:
    """The browser's program; without one the test is skipped, except where CI must have it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        reason = f"no browser: none of {', '.join(names)} is on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def test_backend_killed_while_ordering(tmp_path: Path) -> None:
    """The answer to an order dies with its backend: the page shows that order, made once."""
    browser = chromium()
    store = tmp_path / "shop.sqlite3"
    with start_backend("klein", store) as klein, start_backend("flask", store) as flask:
        port = free_port()
        config = CONFIG.format(
            port=port, public=ROOT / "public", klein=klein.port, flask=flask.port
        )
        with start_balancer(config, tmp_path, port):
            backends = [f"--backend=klein={klein.pid}", f"--backend=flask={flask.pid}"]
            seen = shop(browser, f"http://127.0.0.1:{port}", backends)
    survivor = {"klein": "flask", "flask": "klein"}[seen["killed"]]
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


def shop(browser: str, base: str, backends: list[str]) -> dict[str, Any]:
    """Run the browser's part in a process of its own; what it saw, as `place_order.Seen` tells."""
    arguments = ["--chromium", browser, "--base", base, *backends]
    with Process(
        [sys.executable, "-m", "tests.browser.place_order", *arguments]
    ) as shopper:
        line = shopper.wait_for_line(r"^seen (\{.*\})$")
        assert shopper.wait() == 0
    seen: dict[str, Any] = json.loads(line[1])
    return seen
