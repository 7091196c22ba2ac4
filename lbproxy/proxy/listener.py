"""A bound endpoint, from the config's `[listeners.NAME]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.python.failure import Failure

from lbproxy.config.model import Listener
from lbproxy.errors import ConfigError
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.site import Site
from lbproxy.transport.accept import Acceptor
from lbproxy.transport.listen import Inherited, cannot_listen, inherited


class DownstreamFactory(Factory):
    """Makes a `Downstream` for each client."""

    noisy = False

    def __init__(self, site: Site, listener: Listener) -> None:
        self._site = site
        self._listener = listener

    def build(self) -> Downstream:
        """What speaks with one client."""
        return Downstream(self._site, self._listener)

    def buildProtocol(self, addr: IAddress | None) -> Downstream:
        return self.build()


class _Around:
    """A protocol that stands between a transport and a `Downstream`, as in `haproxy:`.

    Twisted's wrappers pass on whatever they are asked for to the transport. Here a transport sees
    of them only what it calls, and not its own methods again.
    """

    def __init__(self, protocol: Any) -> None:
        self.makeConnection = protocol.makeConnection
        self.dataReceived = protocol.dataReceived
        self.connectionLost = protocol.connectionLost


class ListenerService(Service):
    """Binds early, while the process may still have privileges, and accepts when told to.

    Until `accept`, clients wait in the kernel's queue: they are not refused. Where another process
    has bound, this one inherits the sockets.
    """

    def __init__(
        self, reactor: Any, site: Site, config: Listener, descriptors: Sequence[int] = ()
    ) -> None:
        """Prepare; nothing is bound yet.

        Args:
            reactor: Network and time.
            site: What the connections are for.
            config: What to bind.
            descriptors: The sockets that another process has bound: one for each worker, or one
                for all. None to bind here.
        """
        self._reactor = reactor
        self._site = site
        self._config = config
        self._descriptors = descriptors
        self._ports: list[Any] = []
        self._acceptors: list[Any] = []

    def privilegedStartService(self) -> None:
        """Bind.

        Raises:
            ConfigError: If that is not possible, with the address, who holds it, and the knob.
        """
        super().privilegedStartService()
        description = self._config.endpoint
        endpoints = [inherited(each, description) for each in self._descriptors]
        failures: list[Failure] = []
        for endpoint in endpoints or [serverFromString(self._reactor, description)]:
            listening = endpoint.listen(DownstreamFactory(self._site, self._config))
            listening.addCallbacks(self._bound, failures.append)
        for failure in failures:
            knob = f"listeners.{self._config.name}.endpoint"
            raise ConfigError(cannot_listen(knob, description, failure))

    def accept(self, queues: frozenset[int]) -> None:
        """Accept clients from these workers' sockets from now on, and from no others."""
        shared = len(self._ports) == 1
        for place, acceptor in enumerate(self._acceptors):
            if queues if shared else place in queues:
                acceptor.startReading()
            else:
                acceptor.stopReading()

    @property
    def greeting(self) -> str:
        """Where it listens, in a line for people."""
        return f"{self._config.name} listens on {self.address}"

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        host = self._ports[0].getHost()
        name = getattr(host, "host", None)
        if name is None:
            return self._config.endpoint
        return f"http://{'localhost' if name in ('0.0.0.0', '::') else name}:{host.port}/"

    def stopService(self) -> Deferred[None]:
        """Refuse new clients. Fires when the port is closed."""
        super().stopService()
        ports, self._ports = self._ports, []
        for acceptor in self._acceptors:
            acceptor.stopReading()
        self._acceptors = []
        closed = gatherResults([maybeDeferred(port.stopListening) for port in ports])
        return closed.addCallback(lambda _: None)

    def _bound(self, port: Any) -> None:
        self._ports.append(port)
        factory: Any = getattr(port, "factory", None)
        if isinstance(port, Inherited):
            plain = isinstance(factory, DownstreamFactory)
            build = factory.build if plain else lambda: _Around(factory.buildProtocol(None))
            self._acceptors.append(Acceptor(self._reactor, port.socket, build))
            return
        if not hasattr(port, "stopReading"):
            return
        port.stopReading()
        # A port's own way where something stands between the socket and us, as in `haproxy:`.
        if isinstance(port, Port | UNIXPort) and isinstance(factory, DownstreamFactory):
            self._acceptors.append(Acceptor(self._reactor, port.socket, factory.build))
        else:
            self._acceptors.append(port)
