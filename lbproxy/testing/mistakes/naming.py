"""Mistakes about names: what DNS says of them, what it does not say, and what comes of that."""

from __future__ import annotations

from typing import Any

import attrs

from lbproxy.control.judged import Judged
from lbproxy.control.reload import Reloader
from lbproxy.discovery import members
from lbproxy.discovery.answer import Answer
from lbproxy.discovery.service import Discovery
from lbproxy.discovery.watch import Watch
from lbproxy.probe.prober import Prober
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.worker.serve import Worker


@mutation
def an_empty_answer_drops_all(put: Put) -> None:
    right = Watch._failed

    def wrong(self: Any, failure: Any) -> None:
        if "no address" in failure.getErrorMessage() and self.answer is not None:
            self.answer = Answer(frozenset(), 1.0)
        right(self, failure)

    put(Watch, "_failed", wrong)


@mutation
def a_look_up_that_fails_drops_all(put: Put) -> None:
    right = Watch._failed

    def wrong(self: Any, failure: Any) -> None:
        self.answer = None
        right(self, failure)

    put(Watch, "_failed", wrong)


@mutation
def a_target_that_is_not_found_is_dropped(put: Put) -> None:
    put(Answer, "after", lambda self, before: self)


@mutation
def who_has_left_dns_is_kept(put: Put) -> None:
    right = Watch._found

    def wrong(self: Any, answer: Answer) -> None:
        before = frozenset() if self.answer is None else self.answer.places
        right(self, attrs.evolve(answer, places=answer.places | before))

    put(Watch, "_found", wrong)


def _never_again_after(what: str) -> Any:
    right = getattr(Watch, what)

    def wrong(self: Any, told: Any) -> None:
        self._ask_in = nothing
        right(self, told)
        del self._ask_in

    return wrong


@mutation
def an_answer_never_expires(put: Put) -> None:
    put(Watch, "_found", _never_again_after("_found"))


@mutation
def after_a_failure_nobody_asks_again(put: Put) -> None:
    put(Watch, "_failed", _never_again_after("_failed"))


@mutation
def the_longest_time_to_live_is_ignored(put: Put) -> None:
    right = Watch._ask_in

    def wrong(self: Any, seconds: float) -> None:
        config, self._config = self._config, attrs.evolve(self._config, max_ttl=1e9)
        right(self, seconds)
        self._config = config

    put(Watch, "_ask_in", wrong)


@mutation
def a_reload_forgets_the_members(put: Put) -> None:
    right = Reloader._try

    async def wrong(self: Any) -> Any:
        expand = self._expand

        def forget(config: Any) -> Any:
            expand(config)
            return config

        self._expand = forget
        try:
            return await right(self)
        finally:
            self._expand = expand

    put(Reloader, "_try", wrong)


@mutation
def other_settings_forget_what_is_known(put: Put) -> None:
    right = Discovery._watch
    put(Discovery, "_watch", lambda self, question, known: right(self, question, None))


@mutation
def a_change_during_a_reload_is_lost(put: Put) -> None:
    right = Reloader.refresh

    def wrong(self: Any) -> None:
        if not self._turn.locked:
            right(self)

    put(Reloader, "refresh", wrong)


@mutation
def who_leaves_dns_is_cut(put: Put) -> None:
    right = Worker.serve

    def wrong(self: Any, config: Any, *told: Any) -> None:
        before = {each.name for each in self._upstreams["api"].pool.backends}
        right(self, config, *told)
        after = {each.name for each in self._upstreams["api"].pool.backends}
        if any("@" in name for name in before - after):
            self._site.abort()

    put(Worker, "serve", wrong)


@mutation
def who_has_left_is_probed_on(put: Put) -> None:
    right = Prober.reconfigure

    def wrong(self: Any, check: Any) -> None:
        before = dict(self._due)
        right(self, check)
        if self._due:
            self._due = before | self._due

    put(Prober, "reconfigure", wrong)


@mutation
def records_have_no_weight(put: Put) -> None:
    right = members._distinct
    put(members, "_distinct", lambda answer: [attrs.evolve(p, weight=1) for p in right(answer)])


@mutation
def records_have_no_priority(put: Put) -> None:
    right = members._distinct
    put(members, "_distinct", lambda answer: [attrs.evolve(p, priority=0) for p in right(answer)])


@mutation
def a_name_without_probes_is_up(put: Put) -> None:
    put(Judged, "_judge_names", nothing)


@mutation
def a_name_is_up_before_its_members_are(put: Put) -> None:
    put(Discovery, "_begin", nothing)
