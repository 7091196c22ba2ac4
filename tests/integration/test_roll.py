"""`lbproxy roll` restarts both backends of the shop while customers order."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.asking import Reply, ask
from tests.integration.commands import lbproxy, status, top
from tests.integration.crowd import Crowd
from tests.integration.group import Group, until
from tests.integration.supervised import pid_of, supervised

#: Customers who order, and visitors who look, all at once.
CUSTOMERS, VISITORS = 4, 4


class Shoppers(Crowd):
    """Orders without a key, so that no retry may repeat them, and looks at the restaurants.

    Attributes:
        placed: The names under which orders were answered with 201.
        failed: Whatever else came of a request.
    """

    def __init__(self, port: int) -> None:
        super().__init__(CUSTOMERS + VISITORS)
        self._port = port
        self.placed: list[str] = []
        self.failed: list[object] = []
        listed = ask(port, "GET", "/api/restaurants").value["restaurants"]
        restaurant = next(one["id"] for one in listed if one["open"])
        menu = ask(port, "GET", f"/api/restaurants/{restaurant}/menu").value["items"]
        item = next(one["id"] for one in menu if one["available"])
        items = [{"item_id": item, "quantity": 1}]
        self._order = {"restaurant_id": restaurant, "items": items}

    def _run(self, number: int) -> None:
        while not self._over.is_set():
            try:
                reply = self._order_once(number) if number < CUSTOMERS else self._look()
                if reply.status not in (200, 201):
                    self.failed.append(reply)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(error)
            self.asked[number] += 1

    def _order_once(self, number: int) -> Reply:
        customer = f"customer {number}, order {self.asked[number]}"
        reply = ask(self._port, "POST", "/api/orders", {**self._order, "customer_name": customer})
        if reply.status == 201:
            self.placed.append(customer)
        return reply

    def _look(self) -> Reply:
        return ask(self._port, "GET", "/api/restaurants")


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


def stored(port: int) -> Counter[str]:
    """How often there is an order of each name."""
    names: Counter[str] = Counter()
    page = ask(port, "GET", "/api/orders?limit=200").value
    while True:
        names.update(order["customer_name"] for order in page["orders"])
        if page["next"] is None:
            return names
        page = ask(port, "GET", f"/api/orders?limit=200&after={page['next']}").value


@pytest.mark.parametrize("workers", [1, 2])
def test_roll(tmp_path: Path, workers: int) -> None:
    """Both are other processes afterwards; no request has failed, and no order is doubled."""
    with shop(tmp_path, workers) as proxy:
        before = [pid_of(name, proxy.process) for name in ("klein", "flask")]
        with Shoppers(proxy.process.port) as shoppers:
            shoppers.wait_for_progress()
            rolled = lbproxy(proxy, "roll", "--reason", "deploy 4.2")
            shoppers.wait_for_progress()
        assert (rolled.returncode, rolled.stderr) == (0, "")
        assert rolled.stdout.endswith("rolled 2: api/klein, api/flask\n")
        after = [pid_of(name, proxy.process) for name in ("klein", "flask")]
        assert not {*before} & {*after}
        assert shoppers.failed == []
        assert stored(proxy.process.port) == Counter(shoppers.placed)
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
