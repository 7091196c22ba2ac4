"""Reloads that are refused: of a config that is right as it stands, and yet cannot be had."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs

from lbproxy.config import model
from lbproxy.config.model import Config
from lbproxy.control import parent
from lbproxy.plugins import BalancerMaker
from lbproxy.testing.plan import Plan, Refusal
from lbproxy.testing.reloads import with_first
from lbproxy.worker import serve

#: What is counted, and what is said of each first.
REASONS = {
    "refused_port": "listeners.taken.endpoint: ",
    "refused_policy": 'pools.api.balancer: "refuses" cannot be made',
    # The same, when what is new has been opened.
    "refused_late": 'pools.api.balancer: "refuses" cannot be made',
}

KINDS = tuple(REASONS)

#: A port that somebody else has; behind it are those that nobody has.
TAKEN = 4000

#: Who is the only backend in a config that is refused, and in no other one.
STRANGER = "z"

#: The part of the lives in which some reload is refused.
PART = 0.2


def with_refusals(plan: Plan, span: float) -> Plan:
    """The plan, or in a part of the lives one with reloads that are refused.

    Some come while another one is under way. They are drawn from a stream of chance of their own.
    """
    chance = random.Random(f"refusals {plan.seed}")
    if chance.random() < 1.0 - PART:
        return plan
    refusals = []
    for number in range(chance.choice((1, 1, 2))):
        at = chance.uniform(0.1, span)
        if plan.reloads and chance.random() < 0.5:
            at = chance.choice(plan.reloads).at + chance.choice((0.0, 0.01, 0.5))
        refusals.append(Refusal(at, chance.choice(KINDS), TAKEN + 1 + number))
    return attrs.evolve(plan, refusals=tuple(refusals))


def spoilt(refusal: Refusal, config: Config) -> Config:
    """A config that is refused, and in which nothing else is as before."""
    (route,) = config.routes
    listeners = list(config.listeners)
    if refusal.kind != "refused_policy":
        listeners.append(model.Listener("free", f"tcp:{refusal.port}"))
    changed: dict[str, Any] = {
        "backends": (model.Backend(STRANGER, "10.0.1.99:80"),),
        "max_in_flight": 3,
        "slow_start": 7.0,
        "queue": model.Queue(length=1, wait=0.1),
    }
    if refusal.kind == "refused_port":
        listeners.append(model.Listener("taken", f"tcp:{TAKEN}"))
    else:
        changed["balancer"] = "refuses"
    routes = (attrs.evolve(route, max_body=1),)
    return with_first(attrs.evolve(config, listeners=tuple(listeners), routes=routes), **changed)


def is_spoilt(config: Config) -> bool:
    """Whether it is one of those, in part at least."""
    return any(each.name == STRANGER for each in config.pools[0].backends)


@contextmanager
def known() -> Iterator[None]:
    """With a policy as a user might have written it, which can never be made."""

    def refuse(config: object, chance: object) -> NoReturn:
        raise ValueError("of no use")

    maker = BalancerMaker("refuses", refuse)
    rooms: tuple[Any, ...] = parent, serve
    before = [room.balancer_maker for room in rooms]
    for room in rooms:
        room.balancer_maker = {"refuses": maker}.get
    try:
        yield
    finally:
        for room, right in zip(rooms, before, strict=True):
            room.balancer_maker = right
