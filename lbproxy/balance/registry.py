"""The policies by the names that the config gives them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from lbproxy.balance.balancer import Balancer
from lbproxy.balance.consistent_hash import ConsistentHash
from lbproxy.balance.least_loaded import LeastLoaded
from lbproxy.balance.own import OwnBalancer
from lbproxy.balance.peak_ewma import PeakEwma
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.two_choices import TwoChoices
from lbproxy.config import model
from lbproxy.errors import not_made

#: Makes the policy of a pool.
Maker = Callable[[model.Pool, random.Random], Balancer]


def _consistent_hash(config: model.Pool, chance: random.Random) -> Balancer:
    assert config.hash_key is not None
    return ConsistentHash(config.hash_key.load_factor, chance)


_POLICIES: dict[str, Maker] = {
    "round_robin": lambda config, chance: RoundRobin(),
    "least_loaded": lambda config, chance: LeastLoaded(chance),
    "two_choices": lambda config, chance: TwoChoices(chance),
    "peak_ewma": lambda config, chance: PeakEwma(config.decay, chance),
    "consistent_hash": _consistent_hash,
}


def same_policy(before: model.Pool, after: model.Pool) -> bool:
    """Whether a policy that was made for one config does for another one of the same pool.

    A user's own may look at all of a config when it is made.
    """
    if before.balancer not in _POLICIES:
        return before == after
    said = [(each.balancer, each.hash_key, each.decay) for each in (before, after)]
    return said[0] == said[1]


def balancer_for(
    config: model.Pool,
    chance: random.Random,
    find: Callable[[str], Any] = lambda name: None,
    complain: Callable[[str], None] = lambda what: None,
) -> Balancer:
    """The policy of a pool.

    Args:
        config: Its `balancer` is the name.
        chance: All chance is drawn from it.
        find: Gives the user's own `IBalancerMaker` of a name that is none of ours.
        complain: Hears what is wrong with a user's own policy.

    Raises:
        KeyError: If there is no such policy; the config refuses such a name before.
        ConfigError: If the user's own cannot be made for this config.
    """
    make = _POLICIES.get(config.balancer)
    if make is not None:
        return make(config, chance)
    maker = find(config.balancer)
    if maker is None:
        raise KeyError(config.balancer)
    key, name = f"pools.{config.name}.balancer", config.balancer
    try:
        made = maker.make(config, chance)
        if not callable(getattr(made, "choose", None)):
            raise TypeError(f"{type(made).__name__} has no method choose")
    except Exception as error:  # It may raise anything.
        raise not_made(key, name, error) from error
    return OwnBalancer(f"{key} {name}", made, chance, complain)
