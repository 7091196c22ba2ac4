"""The command line of `twistd lbproxy`: the config file, and what may be said without one."""

from __future__ import annotations

import os
import re
from typing import ClassVar

import attrs
from twisted.python import usage

from lbproxy.config.bound import not_passed
from lbproxy.config.kinds import Wrong, address
from lbproxy.config.load import load
from lbproxy.config.model import Backend, Config, default_config
from lbproxy.errors import ConfigError

_TCP = re.compile(r"(tcp6?:)(?:port=)?[0-9]+")


class Options(usage.Options):
    """What `twistd lbproxy` takes.

    Attributes:
        settings: The whole config, once the command line has been read.
    """

    synopsis = "[options]"
    longdesc = """\
Balances HTTP requests over backends, fails over when one breaks, and serves files. Without a
config file it listens on port 3000, sends /api/ to 127.0.0.1:3001 and 127.0.0.1:3002 in turn, and
serves ./public for the rest. The other options change one value of the config, from whichever
place it came. `lbproxy check FILE` checks a config without starting anything."""

    optFlags: ClassVar = [
        ["with-backends", None, "Start and supervise the shop's two backends as well."],
        ["no-admin", None, "Without the admin listener, which another balancer may have."],
    ]
    optParameters: ClassVar = [
        ["config", "c", None, "The config, a TOML file."],
        ["access-log", None, None, "Where the access log goes; - is standard output."],
        ["port", None, None, "The port of the first listener."],
        ["static", None, None, "The folder of the first route that serves files."],
    ]

    settings: Config

    def __init__(self) -> None:
        super().__init__()
        self._backends: list[Backend] = []

    def opt_backend(self, where: str) -> None:
        """A backend's host:port; repeat it for each. They replace those of the only pool."""
        try:
            self._backends.append(Backend(where, address(where)))
        except Wrong as error:
            raise usage.UsageError(f"--backend: {error}") from None

    def postOptions(self) -> None:
        """Build the config.

        Raises:
            SystemExit: With the mistakes in the config file and nothing else, status 1.
            usage.UsageError: If an option is wrong.
        """
        self._anchor("static", "access-log")
        try:
            self.settings = self._settings()
        except ConfigError as error:
            # After a UsageError twistd prints all options, and the mistakes would drown in them.
            raise SystemExit(str(error)) from None
        self._anchor("config")

    def read(self) -> Config:
        """The config as it is now, with what the command line says.

        Raises:
            ConfigError: If it is wrong, or does not go with the command line any more.
        """
        try:
            return self._settings()
        except usage.UsageError as error:
            raise ConfigError(str(error)) from None

    def _anchor(self, *names: str) -> None:
        """Have paths stay what they are when twistd changes the working directory."""
        for name in names:
            if self[name] not in (None, "-"):
                self[name] = os.path.abspath(self[name])

    def _settings(self) -> Config:
        settings = default_config() if self["config"] is None else load(self["config"], not_passed)
        if self["port"] is not None:
            settings = _with_port(settings, self["port"])
        if self._backends:
            settings = _with_backends(settings, tuple(self._backends))
        if self["static"] is not None:
            settings = _with_static(settings, self["static"])
        if self["access-log"] is not None:
            settings = attrs.evolve(settings, access_log=self["access-log"])
        if self["no-admin"]:
            settings = attrs.evolve(settings, admin=None)
        _look_for_folders(settings)
        return settings


def _with_port(settings: Config, port: str) -> Config:
    first, *others = settings.listeners
    if not port.isdecimal() or int(port) > 65535:
        raise usage.UsageError(f"--port: expected a port from 0 to 65535, found {port}")
    endpoint, changed = _TCP.subn(rf"\g<1>{int(port)}", first.endpoint, count=1)
    if not changed:
        raise usage.UsageError(f"--port: listeners.{first.name} listens on {first.endpoint}")
    return attrs.evolve(settings, listeners=(attrs.evolve(first, endpoint=endpoint), *others))


def _with_backends(settings: Config, backends: tuple[Backend, ...]) -> Config:
    if len(settings.pools) != 1:
        raise usage.UsageError(f"--backend: the config has {len(settings.pools)} pools, not one")
    if len({backend.address for backend in backends}) < len(backends):
        raise usage.UsageError("--backend: an address is given twice")
    return attrs.evolve(settings, pools=(attrs.evolve(settings.pools[0], backends=backends),))


def _with_static(settings: Config, folder: str) -> Config:
    routes = list(settings.routes)
    for index, route in enumerate(routes):
        if route.static is not None:
            routes[index] = attrs.evolve(route, static=folder)
            return attrs.evolve(settings, routes=tuple(routes))
    raise usage.UsageError("--static: the config has no route that serves files")


def _look_for_folders(settings: Config) -> None:
    for route in settings.routes:
        if route.static is not None and not os.path.isdir(route.static):
            raise usage.UsageError(f"no such folder: {route.static}; name one with --static")
