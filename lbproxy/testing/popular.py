"""Drawing what one asks for again and again, though it was answered, into a life that is drawn.

All of it comes from a stream of chance of its own, so a life without it does not hang on it.
"""

from __future__ import annotations

import random

import attrs

from lbproxy.config.model import Config
from lbproxy.testing.faults import KINDS
from lbproxy.testing.flow import Shape
from lbproxy.testing.plan import Ailment, Ask, Plan, Visit
from lbproxy.testing.reloads import with_first

#: The part of the lives with trouble in which backends break while they have it.
PART = 0.15

#: The number of the client, and of what it asks for.
_VISIT, _ASK = 420, 1500

#: How often it is asked for where hedges follow a percentile: that takes many answers.
_OFTEN = 150


def with_popular(plan: Plan, span: float) -> Plan:
    """The plan, or in a part of the lives one with something that is asked for often.

    Args:
        plan: Of a life without it.
        span: Seconds within which things happen.
    """
    chance = random.Random(f"popular {plan.seed}")
    hedge = plan.config.pools[0].hedge
    if hedge is not None and isinstance(hedge.after, str):
        after = chance.choice(("p50", "p95"))
        ask = Ask(_ASK, insists=_OFTEN, popular=True, delay=chance.choice((0.001, 0.03)))
        plan = plan.with_configs(_hedged(config, after) for config in plan.configs)
    elif chance.random() < PART and any(fault.kind in KINDS for fault in plan.faults):
        # Never two in a row, so that each time it could be a backend that is killed by chance.
        kind, every = chance.choice(("close_unanswered", "reset_unanswered")), chance.choice((3, 4))
        ask = Ask(_ASK, insists=30, popular=True, ailment=Ailment(kind, every=every))
    else:
        return plan
    shape = Shape(latency=chance.choice((0.0001, 0.001, 0.02)))
    visit = Visit(_VISIT, chance.uniform(0.0, span / 2), "keeps", (ask,), shape)
    return attrs.evolve(plan, visits=(*plan.visits, visit))


def _hedged(config: Config, after: str) -> Config:
    hedge = config.pools[0].hedge
    if hedge is None:
        return config
    return with_first(config, hedge=attrs.evolve(hedge, after=after))
