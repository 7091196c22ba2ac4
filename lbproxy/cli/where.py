"""Where the admin listener of a balancer is, by its config or by what the command line says."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from lbproxy.config.endpoint import place
from lbproxy.config.load import load_admin
from lbproxy.config.model import Admin, default_config
from lbproxy.errors import ConfigError

_HTTP = re.compile(r"(?:http://)?(\[[0-9a-fA-F:.]+\]|[^/:\[\]]+):([0-9]{1,5})/?")

#: Addresses that stand for all of a machine, and the one by which it reaches itself.
_OWN = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

_OTHERWISE = "say where it is with --admin"


@attrs.frozen
class Where:
    """Where to ask.

    Attributes:
        host: A name or an address; `localhost` for a socket.
        port: 0 for a socket.
        socket: The path of a Unix socket.
    """

    host: str = "localhost"
    port: int = 0
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket or self._authority

    @property
    def url(self) -> str:
        """What the paths stand behind."""
        return "http://localhost" if self.socket else f"http://{self._authority}"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def find(config: str | None, admin: str | None) -> Where:
    """Find it.

    Args:
        config: A config file; by default that of a balancer that runs without one.
        admin: A URL, `host:port`, or the path of a socket, which needs no config.

    Raises:
        ConfigError: If neither says, and what to do.
    """
    if admin is not None:
        return _told(admin)
    told = default_config().admin if config is None else load_admin(config)
    return _configured(told, config or "the config")


def _told(admin: str) -> Where:
    if admin.startswith(("unix:", "/", "./")) or Path(admin).is_socket():
        return Where(socket=admin.removeprefix("unix:"))
    found = _HTTP.fullmatch(admin)
    if found is None:
        raise ConfigError(
            f"--admin: expected http://HOST:PORT or the path of a socket, found {admin}"
        )
    return Where(found[1].strip("[]"), int(found[2]))


def _configured(admin: Admin | None, file: str) -> Where:
    if admin is None:
        raise ConfigError(
            f"{file}: admin = false, so there is no listener for this command; give the balancer"
            ' one with [admin], by endpoint = "tcp:3900:interface=127.0.0.1" or by socket'
        )
    if admin.socket is not None:
        return Where(socket=admin.socket)
    assert admin.endpoint is not None
    told = place(admin.endpoint)
    if told.path:
        return Where(socket=told.path)
    if not told.port.isdecimal():
        raise ConfigError(f"{file}: admin.endpoint is {admin.endpoint}; {_OTHERWISE}")
    if int(told.port) == 0:
        raise ConfigError(
            f"{file}: admin.endpoint is {admin.endpoint}, any free port; {_OTHERWISE}"
        )
    return Where(_OWN.get(told.host, told.host), int(told.port))
