"""What users add to lbproxy from modules of their own, as Twisted plugins.

A plugin is an object in a module of the package `twisted.plugins`, which any folder on Python's
path may have a part of (the Twisted documentation, "The Twisted Plugin System"). Plugins' modules
are imported only when the config names what is none of ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
from twisted.plugin import IPlugin, getPlugins
from zope.interface import Attribute, Interface, implementer


class IBalancerMaker(Interface):
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


class IProbeMaker(Interface):
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
    return sorted(maker.name for maker in getPlugins(IBalancerMaker))


def balancer_maker(name: str) -> Any:
    """The `IBalancerMaker` with a name, or `None`."""
    return next((maker for maker in getPlugins(IBalancerMaker) if maker.name == name), None)


def probe_names() -> list[str]:
    """The names of all probes that plugins have."""
    return sorted(maker.name for maker in getPlugins(IProbeMaker))


def probe_maker(name: str) -> Any:
    """The `IProbeMaker` with a name, or `None`."""
    return next((maker for maker in getPlugins(IProbeMaker) if maker.name == name), None)
