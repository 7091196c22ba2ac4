"""Mistakes about rolls, and about the pages that they ask."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from lbproxy.cli import steps
from lbproxy.cli.steps import Roll, Stopped
from lbproxy.control.parent import Parent
from lbproxy.testing.mistakes.registry import Put, mutation


@mutation
def a_roll_waits_for_nothing(put: Put) -> None:
    async def wrong(self: Any, step: Any, ours: Any, needed: Any) -> None:
        await self._look(step)

    put(Roll, "_empty", wrong)


@mutation
def a_roll_leaves_all_drained(put: Put) -> None:
    right = Roll._tell

    async def wrong(self: Any, path: Any, members: Any) -> None:
        if path != "/undrain":
            await right(self, path, members)

    put(Roll, "_tell", wrong)


@mutation
def a_roll_goes_on_behind_one_that_is_not_back(put: Put) -> None:
    right = Roll.take

    async def wrong(self: Any, step: Any) -> None:
        try:
            await right(self, step)
        except Stopped as stopped:
            if "did not come back" not in str(stopped):
                raise

    put(Roll, "take", wrong)


@mutation
def an_old_verdict_ends_the_drain_of_a_roll(put: Put) -> None:
    put(steps, "_answers", lambda backend, since: backend["state"] == "up")


@mutation
def a_roll_restarts_who_takes_requests_again(put: Put) -> None:
    put(steps, "_takes_requests", lambda told: False)


@mutation
def a_roll_restarts_the_last_one(put: Put) -> None:
    put(Roll, "_is_alone", lambda *_: False)


@mutation
def a_roll_does_not_say_what_it_leaves(put: Put) -> None:
    put(Roll, "_left", lambda self, members: "it stays drained")


@mutation
def pages_answer_before_all_have_heard(put: Put) -> None:
    def wrong(self: Any) -> Deferred[bool]:
        return succeed(True)

    put(Parent, "fresh", wrong)
