"""Backends that DNS knows: a balancer in its own processes, and a DNS server that changes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import done, lbproxy, status
from tests.integration.group import ASK, Group, until
from tests.integration.load import Load
from tests.integration.origin import Origin, Wire, polite
from tests.nameserver import Nameserver, a, srv

NAME = "api.test"
SERVICE = "_http._tcp.shop.test"

ONE = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

#: Answers live as briefly as can be, and what failed is asked again as soon.
TOP = """\
workers = {workers}
[dns]
servers = ["127.0.0.1:{server}"]
family = "ipv4"
timeout = 0.5
min_ttl = 0.1
max_ttl = 0.1
[admin]
endpoint = "tcp:port=0:interface=127.0.0.1"
"""

POOL = """\
slow_start = 0
[[pools.api.backends]]
name = "klein"
address = "{address}"
"""


class Addresses:
    """Origins at one port of several loopback addresses.

    Attributes:
        port: Of all.
        origins: By the last number of their addresses.
        open: How many connections each has.
    """

    def __init__(self) -> None:
        self.open = {1: 0, 2: 0, 3: 0}
        self._lock = threading.Lock()
        first = Origin(lambda origin, wire: self._serve(1, origin, wire))
        self.port = first.port
        self.origins = {1: first}
        for number in (2, 3):
            self.origins[number] = self._at(number)

    def _at(self, number: int) -> Origin:
        def serve(origin: Origin, wire: Wire) -> None:
            self._serve(number, origin, wire)

        return Origin(serve, port=self.port, host=f"127.0.0.{number}")

    def _serve(self, number: int, origin: Origin, wire: Wire) -> None:
        with self._lock:
            self.open[number] += 1
        try:
            polite(origin, wire)
        finally:
            with self._lock:
                self.open[number] -= 1

    def names(self, *numbers: int) -> set[str]:
        """What backends there are called."""
        return {f"klein@127.0.0.{number}:{self.port}" for number in numbers}

    def close(self) -> None:
        """Refuse connections."""
        for origin in self.origins.values():
            origin.close()


@pytest.fixture
def there() -> Iterator[Addresses]:
    """The origins."""
    addresses = Addresses()
    yield addresses
    addresses.close()


@pytest.fixture
def server() -> Iterator[Nameserver]:
    """The DNS server."""
    with Nameserver() as running:
        yield running


def started(
    folder: Path, server: Nameserver, address: str, workers: int = 1, health: str = "false"
) -> Group:
    """A balancer before a name."""
    top = TOP.format(workers=workers, server=server.port)
    return Group(folder, [], POOL.format(address=address), health, top)


def served_by(proxy: Group) -> str:
    """Who answers."""
    told = proxy.ask(ONE)
    return told.partition(b"X-Served-By: ")[2].partition(b"\r\n")[0].decode()


def states(proxy: Group) -> dict[str, str]:
    """The backends by name, and their states."""
    return {name: each["state"] for name, each in backends(proxy).items()}


def backends(proxy: Group) -> dict[str, Any]:
    """The backends by name, as the health report has them."""
    return {each["name"]: each for each in proxy.health()["pools"][0]["backends"]}


@pytest.mark.parametrize("workers", [1, 2])
def test_addresses_come_and_go(
    tmp_path: Path, server: Nameserver, there: Addresses, workers: int
) -> None:
    """One more address, and one less, while clients ask; nothing fails and nothing is left."""
    server.put(NAME, a("127.0.0.1"), a("127.0.0.2"))
    probes = "{ tcp = true, interval = 0.2, timeout = 0.2 }"
    proxy = started(tmp_path, server, f"{NAME}:{there.port}", workers, probes)
    with proxy.process:
        proxy.wait_until_all_serve()
        assert states(proxy) == dict.fromkeys(there.names(1, 2), "up")
        with Load(proxy, 4) as load:
            load.wait_for_progress()
            server.put(NAME, a("127.0.0.3"), a("127.0.0.2"), a("127.0.0.1"))
            until(lambda: len(there.origins[3].heads) > 10)
            assert states(proxy) == dict.fromkeys(there.names(1, 2, 3), "up")
            server.put(NAME, a("127.0.0.2"), a("127.0.0.3"))
            until(lambda: there.open[1] == 0 and states(proxy).keys() == there.names(2, 3))
            told = len(there.origins[1].heads)
            load.wait_for_progress()
            load.wait_for_progress()
            assert len(there.origins[1].heads) == told
        assert (load.refused, sum(load.lost)) == ([], 0)
        assert proxy.process.stop() == 0
    assert "Traceback" not in proxy.process.output


@pytest.mark.parametrize("health", ["false", "{ interval = 0.2, timeout = 0.2 }"])
def test_no_such_name(tmp_path: Path, server: Nameserver, there: Addresses, health: str) -> None:
    """It starts all the same, says why nobody is there, and serves when somebody is."""
    proxy = started(tmp_path, server, f"{NAME}:{there.port}", health=health)
    with proxy.process:
        klein = backends(proxy)["klein"]
        assert klein["state"] == "down"
        assert klein["last_probe"]["detail"].startswith("api.test does not resolve: there is no")
        assert proxy.ask(ONE).startswith(b"HTTP/1.1 503 ")
        server.put(NAME, a("127.0.0.1"))
        until(lambda: states(proxy) == dict.fromkeys(there.names(1), "up"))
        assert {served_by(proxy)} == there.names(1)
        assert proxy.process.stop() == 0
    assert "Traceback" not in proxy.process.output


def test_one_of_two(tmp_path: Path, server: Nameserver, there: Addresses) -> None:
    """A name without an address stays down while another one changes, without probes too."""
    server.put(NAME, a("127.0.0.1"))
    other = '\n[[pools.api.backends]]\nname = "flask"\naddress = "gone.test:80"\n'
    top = TOP.format(workers=1, server=server.port)
    proxy = Group(tmp_path, [], POOL.format(address=f"{NAME}:{there.port}") + other, "false", top)
    with proxy.process:
        until(lambda: states(proxy)["flask"] == "down")
        server.put(NAME, a("127.0.0.2"))
        until(lambda: there.names(2) < states(proxy).keys())
        assert states(proxy)["flask"] == "down"
        assert {served_by(proxy) for _ in range(4)} == there.names(2)
        assert proxy.process.stop() == 0
    assert "Traceback" not in proxy.process.output


@pytest.mark.parametrize("workers", [1, 2])
def test_drain_of_all(tmp_path: Path, server: Nameserver, there: Addresses, workers: int) -> None:
    """A name is drained with whoever joins it, while another one serves, and then given back."""
    server.put(NAME, a("127.0.0.1"))
    server.put("two.test", a("127.0.0.2"))
    other = f'\n[[pools.api.backends]]\nname = "flask"\naddress = "two.test:{there.port}"\n'
    top = TOP.format(workers=workers, server=server.port)
    pool = POOL.format(address=f"{NAME}:{there.port}") + other
    proxy = Group(tmp_path, [], pool, "false", top)
    with proxy.process:
        proxy.wait_until_all_serve()
        told = done(proxy, "drain", "klein", "--wait", "--reason", "disk", "--author", "ann")
        assert told.splitlines()[-1] == "api/klein, 1 member, has finished"
        with Load(proxy, 4) as load:
            server.put(NAME, a("127.0.0.1"), a("127.0.0.3"))
            until(lambda: there.names(1, 3) < backends(proxy).keys())
            load.wait_for_progress()
            server.put(NAME, a("127.0.0.3"))
            until(lambda: there.names(1).isdisjoint(backends(proxy)))
            load.wait_for_progress()
            (member,) = there.names(3)
            drain = status(proxy)[member]["drain"]
            assert (drain["backend"], drain["author"], drain["reason"]) == ("klein", "ann", "disk")
            assert there.origins[1].heads == there.origins[3].heads == []
            assert lbproxy(proxy, "undrain", member).returncode == 1
            assert done(proxy, "undrain", "klein") == f"api/{member} takes requests again\n"
            until(lambda: len(there.origins[3].heads) > 10)
        assert (load.refused, sum(load.lost)) == ([], 0)
        assert proxy.process.stop() == 0
    assert "Traceback" not in proxy.process.output


def test_dead_server(tmp_path: Path, server: Nameserver, there: Addresses) -> None:
    """Without a DNS server all goes on as it was; with one again, as that says."""
    server.put(NAME, a("127.0.0.1"))
    proxy = started(tmp_path, server, f"{NAME}:{there.port}")
    with proxy.process:
        assert {served_by(proxy)} == there.names(1)
        server.close()
        proxy.process.wait_for_line("api.test does not resolve: .*refused; what was known holds")
        with Load(proxy, 2) as load:
            load.wait_for_progress()
        assert (load.refused, sum(load.lost)) == ([], 0)
        with Nameserver(server.port) as again:
            again.put(NAME, a("127.0.0.2"))
            proxy.process.wait_for_line("api.test resolves again")
            until(lambda: states(proxy).keys() == there.names(2))
            assert {served_by(proxy)} == there.names(2)
            assert proxy.process.stop() == 0
    assert proxy.process.output.count("does not resolve") == 1
    assert "Traceback" not in proxy.process.output


def test_service(tmp_path: Path, server: Nameserver, there: Addresses) -> None:
    """The targets of the lowest priority serve, then the others; and each by its name elsewhere."""
    targets = [srv(f"n{number}.test", there.port, number, 10) for number in (1, 2)]
    server.put(SERVICE, *targets)
    for number in (1, 2):
        server.put(f"n{number}.test", a(f"127.0.0.{number}"))
    proxy = started(tmp_path, server, f"srv:{SERVICE}")
    with proxy.process:
        names = [f"klein@n{number}.test:{there.port}" for number in (1, 2)]
        assert [*backends(proxy)] == names
        assert {served_by(proxy) for _ in range(4)} == {names[0]}
        server.put(SERVICE, targets[1])
        until(lambda: [*backends(proxy)] == names[1:])
        assert served_by(proxy) == names[1]
        server.put("n2.test", a("127.0.0.3"))
        until(lambda: served_by(proxy) == names[1] and len(there.origins[3].heads) > 0)
        assert proxy.process.stop() == 0
    assert "Traceback" not in proxy.process.output


def test_reload(tmp_path: Path, server: Nameserver, there: Addresses) -> None:
    """A reload may bring a name, and keeps what is known of another."""
    server.put(NAME, a("127.0.0.1"))
    server.put("two.test", a("127.0.0.2"))
    proxy = started(tmp_path, server, f"{NAME}:{there.port}")
    with proxy.process:
        config = tmp_path / "lbproxy.toml"
        more = f'[[pools.api.backends]]\nname = "flask"\naddress = "two.test:{there.port}"\n'
        config.write_text(config.read_text() + more)
        proxy.process.signal(signal.SIGHUP)
        until(lambda: backends(proxy).keys() == {*there.names(1), f"flask@127.0.0.2:{there.port}"})
        assert len({served_by(proxy) for _ in range(4)}) == 2
        assert proxy.process.stop() == 0
    assert "Traceback" not in proxy.process.output
