"""A probe that only connects."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from lbproxy.config.model import Backend, Health
from lbproxy.errors import ConnectFailed
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.probe.checks import Check, address_of
from lbproxy.transport.connect import Dialled, connect


class _Knock(Dialled):
    """A connection that says what it has to, and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if self._words:
            transport.write(self._words)
        transport.loseConnection()
        super().connectionMade()


def tcp_check(reactor: Any, words: bytes = b"") -> Check:
    """A probe that only connects: to accept is to pass, under TLS too.

    Args:
        reactor: Network and time.
        words: Sent before the connection closes: what the backend awaits from every client.
    """
    clock = IReactorTime(reactor)

    async def ask(backend: Backend, health: Health) -> ProbeOutcome:
        began = clock.seconds()
        address = address_of(backend, health)
        try:
            await connect(reactor, address, lambda: _Knock(words), health.timeout)
        except ConnectFailed as error:
            now = clock.seconds()
            return ProbeOutcome(False, now - began, error.detail, False, now)
        now = clock.seconds()
        return ProbeOutcome(True, now - began, "accepted", True, now)

    return lambda backend, health: Deferred.fromCoroutine(ask(backend, health))
