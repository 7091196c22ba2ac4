"""What follows an attempt that failed: the retry table, and all that bounds it."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

from lbproxy.balance.backend import Backend
from lbproxy.balance.outage import is_shut
from lbproxy.errors import Stage, UpstreamError
from lbproxy.forward.retry import Verdict, may_retry
from lbproxy.proxy.plan import Plan
from lbproxy.proxy.upstreams import Upstreams


class Decision(Enum):
    """What follows a failed attempt, as the access log says it."""

    RETRY = "retry"
    RETRY_FREE = "retry_free"
    NOT_SAFE = "not_safe"
    ATTEMPTS_SPENT = "attempts_spent"
    BODY_NOT_KEPT = "body_not_kept"
    ALL_FAIL_ALIKE = "all_fail_alike"
    NO_OTHER_BACKEND = "no_other_backend"
    BUDGET_SPENT = "budget_spent"
    POISON = "poison"
    TWO_BROKE = "two_broke"
    HOLD = "hold"
    HEDGE_RUNS = "hedge_runs"
    FIRST_RUNS = "first_runs"


#: Those after which another attempt begins at once.
AGAIN = frozenset((Decision.RETRY, Decision.RETRY_FREE))

#: And those with which the exchange goes on in some way.
GOES_ON = AGAIN | {Decision.HOLD, Decision.HEDGE_RUNS}


def decide(
    plan: Plan,
    error: UpstreamError,
    backend: Backend,
    tried: Set[Backend],
    tries: int,
    now: float,
    *,
    replayable: bool,
) -> Decision:
    """What follows a failed attempt: another one, a wait for a backend, or why neither does.

    Args:
        plan: The request, and its pool.
        error: What broke the attempt.
        backend: Where that was.
        tried: Where the request was sent before.
        tries: Attempts so far, this one included.
        now: The present time, in the clock's seconds.
        replayable: Whether all that came of its body is kept.
    """
    decision = _again(plan, error, backend, tried, tries, now, replayable)
    if (
        error.reached is Stage.NOTHING_SENT
        and decision not in AGAIN
        and plan.upstreams.can_hold
        and is_shut(plan.upstreams.pool)
    ):
        return Decision.HOLD
    return decision


def _again(
    plan: Plan,
    error: UpstreamError,
    backend: Backend,
    tried: Set[Backend],
    tries: int,
    now: float,
    replayable: bool,
) -> Decision:
    """Whether another attempt follows at once, and if not, why."""
    upstreams = plan.upstreams
    verdict = may_retry(error.reached, plan.method_class)
    if verdict is Verdict.NO:
        return Decision.NOT_SAFE
    if tries >= upstreams.pool.config.retry.attempts:
        return Decision.ATTEMPTS_SPENT
    if error.reached is not Stage.NOTHING_SENT and not replayable:
        return Decision.BODY_NOT_KEPT
    if verdict is Verdict.FREE:
        return Decision.RETRY_FREE
    return elsewhere(upstreams, error, backend, tried, now)


def elsewhere(
    upstreams: Upstreams, error: UpstreamError, backend: Backend, tried: Set[Backend], now: float
) -> Decision:
    """Whether another backend is tried, where nothing about the request itself forbids it.

    Args:
        upstreams: The pool.
        error: What broke the attempt.
        backend: Where that was.
        tried: Those that were tried before.
        now: The present time, in the clock's seconds.
    """
    if not upstreams.pool.has_other(tried, backend):
        return Decision.NO_OTHER_BACKEND
    if upstreams.pool.fails_alike(error, now):
        return Decision.ALL_FAIL_ALIKE
    if not upstreams.budget.spend(now):
        return Decision.BUDGET_SPENT
    return Decision.RETRY
