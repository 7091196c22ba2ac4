"""Listening sockets that somebody else has made, who stays when the balancer ends: as systemd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET
from typing import Any

import attrs
from twisted.internet import endpoints
from twisted.python.systemd import ListenFDs

from lbproxy.config.model import Config, Listener
from lbproxy.proxy.listener import ANNOUNCED
from lbproxy.testing.configs import PORTS
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.network import FakeNetwork
from lbproxy.transport.listen import BACKLOG

#: What each socket is called, and its descriptor in whoever is started (`sd_listen_fds(3)`).
NUMBERS = {name: number for number, name in enumerate(PORTS, 3)}


def with_passed(config: Config) -> Config:
    """The config, all of whose listeners are such sockets."""
    return attrs.evolve(config, listeners=tuple(map(_passed, config.listeners)))


def _passed(listener: Listener) -> Listener:
    kind = ANNOUNCED if listener.endpoint.startswith(ANNOUNCED) else ""
    return attrs.evolve(listener, endpoint=f"{kind}systemd:domain=INET:name={listener.name}")


def wants_passed(config: Config) -> bool:
    """Whether it has listeners of that kind."""
    return any("systemd:" in each.endpoint for each in config.listeners)


@contextmanager
def known() -> Iterator[None]:
    """With the environment that tells of such sockets, as Twisted has read it."""
    parser: Any = endpoints._SystemdParser
    before = parser._sddaemon
    parser._sddaemon = ListenFDs([*NUMBERS.values()], [*NUMBERS])
    try:
        yield
    finally:
        parser._sddaemon = before


class Holder:
    """Who has made them, and starts balancers."""

    def __init__(self, network: FakeNetwork) -> None:
        """Listen."""
        kernel = Kernel()
        kernel.routes = network
        self._sockets = {}
        for name, port in PORTS.items():
            self._sockets[NUMBERS[name]] = skt = kernel.make_socket(AF_INET)
            skt.bind(("", port))
            skt.listen(BACKLOG)

    def pass_to(self, kernel: Kernel) -> None:
        """Let a new process have them."""
        kernel.passed = self._sockets
