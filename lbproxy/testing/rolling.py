"""Drawing somebody who rolls the first pool into a life that is drawn.

All of it comes from a stream of chance of its own, so a life without it does not hang on it.
"""

from __future__ import annotations

import random

import attrs

from lbproxy.testing.plan import Plan, Rolling

#: The part of the lives in which somebody does, of those in which no backend is struck, and of
#: those in which nothing else happens.
PART, UNSTRUCK, IN_PEACE = 0.025, 0.05, 0.3

#: Seconds after which whoever rolls has lost patience.
LONGEST = 40.0

#: What is counted.
KINDS = (
    "roll",
    "roll_restart",
    "roll_looked_at",
    "roll_in_peace",
    "rolled",
    "roll_stopped",
    "roll_interrupted",
    "roll_left",
    "roll_undrained",
)


def with_rolling(plan: Plan, span: float) -> Plan:
    """The plan, or in a part of the lives one in which the first pool is rolled.

    Args:
        plan: Of a life without that.
        span: Seconds within which things happen.
    """
    chance = random.Random(f"rolls by {plan.seed}")
    peaceful = is_peaceful(plan)
    if chance.random() >= (IN_PEACE if peaceful else PART if plan.faults else UNSTRUCK):
        return plan
    timeout = chance.choice((5.0, 10.0, 20.0, 20.0))
    downs = [chance.choice((0.05, 0.3, 1.0, 3.0)) for _ in range(8)]
    if chance.random() < 0.2:  # It does not come back in time.
        downs[chance.randrange(2)] = timeout + chance.uniform(0.5, 3.0)
    fails = chance.randrange(2) if chance.random() < 0.1 else None
    interrupted = chance.uniform(0.0, 12.0) if chance.random() < 0.25 else LONGEST
    pause, force = chance.choice((None, None, 0.0, 2.0)), chance.random() < 0.3
    at = chance.uniform(0.5, span / 2)
    rolling = Rolling(at, timeout, pause, force, tuple(downs), fails, interrupted)
    return attrs.evolve(plan, rolling=rolling)


def is_peaceful(plan: Plan) -> bool:
    """Whether nothing befalls anybody but what clients do."""
    ailing = any(ask.ailment for visit in plan.visits for ask in visit.asks)
    changed = plan.changes or plan.reloads or plan.zone is not None
    return not (plan.faults or changed or ailing)
