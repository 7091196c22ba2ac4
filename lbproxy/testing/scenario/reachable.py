"""A config as far as it can be simulated, and a sentence on each thing that cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

import attrs

from lbproxy.config.dns_kinds import asked_of_dns
from lbproxy.config.model import Config, Listener, Pool
from lbproxy.proxy.listener import ANNOUNCED

_PORT = re.compile(r"tcp6?:(?:.*:port=|port=)?([0-9]+)(?::|\Z)")

#: The ports of listeners that have none, or one that another listener has on another interface.
FIRST_PORT = 20_000


@attrs.frozen
class Reachable:
    """What is run.

    Attributes:
        config: The config, without what only a real machine has.
        ports: The port of each HTTP listener.
        addresses: For each address of a backend, the one that stands for it.
        notes: What is different from production.
    """

    config: Config
    ports: dict[str, int]
    addresses: dict[str, str]
    notes: tuple[str, ...]


def reachable(config: Config) -> Reachable:
    """Make what can be run out of a config."""
    wanted = {each.name: _port(each) for each in config.listeners}
    free = (port for port in count(FIRST_PORT) if port not in wanted.values())
    ports: dict[str, int] = {}
    for name, port in wanted.items():
        ports[name] = next(free) if port in (0, *ports.values()) else port
    addresses: dict[str, str] = {}
    for pool in config.pools:
        for backend in pool.backends:
            place = len(addresses) + 1
            simulated = f"10.1.{place >> 8}.{place & 255}:80"
            named = backend.address.startswith("unix:") or asked_of_dns(backend.address)
            addresses.setdefault(backend.address, simulated if named else backend.address)
    return Reachable(
        attrs.evolve(
            config,
            workers=1,
            admin=None,
            access_log=None,
            listeners=tuple(_plain(each, ports[each.name]) for each in config.listeners),
            pools=tuple(_plain_pool(pool, addresses) for pool in config.pools),
        ),
        {each.name: ports[each.name] for each in config.listeners if each.mode == "http"},
        addresses,
        tuple(_notes(config)),
    )


def _port(listener: Listener) -> int:
    """The TCP port in its endpoint; 0 if there is none."""
    found = _PORT.match(listener.endpoint.removeprefix(ANNOUNCED))
    return 0 if found is None else int(found[1])


def _plain(listener: Listener, port: int) -> Listener:
    before = ANNOUNCED if listener.endpoint.startswith(ANNOUNCED) else ""
    return attrs.evolve(listener, endpoint=f"{before}tcp:{port}", tls=None)


def _plain_pool(pool: Pool, addresses: dict[str, str]) -> Pool:
    backends = tuple(
        attrs.evolve(backend, address=addresses[backend.address], tls=None)
        for backend in pool.backends
    )
    return attrs.evolve(pool, tls=False, backends=backends)


def _notes(config: Config) -> Iterator[str]:
    if config.workers > 1:
        yield f"workers: one worker serves, not {config.workers}"
    for listener in config.listeners:
        where = f"listeners.{listener.name}"
        if listener.mode == "tcp":
            yield f"{where}: sessions of TCP mode are not simulated; its backends are only probed"
        elif listener.tls is not None:
            yield f"{where}.tls: TLS is not simulated; clients come without it"
        if not listener.endpoint.removeprefix(ANNOUNCED).startswith("tcp"):
            yield f"{where}.endpoint: it is simulated as a TCP port"
    for pool in config.pools:
        if any(pool.tls_of(backend) is not None for backend in pool.backends):
            yield f"pools.{pool.name}: TLS is not simulated; its backends are asked without it"
        if any(backend.address.startswith("unix:") for backend in pool.backends):
            yield f"pools.{pool.name}: Unix sockets are simulated as TCP ports"
        if any(asked_of_dns(backend.address) for backend in pool.backends):
            yield f"pools.{pool.name}: DNS is not simulated; each name is one backend"
