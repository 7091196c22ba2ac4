"""Both backends of the shop restarted, one after the other, while wrk looks and customers order."""

from __future__ import annotations

from pathlib import Path

from tests.integration.commands import lbproxy, status
from tests.integration.shoppers import Shoppers, ports, shop
from tests.integration.supervised import pid_of
from tests.integration.wrk import Wrk
from tests.trials.outcome import Outcome, fault

#: Connections of wrk.
CONNECTIONS = 16


def rolling(folder: Path, workers: int, rolls: int) -> Outcome:
    """Roll, and see that nothing failed, and that all orders mean what they say.

    Args:
        folder: Where the files of balancer and store are; it is made.
        workers: Of the balancer.
        rolls: How often both backends are restarted.
    """
    folder.mkdir()
    faults = []
    with shop(folder, workers) as proxy:
        port = proxy.process.port
        url = f"http://127.0.0.1:{port}/api/restaurants"
        with Wrk(url, CONNECTIONS) as visitors, Shoppers(port, keys=False) as shoppers:
            shoppers.wait_for_progress()
            for _ in range(rolls):
                before = {pid_of(name, proxy.process) for name in ("klein", "flask")}
                rolled = lbproxy(proxy, "roll", "--reason", "trial")
                if rolled.returncode != 0 or rolled.stderr:
                    faults.append(f"lbproxy roll ended with {rolled.returncode}: {rolled.stderr}")
                elif before & {pid_of(name, proxy.process) for name in ("klein", "flask")}:
                    faults.append("lbproxy roll left a backend as it was")
            shoppers.wait_for_progress()
        broken = shoppers.check(ports(proxy))
        if any(each["draining"] for each in status(proxy).values()):
            faults.append("a backend is still drained")
    faults += fault("requests of customers failed", [str(each) for each in shoppers.failed])
    faults += fault("orders may have been placed or not", [str(each) for each in shoppers.unsure])
    faults += fault("rules of an order are broken", broken)
    if visitors.trouble or not visitors.requests:
        faults.append(f"wrk: {visitors.trouble or 'no answer'}")
    told = (
        f"{rolls} rolls of both backends, {workers} workers: {visitors.requests} GETs of wrk and "
        f"{sum(shoppers.asked)} requests of customers, {shoppers.placed} orders among them"
    )
    return Outcome(told, faults)
