"""A bound endpoint, from the config's `[listeners.NAME]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.config.model import Listener
from lbproxy.errors import ConfigError
from lbproxy.proxy.announced import Announced
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.site import Site
from lbproxy.proxy.stream import Session
from lbproxy.transport.accept import Acceptor
from lbproxy.transport.holder import holder_of

#: Before an endpoint: each client has a PROXY header. Twisted knows that kind of endpoint too, but
#: drops a header of version 2 that comes in two reads.
ANNOUNCED = "haproxy:"


class ClientFactory(Factory):
    """Makes what speaks with each client of a listener."""

    noisy = False

    def __init__(self, site: Site, listener: Listener) -> None:
        self._site = site
        self._listener = listener

        self.build: Callable[[], Protocol] = self._session if listener.mode == "tcp" else self._http
        if listener.endpoint.startswith(ANNOUNCED):
            self._inner, self.build = self.build, self._announced

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self.build()

    def _http(self) -> Downstream:
        return Downstream(self._site, self._listener)

    def _session(self) -> Session:
        return Session(self._site, self._listener)

    def _announced(self) -> Announced:
        return Announced(self._site, self._listener, self._inner())


class ListenerService(Service):
    """Binds early, while the process may still have privileges, and accepts when told to.

    Until `accept`, clients wait in the kernel's queue: they are not refused.
    """

    log = Logger()

    def __init__(self, reactor: Any, site: Site, config: Listener) -> None:
        self._reactor = reactor
        self._site = site
        self._config = config
        self._port: Any = None
        self._acceptor: Any = None

    def privilegedStartService(self) -> None:
        """Bind.

        Raises:
            ConfigError: If that is not possible, with the address, who holds it, and the knob.
        """
        super().privilegedStartService()
        description = self._config.endpoint.removeprefix(ANNOUNCED)
        endpoint = serverFromString(self._reactor, description)
        listening = endpoint.listen(ClientFactory(self._site, self._config))
        failures: list[Failure] = []
        listening.addCallbacks(self._bound, failures.append)
        for failure in failures:
            raise ConfigError(self._cannot_listen(failure))

    def accept(self) -> None:
        """Accept clients from now on."""
        if self._acceptor is not None:
            self._acceptor.startReading()
        self.log.info("{name} listens on {endpoint}", name=self._config.name, endpoint=self.address)

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        host = self._port.getHost()
        name = getattr(host, "host", None)
        if name is None:
            return self._config.endpoint
        where = f"{'localhost' if name in ('0.0.0.0', '::') else name}:{host.port}"
        return f"tcp://{where}" if self._config.mode == "tcp" else f"http://{where}/"

    def stopService(self) -> Deferred[None]:
        """Refuse new clients. Fires when the port is closed."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return maybeDeferred(lambda: None)
        if self._acceptor is not None:
            self._acceptor.stopReading()
        return maybeDeferred(port.stopListening)

    def _bound(self, port: Any) -> None:
        self._port = port
        if not hasattr(port, "stopReading"):
            return
        port.stopReading()
        # A port's own way where something stands between the socket and us.
        factory = getattr(port, "factory", None)
        if isinstance(port, Port | UNIXPort) and isinstance(factory, ClientFactory):
            self._acceptor = Acceptor(self._reactor, port.socket, factory.build)
        else:
            self._acceptor = port

    def _cannot_listen(self, failure: Failure) -> str:
        knob = f"listeners.{self._config.name}.endpoint"
        error = failure.value
        if not isinstance(error, CannotListenError):
            return f"{knob}: cannot listen on {self._config.endpoint}: {failure.getErrorMessage()}"
        reason = getattr(error.socketError, "strerror", None) or error.socketError
        where = f"port {error.port}"
        holder = holder_of(error.port) if isinstance(error.port, int) else None
        held = f" (held by {holder})" if holder is not None else ""
        return f"{knob}: cannot listen on {where}: {reason}{held}; end it, or choose another port"
