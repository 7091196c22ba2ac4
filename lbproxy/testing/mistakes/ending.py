"""Mistakes about how things end."""

from __future__ import annotations

from typing import Any

from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.queue import WaitingRoom
from lbproxy.proxy.site import Site
from lbproxy.proxy.upstream import Upstream
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.transport.timer import NEVER, CoarseTimer


@mutation
def no_answer_is_awaited_for_ever(put: Put) -> None:
    def wrong(self: Any) -> None:
        self.deadline = NEVER

    put(Upstream, "_await_head", wrong)


@mutation
def the_queue_has_no_clock(put: Put) -> None:
    put(WaitingRoom, "expired", nothing)


@mutation
def deadlines_are_never_given_up(put: Put) -> None:
    put(CoarseTimer, "discard", nothing)


@mutation
def the_last_client_is_not_seen_off(put: Put) -> None:
    right = Site.left

    def wrong(self: Any, client: Any) -> None:
        drained, self._drained = self._drained, None
        right(self, client)
        self._drained = drained

    put(Site, "left", wrong)


@mutation
def the_hard_stop_is_soft(put: Put) -> None:
    put(Site, "abort", nothing)


@mutation
def an_exchange_is_logged_twice(put: Put) -> None:
    right = Exchange.abandon

    def wrong(self: Any, error: Any) -> None:
        right(self, error)
        self._site.log(self._record, self._site.clock.seconds())

    put(Exchange, "abandon", wrong)


@mutation
def who_leaves_is_served_on(put: Put) -> None:
    put(Exchange, "abandon", nothing)
