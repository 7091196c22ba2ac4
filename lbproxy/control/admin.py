"""The admin listener: a port that only this machine reaches, and a socket of one user."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from lbproxy.config.model import Admin
from lbproxy.control.guard import Guard
from lbproxy.control.pages import Pages
from lbproxy.errors import ConfigError
from lbproxy.transport.listen import cannot_listen, server_endpoint


class _QuietSite(Site):
    noisy = False

    def log(self, request: Any) -> None:
        """Whoever scrapes comes again and again."""


class AdminService(Service):
    """Answers from the start.

    The port is bound early, like the public listeners; the socket only when the process has given
    up the privileges that it does without, since its file is to be of the user that is left.
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Admin, pages: Pages) -> None:
        self._reactor = reactor
        self._config = config
        guard = Guard(IReactorTime(reactor), pages.app.resource(), config.hosts)
        self._site = _QuietSite(guard, reactor=reactor)
        self._port: Any = None
        self._socket: Any = None

    def privilegedStartService(self) -> None:
        """Bind the port.

        Raises:
            ConfigError: If that is not possible, with the address, who holds it, and the knob.
        """
        super().privilegedStartService()
        endpoint = self._config.endpoint
        if endpoint is None:
            return
        failures: list[Failure] = []
        listening = server_endpoint(self._reactor, endpoint).listen(self._site)
        listening.addCallbacks(self._bound, failures.append)
        for failure in failures:
            told = cannot_listen("admin.endpoint", endpoint, failure)
            raise ConfigError(f"{told}, or set admin = false")

    def startService(self) -> None:
        """Bind the socket, and say where both are.

        Raises:
            ConfigError: If that is not possible, with the reason and the knob.
        """
        super().startService()
        if self._config.socket is not None:
            self._bind_socket(self._config.socket)
        if self._port is not None:
            host = self._port.getHost()
            where = f"{getattr(host, 'host', '')}:{getattr(host, 'port', '')}"
            self.log.info("metrics are at http://{where}/metrics", where=where)
        if self._socket is not None:
            self.log.info("the admin socket is at {path}", path=self._config.socket)

    def stopService(self) -> Deferred[None]:
        """Answer nobody any more. Fires when port and socket are closed."""
        super().stopService()
        ports, self._port, self._socket = (self._port, self._socket), None, None
        closed = gatherResults([maybeDeferred(each.stopListening) for each in ports if each])
        return closed.addCallback(lambda _: None)

    # The rest is ours.

    def _bound(self, port: Any) -> None:
        self._port = port

    def _bind_socket(self, path: str) -> None:
        wrong = f"admin.socket: cannot listen on {path}: "
        before = os.umask(0o177)  # From its first moment on it is for its owner alone.
        try:
            _clear(path)
            self._socket = self._reactor.listenUNIX(path, self._site, mode=0o600)
        except ConfigError as error:
            raise ConfigError(f"{wrong}{error}") from None
        except (CannotListenError, OSError) as error:
            cause = getattr(error, "socketError", error)  # Else the text is not the system's.
            reason = getattr(cause, "strerror", None) or cause
            raise ConfigError(f"{wrong}{reason}; choose another path") from None
        finally:
            os.umask(before)


def _clear(path: str) -> None:
    """Take away a socket that nobody listens on any more.

    Raises:
        ConfigError: If somebody does, or if something else is there; without the path.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConfigError("something that is no socket is there; choose another path")
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(1.0)
            try:
                asking.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
            else:
                raise ConfigError("another process listens there; end it, or choose another path")
