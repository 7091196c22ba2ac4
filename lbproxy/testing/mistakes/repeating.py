"""Mistakes about what is sent again, held, or refused."""

from __future__ import annotations

from copy import copy
from typing import Any

import attrs

from lbproxy.balance.pool import GATEWAY_STATUSES, Pool
from lbproxy.errors import Stage
from lbproxy.forward import poison
from lbproxy.forward.budget import RetryBudget
from lbproxy.forward.percentile import Percentile
from lbproxy.forward.poison import Suspects
from lbproxy.forward.retry import MethodClass, Tee, Verdict, may_retry
from lbproxy.proxy import attempts, failover
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.failover import Decision, decide
from lbproxy.proxy.hedge import Hedge
from lbproxy.proxy.hedging import Hedging
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.proxy.upstream import Upstream
from lbproxy.testing.mistakes.registry import Put, mutation, nothing


@mutation
def a_post_is_sent_again(put: Put) -> None:
    def wrong(stage: Stage, method_class: MethodClass) -> Verdict:
        safe = method_class is MethodClass.UNSAFE and stage is not Stage.ANSWERED
        return may_retry(stage, MethodClass.SAFE if safe else method_class)

    put(failover, "may_retry", wrong)


@mutation
def attempts_are_not_counted(put: Put) -> None:
    def wrong(*told: Any, **more: Any) -> Decision:
        decision = decide(*told, **more)
        return Decision.RETRY if decision is Decision.ATTEMPTS_SPENT else decision

    put(attempts, "decide", wrong)


@mutation
def the_budget_is_ignored(put: Put) -> None:
    put(RetryBudget, "spend", lambda self, now: True)


@mutation
def the_tee_keeps_nothing(put: Put) -> None:
    put(Tee, "append", nothing)


@mutation
def the_tee_is_never_given_back(put: Put) -> None:
    def wrong(self: Any) -> None:
        self.pieces, self.whole = [], False

    put(Tee, "release", wrong)


@mutation
def a_retry_sends_only_what_is_new(put: Put) -> None:
    right = Exchange._attempt

    def wrong(self: Any, now: float) -> None:
        self._unsent = () if self._record.attempts else self._unsent
        right(self, now)

    put(Exchange, "_attempt", wrong)


@mutation
def the_poisonous_are_sent_on(put: Put) -> None:
    put(Suspects, "broke", lambda self, who, backend, now: False)


@mutation
def the_poisonous_are_not_refused(put: Put) -> None:
    put(Suspects, "refuses", lambda self, who, now: 0.0)


@mutation
def the_poisonous_are_refused_for_ever(put: Put) -> None:
    put(poison, "REFUSED", 1e9)


@mutation
def the_answered_are_still_suspected(put: Put) -> None:
    put(Suspects, "answered", nothing)


@mutation
def who_broke_two_goes_to_a_third(put: Put) -> None:
    put(Exchange, "_broken_before", lambda self, backend: [])


@mutation
def the_budget_of_hedges_is_ignored(put: Put) -> None:
    right = Hedging.watch

    def wrong(self: Any, exchange: Any, now: float) -> None:
        self.budget.share = 1.0
        right(self, exchange, now)

    put(Hedging, "watch", wrong)


@mutation
def hedges_come_at_once(put: Put) -> None:
    put(Hedging, "after", property(lambda self: 0.0))


@mutation
def a_percentile_is_of_nothing(put: Put) -> None:
    def wrong(self: Any, number: float) -> None:
        self.value = 0.0

    put(Percentile, "measure", wrong)


@mutation
def the_time_of_a_try_never_ends(put: Put) -> None:
    put(Upstream, "_is_overdue", lambda self: False)


@mutation
def answers_are_tried_nowhere_else(put: Put) -> None:
    right = Exchange._unwanted

    def wrong(self: Any, head: Any, now: float) -> Any:
        return right(self, head, now) if head.status == 101 else None

    put(Exchange, "_unwanted", wrong)


@mutation
def answers_that_are_wanted_are_tried_elsewhere(put: Put) -> None:
    right = Exchange._accept

    def wrong(self: Any, head: Any, now: float) -> Any:
        self._plan = plan = copy(self._plan)
        plan.route = attrs.evolve(plan.route, retry_on=GATEWAY_STATUSES)
        return right(self, head, now)

    put(Exchange, "_accept", wrong)


@mutation
def who_is_outrun_is_not_released(put: Put) -> None:
    put(Hedge, "lose", nothing)


@mutation
def too_many_are_held(put: Put) -> None:
    right = WaitingRoom.hold

    def wrong(self: Any, *told: Any) -> Any:
        limit, self._hold = self._hold, attrs.evolve(self._hold, requests=1_000_000)
        try:
            return right(self, *told)
        finally:
            self._hold = limit

    put(WaitingRoom, "hold", wrong)


@mutation
def nobody_says_that_a_backend_is_back(put: Put) -> None:
    put(WaitingRoom, "let_go", nothing)


@mutation
def what_all_fail_alike_is_retried(put: Put) -> None:
    put(Pool, "fails_alike", lambda self, error, now: False)
