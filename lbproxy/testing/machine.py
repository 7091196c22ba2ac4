"""A machine with one process that the balancer connects to, and what befalls the two."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.testing.link import Link, Wire
from lbproxy.testing.network import Door, Host


class Machine:
    """One of them.

    Attributes:
        host: Its address.
        frozen: Whether its process stands still, while its kernel goes on.
        deaths: How often it was killed.
    """

    def __init__(self, welcome: Callable[[Wire], object]) -> None:
        """Prepare.

        Args:
            welcome: Takes each connection over.
        """
        self.host = Host(welcome)
        self.frozen = False
        self.deaths = 0
        self._thawing: list[Callable[[], None]] = []
        self._unplugged: list[Link] = []

    def freeze(self) -> None:
        """Stop in the middle of whatever it is."""
        self.frozen = True

    def thaw(self) -> None:
        """Go on, with all that came meanwhile."""
        self.frozen = False
        thawing, self._thawing = self._thawing, []
        for each in thawing:
            each()

    def do(self, act: Callable[[], None]) -> None:
        """Do something now, or when the process goes on."""
        if self.frozen:
            self._thawing.append(act)
        else:
            act()

    def kill(self) -> None:
        """Every connection breaks, and none can be made."""
        self.deaths += 1
        self.host.door = Door.REFUSING
        self._thawing.clear()
        self.frozen = False
        for link in self.host.prune():
            link.wire.reset()

    def start(self) -> None:
        """Accept connections, again."""
        self.host.door = Door.OPEN

    def unplug(self) -> None:
        """The cable is out: nothing comes through, either way."""
        self.host.door = Door.DARK
        links = self.host.prune()
        self._unplugged += links
        for link in links:
            link.to_balancer.stall()
            link.from_balancer.stall()

    def plug_in(self) -> None:
        """The cable is in again: what was under way arrives."""
        self.start()
        unplugged, self._unplugged = self._unplugged, []
        for link in unplugged:
            link.to_balancer.go_on()
            link.from_balancer.go_on()
