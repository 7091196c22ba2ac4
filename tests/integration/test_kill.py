"""A backend is killed under load and comes back: no client sees it, and `/health` tells it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lbproxy.control.backends import Backends
from lbproxy.testing.orders.history import Place
from tests.integration.asking import ask
from tests.integration.group import alive
from tests.integration.shoppers import Shoppers
from tests.integration.supervised import pid_of, supervised
from tests.integration.wrk import WRK, Wrk
from tests.processes import LISTENS, PATIENCE, Process


def told(port: int) -> list[dict[str, Any]]:
    """What `/health` says of the backends."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/health")
        backends: list[dict[str, Any]] = json.load(connection.getresponse())["pools"][0]["backends"]
    return backends


def states(port: int) -> dict[str, str]:
    """What `/health` says of each backend."""
    return {backend["name"]: backend["state"] for backend in told(port)}


def addresses(port: int) -> list[int]:
    """The ports of the backends."""
    return [int(backend["address"].rpartition(":")[2]) for backend in told(port)]


def wait_for(port: int, backend: str, up: bool) -> None:
    """Poll `/health` until it says that a backend is up, or that it is not."""
    until = time.monotonic() + PATIENCE
    while (states(port)[backend] == "up") is not up:
        assert time.monotonic() < until, states(port)
        time.sleep(0.02)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Process]:
    """The balancer that runs and watches over both backends, all on free ports, both up."""
    started = supervised(tmp_path)
    with started:
        started.port = int(started.wait_for_line(LISTENS)["port"])
        for name in ("klein", "flask"):
            wait_for(started.port, name, up=True)
        yield started


@pytest.mark.skipif(WRK is None, reason="wrk, which makes the load, is not installed")
@pytest.mark.parametrize("dying", ["klein", "flask"])
def test_load(shop: Process, dying: str) -> None:
    """Under wrk no request fails; `/health` shows the backend not up, and then up again."""
    with Wrk(f"http://127.0.0.1:{shop.port}/api/restaurants", 32) as visitors:
        killed = pid_of(dying, shop)
        threading.Timer(1.0, os.kill, (killed, signal.SIGKILL)).start()
        wait_for(shop.port, dying, up=False)
        wait_for(shop.port, dying, up=True)
    assert visitors.requests > 0
    assert visitors.trouble == ""
    assert pid_of(dying, shop) != killed
    shop.wait_for_line(rf"\[{dying}\] ended by signal 9; it is started again")


def test_first_request(tmp_path: Path) -> None:
    """With `hold_when_down` who asks before a backend is ready waits for it."""
    with supervised(tmp_path, pool=f"hold_when_down = {{ seconds = {PATIENCE} }}") as started:
        port = int(started.wait_for_line(LISTENS)["port"])
        assert ask(port, "GET", "/api/restaurants").status == 200


def test_orders(shop: Process) -> None:
    """While each is killed in its turn, orders with a key are placed, and mean what they say."""
    with Shoppers(shop.port, keys=True) as shoppers:
        for dying in ("klein", "flask"):
            shoppers.wait_for_progress()
            os.kill(pid_of(dying, shop), signal.SIGKILL)
            wait_for(shop.port, dying, up=False)
            shoppers.wait_for_progress()
            wait_for(shop.port, dying, up=True)
        shoppers.wait_for_progress()
    assert shoppers.failed == []
    assert not [each for each in shoppers.unsure if isinstance(each, Place)]
    assert shoppers.check(addresses(shop.port)) == []


def test_interrupt_spares_the_backends(shop: Process) -> None:
    """They are outside the balancer's process group, where Ctrl-C is heard, and end with it."""
    pids = [pid_of(name, shop) for name in ("klein", "flask")]
    assert os.getpgid(shop.pid) not in [os.getpgid(pid) for pid in pids]
    shop.signal(signal.SIGINT)
    assert shop.wait() == 0
    assert "Traceback" not in shop.output
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_killed_balancer(shop: Process) -> None:
    """The backends do not outlive a balancer that was killed."""
    pids = [pid_of(name, shop) for name in ("klein", "flask")]
    shop.kill()
    until = time.monotonic() + Backends.killTime
    while [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < until
        time.sleep(0.02)
