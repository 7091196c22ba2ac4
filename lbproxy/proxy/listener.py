"""A bound endpoint, from the config's `[listeners.NAME]`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.config.model import Listener, ListenerTLS
from lbproxy.errors import ConfigError, PlainHTTP
from lbproxy.http1.cache import HeadCache
from lbproxy.http1.message import RequestHead
from lbproxy.proxy.announced import Announced
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.site import Site
from lbproxy.proxy.stream import Session
from lbproxy.transport.accept import Acceptor
from lbproxy.transport.certificates import BadCertificate, ServerSettings
from lbproxy.transport.connection import Connection
from lbproxy.transport.handshake import Doorway
from lbproxy.transport.holder import holder_of
from lbproxy.transport.identities import Identities

#: Seconds from one look at the files of the certificates to the next.
WATCH = 2.0

#: Before an endpoint: each client has a PROXY header. Twisted knows that kind of endpoint too, but
#: drops a header of version 2 that comes in two reads.
ANNOUNCED = "haproxy:"


class ClientFactory(Factory):
    """Makes what speaks with each client of a listener."""

    noisy = False

    def __init__(self, site: Site, listener: Listener) -> None:
        self._site = site
        self._listener = listener
        self._heads: HeadCache[RequestHead] = HeadCache()

        self.build: Callable[[], Protocol] = self._session if listener.mode == "tcp" else self._http
        if listener.endpoint.startswith(ANNOUNCED):
            self._inner, self.build = self.build, self._announced

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self.build()

    def _http(self) -> Downstream:
        return Downstream(self._site, self._listener, self._heads)

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
        """Read the certificates; nothing is bound yet.

        Args:
            reactor: Network and time.
            site: What the connections are for.
            config: What to bind.

        Raises:
            ConfigError: If a certificate cannot be used any more.
        """
        self._reactor = reactor
        self._site = site
        self._config = config
        self._port: Any = None
        self._acceptor: Any = None
        self._identities: Identities | None = None
        self._doorway: Doorway | None = None
        self._watch = LoopingCall(self._refresh)
        self._watch.clock = reactor
        if config.tls is not None:
            self._identities = self._read(config.tls)

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

    def startService(self) -> None:
        """Watch the certificates."""
        super().startService()
        if self._identities is not None:
            self._watch.start(WATCH, now=False).addErrback(self._broke)

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
        if self._config.mode == "tcp":
            return f"tcp://{where}"
        return f"{'http' if self._config.tls is None else 'https'}://{where}/"

    def stopService(self) -> Deferred[None]:
        """Refuse new clients. Fires when the port is closed."""
        super().stopService()
        if self._watch.running:
            self._watch.stop()
        if self._doorway is not None:
            self._doorway.close()
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
            welcome = None if self._identities is None else self._secure(self._identities, factory)
            self._acceptor = Acceptor(self._reactor, port.socket, factory.build, welcome)
        elif self._identities is not None:
            raise ConfigError(
                f"listeners.{self._config.name}.tls: does not go with {self._config.endpoint}"
            )
        else:
            self._acceptor = port

    def _read(self, tls: ListenerTLS) -> Identities:
        settings = ServerSettings(
            tls.certificates,
            tls.client_ca,
            tls.client_auth == "required",
            tls.min_version,
            tls.ciphers,
        )
        try:
            return Identities(settings, self._reactor.seconds())
        except BadCertificate as error:
            raise ConfigError(f"listeners.{self._config.name}.tls: {error}") from None

    def _secure(
        self, identities: Identities, factory: ClientFactory
    ) -> Callable[[socket.socket, Any], None]:
        def refuse_plain(skt: socket.socket, peer: Any) -> None:
            downstream: Any = factory.build()  # Only HTTP goes with TLS.
            Connection(self._reactor, skt, peer).start(downstream)
            downstream.refuse(PlainHTTP("This port speaks TLS: ask by https."))

        timeout = self._config.timeouts.head
        self._doorway = Doorway(
            self._reactor, self._site.timer, identities, factory.build, refuse_plain, timeout
        )
        return self._doorway.welcome

    def _refresh(self) -> None:
        assert self._identities is not None
        self._identities.refresh(self._reactor.seconds())

    def _broke(self, failure: Failure) -> None:
        """A LoopingCall dies of an exception: begin anew."""
        self.log.failure("the watch over the certificates failed", failure)
        if self.running:
            self._watch.start(WATCH, now=False).addErrback(self._broke)

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
