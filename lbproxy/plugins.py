"""What users add to lbproxy from modules of their own, as Twisted plugins.

A plugin is an object in a module of the package `twisted.plugins`, which any folder on Python's
path may have a part of (the Twisted documentation, "The Twisted Plugin System"). Plugins' modules
are imported only when the config names what is none of ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs
from twisted.plugin import IPlugin, getPlugins
from twisted.python.modules import getModule
from zope.interface import Attribute, Interface, implementer


class IMaker(Interface):
    """Makes what the config names."""

    name = Attribute("What stands in the config.")


class IBalancerMaker(IMaker):
    """Makes a policy for pools whose `balancer` has its name."""

    name = Attribute("What stands in `balancer`, none of lbproxy's own names.")

    def make(config: Any, chance: random.Random) -> Any:
        """A new policy for one pool.

        Args:
            config: The pool, a `lbproxy.config.model.Pool`.
            chance: All chance should be drawn from it, so that a simulation can be repeated.

        Returns:
            A `lbproxy.balance.balancer.Balancer`.
        """


@implementer(IPlugin, IBalancerMaker)
@attrs.frozen
class BalancerMaker:
    """What most plugins need.

    Attributes:
        name: As in `balancer`.
        make: Takes the pool's config and a source of chance.
    """

    name: str
    make: Callable[[Any, random.Random], Any]


class IProbeMaker(IMaker):
    """Makes a probe for pools whose `health.check` has its name."""

    name = Attribute("What stands in `health.check`.")

    def make(reactor: Any, config: Any) -> Any:
        """A new probe for one pool.

        Args:
            reactor: Network and time should come from it, so that they can be simulated.
            config: The pool, a `lbproxy.config.model.Pool`.

        Returns:
            A `lbproxy.probe.own.OwnProbe`.
        """


@implementer(IPlugin, IProbeMaker)
@attrs.frozen
class ProbeMaker:
    """What most plugins need.

    Attributes:
        name: As in `health.check`.
        make: Takes a reactor and the pool's config.
    """

    name: str
    make: Callable[[Any, Any], Any]


def balancer_names() -> list[str]:
    """The names of all policies that plugins have."""
    return sorted(maker.name for maker in _makers(IBalancerMaker))


def balancer_maker(name: str) -> Any:
    """The `IBalancerMaker` with a name, or `None`."""
    return next((maker for maker in _makers(IBalancerMaker) if maker.name == name), None)


def probe_names() -> list[str]:
    """The names of all probes that plugins have."""
    return sorted(maker.name for maker in _makers(IProbeMaker))


def probe_maker(name: str) -> Any:
    """The `IProbeMaker` with a name, or `None`."""
    return next((maker for maker in _makers(IProbeMaker) if maker.name == name), None)


def _makers(interface: type[IMaker]) -> list[Any]:
    return [maker for maker in _all_makers(_modules()) if interface.providedBy(maker)]


def _modules() -> tuple[tuple[str, float], ...]:
    """The files of all plugins, and since when each is as it is."""
    files = [module.filePath for module in getModule("twisted.plugins").iterModules()]
    return tuple((file.path, file.getModificationTime()) for file in files)


@lru_cache(maxsize=1)
def _all_makers(modules: tuple[tuple[str, float], ...]) -> tuple[Any, ...]:
    """What plugins have, looked up when a file has changed: one that is broken says so each time.

    Args:
        modules: The files.
    """
    return tuple(getPlugins(IMaker))
