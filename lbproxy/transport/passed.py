"""Listening sockets that whoever started us made, as systemd does (`sd_listen_fds(3)`)."""

from __future__ import annotations

import os
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from zope.interface import implementer

from lbproxy.errors import ConfigError

_server_from_string: Any = serverFromString  # Untyped in Twisted.


def missing(description: str) -> str | None:
    """Why there is no socket for an endpoint; `None` if there is one.

    Args:
        description: Of a `systemd:` endpoint, well written.
    """
    try:
        _server_from_string(None, description)  # Nothing listens: no reactor is needed.
    except LookupError as error:
        wanted = f'named "{error.args[0]}"' if isinstance(error, KeyError) else "of that index"
        return f"no socket {wanted} was passed by systemd ({_passed()})"
    return None


def _passed() -> str:
    """What whoever started us says about sockets."""
    # Twisted takes it away when it is about this process.
    other = os.environ.get("LISTEN_PID")
    if other is not None:
        return f"LISTEN_PID={other} is another process"
    names = os.environ.get("LISTEN_FDNAMES")
    return "LISTEN_FDNAMES is not set" if names is None else f"LISTEN_FDNAMES={names}"


@implementer(IStreamServerEndpoint)
@attrs.frozen
class PassedEndpoint:
    """Listens on such a socket.

    Twisted's own endpoint closes it once a port has its duplicate. Here it stays, since a reload
    may take a listener away and another one bring it back.

    Attributes:
        reactor: Listens.
        description: Of a `systemd:` endpoint, well written.
    """

    reactor: Any
    description: str

    def listen(self, protocolFactory: Any) -> Deferred[IListeningPort]:
        """Take it."""
        return maybeDeferred(self._take, protocolFactory)

    def _take(self, factory: Any) -> Any:
        reason = missing(self.description)
        if reason is not None:
            raise ConfigError(reason)
        found = _server_from_string(None, self.description)
        return self.reactor.adoptStreamPort(found.fileno, found.addressFamily, factory)
