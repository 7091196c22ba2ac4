"""Mistakes that could be made in the balancer, each of which the simulator has to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import attrs

from lbproxy.balance import pool as pool_module
from lbproxy.balance.pool import Backend, Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import State
from lbproxy.errors import Stage
from lbproxy.forward.budget import RetryBudget
from lbproxy.forward.poison import Suspects
from lbproxy.forward.retry import MethodClass, Tee, Verdict, may_retry
from lbproxy.health import verdict
from lbproxy.health.ejection import IN_ROW
from lbproxy.health.said import Said
from lbproxy.http1.message import NO_TRAILERS
from lbproxy.probe.prober import Prober
from lbproxy.proxy import attempts, failover
from lbproxy.proxy.downstream import CLOSED, Downstream
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.failover import Decision, decide
from lbproxy.proxy.hedge import Hedge
from lbproxy.proxy.hedging import Hedging
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstream import IDLE, Upstream
from lbproxy.transport.connection import Connection
from lbproxy.transport.timer import NEVER, CoarseTimer

#: Puts something else in the place of an attribute, until the mutation is over.
Put = Callable[[Any, str, Any], None]

#: What makes a mistake.
Mutation = Callable[[Put], None]

MUTATIONS: dict[str, Mutation] = {}


def _mutation(make: Mutation) -> Mutation:
    MUTATIONS[make.__name__] = make
    return make


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """With one mistake in the balancer, by its name in `MUTATIONS`."""
    before: list[tuple[Any, str, Any]] = []

    def put(owner: Any, attribute: str, value: Any) -> None:
        before.append((owner, attribute, getattr(owner, attribute)))
        setattr(owner, attribute, value)

    MUTATIONS[name](put)
    try:
        yield
    finally:
        for owner, attribute, value in reversed(before):
            setattr(owner, attribute, value)


def _nothing(*_: object) -> None:
    """Instead of something."""


# What is sent again.


@_mutation
def a_post_is_sent_again(put: Put) -> None:
    def wrong(stage: Stage, method_class: MethodClass) -> Verdict:
        safe = method_class is MethodClass.UNSAFE and stage is not Stage.ANSWERED
        return may_retry(stage, MethodClass.SAFE if safe else method_class)

    put(failover, "may_retry", wrong)


@_mutation
def attempts_are_not_counted(put: Put) -> None:
    def wrong(*told: Any, **more: Any) -> Decision:
        decision = decide(*told, **more)
        return Decision.RETRY if decision is Decision.ATTEMPTS_SPENT else decision

    put(attempts, "decide", wrong)


@_mutation
def the_budget_is_ignored(put: Put) -> None:
    put(RetryBudget, "spend", lambda self, now: True)


@_mutation
def the_tee_keeps_nothing(put: Put) -> None:
    put(Tee, "append", _nothing)


@_mutation
def the_tee_is_never_given_back(put: Put) -> None:
    def wrong(self: Any) -> None:
        self.pieces, self.whole = [], False

    put(Tee, "release", wrong)


@_mutation
def a_retry_sends_only_what_is_new(put: Put) -> None:
    right = Exchange._attempt

    def wrong(self: Any, now: float) -> None:
        self._unsent = () if self._record.attempts else self._unsent
        right(self, now)

    put(Exchange, "_attempt", wrong)


@_mutation
def the_poisonous_are_sent_on(put: Put) -> None:
    put(Suspects, "broke", lambda self, who, backend, now: False)


@_mutation
def the_poisonous_are_not_refused(put: Put) -> None:
    put(Suspects, "refuses", lambda self, who, now: 0.0)


@_mutation
def the_poisonous_are_refused_for_ever(put: Put) -> None:
    put(Suspects, "refuses", lambda self, who, now: 1.0 if who in self.refused else 0.0)


@_mutation
def the_budget_of_hedges_is_ignored(put: Put) -> None:
    right = Hedging.watch

    def wrong(self: Any, exchange: Any, now: float) -> None:
        self.budget.share = 1.0
        right(self, exchange, now)

    put(Hedging, "watch", wrong)


@_mutation
def who_is_outrun_is_not_released(put: Put) -> None:
    put(Hedge, "lose", _nothing)


@_mutation
def too_many_are_held(put: Put) -> None:
    right = WaitingRoom.hold

    def wrong(self: Any, *told: Any) -> Any:
        limit, self._hold = self._hold, attrs.evolve(self._hold, requests=1_000_000)
        try:
            return right(self, *told)
        finally:
            self._hold = limit

    put(WaitingRoom, "hold", wrong)


@_mutation
def nobody_says_that_a_backend_is_back(put: Put) -> None:
    put(WaitingRoom, "let_go", _nothing)


# Who is chosen.


@_mutation
def the_last_one_is_put_out(put: Put) -> None:
    right = Pool._judge

    def judge(self: Any, backend: Backend, *told: Any, **more: Any) -> None:
        right(self, backend, *told, **more)
        if backend.ejection._streak >= IN_ROW:
            self.on_outlier(backend, told[1])

    def eject(self: Any, backend: Backend, now: float) -> None:
        if backend.available:
            backend.ejection.eject(now)
            self._turn(backend, State.EJECTED, "", now)

    put(Pool, "_judge", judge)
    put(Pool, "eject", eject)


@_mutation
def the_ejected_are_never_let_back(put: Put) -> None:
    put(Pool, "reinstate", _nothing)


@_mutation
def the_ejected_are_chosen(put: Put) -> None:
    put(pool_module, "_AVAILABLE", frozenset({State.UNKNOWN, State.UP, State.EJECTED}))


@_mutation
def the_down_are_chosen(put: Put) -> None:
    put(pool_module, "_AVAILABLE", frozenset({State.UNKNOWN, State.UP, State.DOWN}))


@_mutation
def weight_nought_is_one(put: Put) -> None:
    put(Backend, "available", property(lambda self: self.state in pool_module._AVAILABLE))


@_mutation
def always_the_first(put: Put) -> None:
    put(RoundRobin, "choose", lambda self, candidates: candidates[0])


@_mutation
def slow_start_never_ends(put: Put) -> None:
    put(pool_module, "share", lambda since, now, seconds: 0.1)


@_mutation
def the_limit_in_flight_is_ignored(put: Put) -> None:
    def acquire(self: Any, backend: Backend) -> None:
        backend.in_flight += 1

    def release(self: Any, backend: Backend) -> None:
        backend.in_flight -= 1

    put(Pool, "acquire", acquire)
    put(Pool, "release", release)


@_mutation
def in_flight_is_not_released(put: Put) -> None:
    put(Pool, "release", _nothing)


# What probes say.


def _observe_with(rise: int, fall: int) -> Any:
    right = verdict.Verdict.observe

    def wrong(self: Any, passed: bool) -> bool:
        self.rise, self.fall = self.rise + rise, self.fall + fall
        try:
            return right(self, passed)
        finally:
            self.rise, self.fall = self.rise - rise, self.fall - fall

    return wrong


@_mutation
def one_pass_too_few(put: Put) -> None:
    put(verdict.Verdict, "observe", _observe_with(-1, 0))


@_mutation
def one_failure_too_many(put: Put) -> None:
    put(verdict.Verdict, "observe", _observe_with(0, 1))


@_mutation
def a_probe_never_ends(put: Put) -> None:
    put(Prober, "_ended", _nothing)


@_mutation
def every_probe_passes(put: Put) -> None:
    right = Pool.probed

    def wrong(self: Any, backend: Backend, outcome: Any, now: float) -> None:
        right(self, backend, type(outcome)(True, 0.0, "", True, now), now)

    put(Pool, "probed", wrong)


@_mutation
def a_drain_is_not_heard(put: Put) -> None:
    put(Said, "weight_of", lambda self, given: given)


@_mutation
def a_drain_never_ends(put: Put) -> None:
    right = Pool.hear

    def wrong(self: Any, backend: Backend, said: Said, now: float) -> None:
        if not backend.said.drain:
            right(self, backend, said, now)

    put(Pool, "hear", wrong)


# What goes through.


@_mutation
def a_cut_answer_looks_whole(put: Put) -> None:
    def wrong(self: Any, awaiting: Any, reason: Any) -> None:
        awaiting.answer_end(NO_TRAILERS, self._clock.seconds())

    put(Upstream, "_lost_within_body", wrong)


@_mutation
def unread_bytes_are_overlooked(put: Put) -> None:
    put(Upstream, "is_usable", lambda self: self._state is IDLE)
    right = Upstream.dataReceived

    def wrong(self: Any, data: bytes) -> None:
        if self._awaiting is None:
            self._parser.feed(data)
        else:
            right(self, data)

    put(Upstream, "dataReceived", wrong)


@_mutation
def requests_are_crossed(put: Put) -> None:
    right = Exchange._send
    turn, heads = count(1), [b""]

    def wrong(self: Any, upstream: Upstream) -> None:
        if next(turn) % 9 == 0:
            self._wire_head, heads[0] = heads[0], self._wire_head
        else:
            heads[0] = self._wire_head
        right(self, upstream)

    put(Exchange, "_send", wrong)


@_mutation
def a_piece_is_lost(put: Put) -> None:
    right = Downstream.answer_data
    turn = count(1)

    def wrong(self: Any, data: bytes) -> None:
        if next(turn) % 50:
            right(self, data)

    put(Downstream, "answer_data", wrong)


@_mutation
def a_transfer_is_counted_wrong(put: Put) -> None:
    right = Upstream.relayed

    def wrong(self: Any, amount: int) -> None:
        right(self, amount - (amount > 1000))

    put(Upstream, "relayed", wrong)


@_mutation
def short_writes_are_whole(put: Put) -> None:
    def wrong(self: Any, data: Any) -> None:
        if not (self._write_closed or self._closing or self.disconnected):
            try:
                self._send(data)
            except OSError:
                self._broken = True

    put(Connection, "write", wrong)


@_mutation
def nobody_pauses_for_the_slow(put: Put) -> None:
    put(Exchange, "pause_answer", _nothing)


@_mutation
def nobody_pauses_for_a_backend(put: Put) -> None:
    put(Exchange, "pause_request", _nothing)


@_mutation
def early_hints_are_dropped(put: Put) -> None:
    put(Exchange, "informational", _nothing)


@_mutation
def a_body_is_not_resumed(put: Put) -> None:
    right = Downstream.resume_request
    turn = count(1)

    def wrong(self: Any) -> None:
        if next(turn) % 20:
            right(self)

    put(Downstream, "resume_request", wrong)


@_mutation
def nobody_lingers(put: Put) -> None:
    def wrong(self: Any, *, cut: bool = False) -> None:
        self._life = CLOSED
        if cut:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    put(Downstream, "_close", wrong)


# When it ends.


@_mutation
def no_answer_is_awaited_for_ever(put: Put) -> None:
    def wrong(self: Any) -> None:
        self.deadline = NEVER

    put(Upstream, "_await_head", wrong)


@_mutation
def the_queue_has_no_clock(put: Put) -> None:
    put(WaitingRoom, "expired", _nothing)


@_mutation
def deadlines_are_never_given_up(put: Put) -> None:
    put(CoarseTimer, "discard", _nothing)


@_mutation
def the_last_client_is_not_seen_off(put: Put) -> None:
    right = Site.left

    def wrong(self: Any, client: Any) -> None:
        drained, self._drained = self._drained, None
        right(self, client)
        self._drained = drained

    put(Site, "left", wrong)


@_mutation
def the_hard_stop_is_soft(put: Put) -> None:
    put(Site, "abort", _nothing)


@_mutation
def an_exchange_is_logged_twice(put: Put) -> None:
    right = Exchange.abandon

    def wrong(self: Any, error: Any) -> None:
        right(self, error)
        self._site.log(self._record, self._site.clock.seconds())

    put(Exchange, "abandon", wrong)


@_mutation
def who_leaves_is_served_on(put: Put) -> None:
    put(Exchange, "abandon", _nothing)
