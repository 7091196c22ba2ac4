"""A bound endpoint, from the config's `[listeners.NAME]`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.config.model import Listener
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
from lbproxy.transport.identities import Identities
from lbproxy.transport.listen import Inherited, cannot_listen, inherited, server_endpoint

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
        self._caches: WeakSet[HeadCache[RequestHead]] = WeakSet()
        self.serve(listener)

    def serve(self, listener: Listener) -> None:
        """Make what is connected from now on by this config, and plan all requests anew."""
        self._listener = listener
        self.forget()
        # Of its own, since what others have read may be more than this one allows.
        self._heads: HeadCache[RequestHead] = HeadCache()
        self._caches.add(self._heads)
        self.build: Callable[[], Protocol] = self._session if listener.mode == "tcp" else self._http
        if listener.endpoint.startswith(ANNOUNCED):
            self._inner, self.build = self.build, self._announced

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self.build()

    def forget(self) -> None:
        """Whoever is still there has its requests planned anew."""
        for heads in self._caches:
            heads.clear()

    def _http(self) -> Downstream:
        return Downstream(self._site, self._listener, self._heads)

    def _session(self) -> Session:
        return Session(self._site, self._listener)

    def _announced(self) -> Announced:
        return Announced(self._site, self._listener, self._inner())


class ListenerService(Service):
    """Binds early, while the process may still have privileges, and accepts when told to.

    Until `accept`, clients wait in the kernel's queue: they are not refused. Where another process
    has bound, this one inherits the sockets.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, site: Site, config: Listener, descriptors: Sequence[int] = ()
    ) -> None:
        """Read the certificates; nothing is bound yet.

        Args:
            reactor: Network and time.
            site: What the connections are for.
            config: What to bind.
            descriptors: The sockets that another process has bound: one for each worker, or one
                for all. None to bind here.

        Raises:
            ConfigError: If a certificate cannot be used any more.
        """
        self._reactor = reactor
        self._site = site
        self._config = config
        self._descriptors = descriptors
        self._factory = ClientFactory(site, config)
        self._ports: list[Any] = []
        self._acceptors: list[Any] = []
        self._identities = _read(config, reactor.seconds())
        self._watch = LoopingCall(self._refresh)
        self._watch.clock = reactor

    def privilegedStartService(self) -> None:
        """Bind, unless that was done before.

        Raises:
            ConfigError: If that is not possible, with the address, who holds it, and the knob.
        """
        super().privilegedStartService()
        if self._ports:
            return
        description = self._config.endpoint.removeprefix(ANNOUNCED)
        endpoints = [inherited(self._reactor, each) for each in self._descriptors]
        failures: list[Failure] = []
        for endpoint in endpoints or [server_endpoint(self._reactor, description)]:
            listening = endpoint.listen(self._factory)
            listening.addCallbacks(self._bound, failures.append)
        for failure in failures:
            knob = f"listeners.{self._config.name}.endpoint"
            raise ConfigError(cannot_listen(knob, description, failure))

    def startService(self) -> None:
        """Watch the certificates."""
        super().startService()
        self._watch_certificates()

    def identities(self, config: Listener) -> Identities | None:
        """The certificates of a config for this listener: those that there are, or read now.

        Raises:
            ConfigError: If one cannot be used any more.
        """
        if config.tls == self._config.tls:
            return self._identities
        return _read(config, self._reactor.seconds())

    def reconfigure(self, config: Listener, identities: Identities | None) -> None:
        """Serve by another config on the same sockets. Clients that are there stay as they are.

        Args:
            config: It.
            identities: Its certificates, as `identities` gave them.
        """
        if config == self._config:
            self._factory.forget()
            return
        self._config, self._identities = config, identities
        self._factory.serve(config)
        for acceptor in self._acceptors:
            if isinstance(acceptor, Acceptor):
                acceptor.serve(self._factory.build, self._welcome())
        self._watch_certificates()

    def accept(self, queues: frozenset[int]) -> None:
        """Accept clients from these workers' sockets from now on, and from no others."""
        shared = len(self._ports) == 1
        for place, acceptor in enumerate(self._acceptors):
            if queues if shared else place in queues:
                acceptor.startReading()
            else:
                acceptor.stopReading()

    @property
    def listener_name(self) -> str:
        """As in the config."""
        return self._config.name

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        host = self._ports[0].getHost()
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
        self._factory.forget()
        ports, self._ports = self._ports, []
        for acceptor in self._acceptors:
            acceptor.stopReading()
        self._acceptors = []
        closed = gatherResults([maybeDeferred(port.stopListening) for port in ports])
        return closed.addCallback(lambda _: None)

    def _bound(self, port: Any) -> None:
        self._ports.append(port)
        factory = getattr(port, "factory", None)
        own = isinstance(port, Port | UNIXPort | Inherited) and factory is self._factory
        if hasattr(port, "stopReading"):
            port.stopReading()
        if own:
            build = self._factory.build
            self._acceptors.append(Acceptor(self._reactor, port.socket, build, self._welcome()))
        elif self._identities is not None:
            raise ConfigError(
                f"listeners.{self._config.name}.tls: does not go with {self._config.endpoint}"
            )
        elif hasattr(port, "stopReading"):
            # A port's own way, where something stands between the socket and us.
            self._acceptors.append(port)

    def _welcome(self) -> Callable[[socket.socket, Any], None] | None:
        """What makes a handshake with each client; `None` without TLS."""
        identities, factory = self._identities, self._factory
        if identities is None:
            return None

        def refuse_plain(skt: socket.socket, peer: Any) -> None:
            downstream: Any = factory.build()  # Only HTTP goes with TLS.
            Connection(self._reactor, skt, peer).start(downstream)
            downstream.refuse(PlainHTTP("This port speaks TLS: ask by https."))

        return Doorway(
            self._reactor,
            self._site.joined,
            self._site.left,
            identities,
            factory.build,
            refuse_plain,
            self._config.timeouts.head,
            self._config.endpoint,
        ).welcome

    def _watch_certificates(self) -> None:
        wanted = self._identities is not None
        if wanted and not self._watch.running:
            self._watch.start(WATCH, now=False).addErrback(self._broke)
        elif self._watch.running and not wanted:
            self._watch.stop()

    def _refresh(self) -> None:
        assert self._identities is not None
        self._identities.refresh(self._reactor.seconds())

    def _broke(self, failure: Failure) -> None:
        """A LoopingCall dies of an exception: begin anew."""
        self.log.failure("the watch over the certificates failed", failure)
        if self.running:
            self._watch.start(WATCH, now=False).addErrback(self._broke)


def _read(config: Listener, now: float) -> Identities | None:
    """The certificates of a listener; `None` without TLS.

    Raises:
        ConfigError: If one cannot be used any more.
    """
    tls = config.tls
    if tls is None:
        return None
    settings = ServerSettings(
        tls.certificates,
        tls.client_ca,
        tls.client_auth == "required",
        tls.min_version,
        tls.ciphers,
    )
    try:
        return Identities(settings, now)
    except BadCertificate as error:
        raise ConfigError(f"listeners.{config.name}.tls: {error}") from None
