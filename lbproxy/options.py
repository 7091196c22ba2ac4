"""The command line of `twistd lbproxy`: the config file, and what may be said without one."""

from __future__ import annotations

from twisted.python import usage

from lbproxy.config.model import Config, default_config


class Options(usage.Options):
    """What `twistd lbproxy` takes.

    Attributes:
        settings: The whole config, once the command line has been read.
    """

    synopsis = "[options]"
    optFlags = [["with-backends", None, "Start and supervise the shop's two backends as well."]]

    settings: Config

    def postOptions(self) -> None:
        """Build the config."""
        self.settings = default_config()
