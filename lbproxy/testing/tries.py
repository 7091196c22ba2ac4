"""Answers that are not waited for, or not given, since another backend may do better.

Whether one could have is only said where it is sure: another backend was well all the time, it did
not fail in the same way, there was a rest of the attempts and of the budget, and no body to be sent
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lbproxy.errors import Stage
from lbproxy.forward.budget import FLOOR
from lbproxy.health.window import WINDOW
from lbproxy.testing.bounds import Records, whole_logs
from lbproxy.testing.choices import is_well
from lbproxy.testing.inside import number_of
from lbproxy.testing.plan import Ask
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.seen import History
from lbproxy.testing.world import World
from lbproxy.transport.timer import RESOLUTION

#: Methods that may be sent again, and have no body.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

#: How a backend is told from one that has given a head, and then no body.
_NO_HEAD = "no answer"


def tries_end_in_time(world: World) -> Iterator[str]:
    """Nobody is waited for longer than the time of a try while another one could be asked."""
    seconds = world.pool.retry.timeout
    if seconds is None:
        return
    bound = seconds + 2 * RESOLUTION + world.paused
    for records in whole_logs(world):
        elsewhere = _Elsewhere(world, records)
        for record, ended in records:
            ask = _plain(world, record)
            if ask is None:
                continue
            for place, attempt in enumerate(record.attempts):
                if attempt.connected is None or attempt.reused:
                    continue  # It may be behind with a body of before, and is waited for.
                begun = attempt.started + attempt.connected
                if attempt.outcome == "first_byte_timeout" and attempt.detail.startswith(_NO_HEAD):
                    until, late = ended, True
                elif attempt.outcome == "answered" and not _head_waits(ask):
                    until = attempt.started + attempt.first_byte
                    late = until - begun > bound
                else:
                    continue
                if late and elsewhere.is_sure(record, place, until, Stage.TIMED_OUT):
                    yield f"{ask.number} was left at {attempt.backend}, and a try has {seconds} s"


def errors_are_tried_elsewhere(world: World) -> Iterator[str]:
    """An answer of `retry_on` is tried elsewhere, if the request may be; and no other answer is."""
    (route,) = world.plan.config.routes
    for records in whole_logs(world):
        elsewhere = _Elsewhere(world, records)
        for record, _ in records:
            number = number_of(record)
            if number is None:
                continue
            for place, attempt in enumerate(record.attempts):
                if attempt.stage == Stage.GATEWAY_STATUS.value and not attempt.hedge:
                    world.happened("answer_tried_elsewhere")
                    if 503 not in route.retry_on or world.asks[number].unsafe:
                        yield f"{number} was answered with 503, and tried elsewhere"
                if attempt.outcome != "answered" or record.status not in route.retry_on:
                    continue
                if not attempt.decision:
                    yield f"{number} was answered with {record.status}, and that was given as it is"
                plain = _plain(world, record) is not None
                until = attempt.started + attempt.first_byte
                if plain and elsewhere.is_sure(record, place, until, Stage.GATEWAY_STATUS):
                    yield (
                        f"{number} was given {record.status} at {until - EPOCH:.3f}, and could"
                        f" have been tried elsewhere"
                    )


def _plain(world: World, record: Any) -> Ask | None:
    """What was asked, if it may be sent again, and neither was held nor has hedges."""
    number = number_of(record)
    if number is None or record.held or any(attempt.hedge for attempt in record.attempts):
        return None
    ask = world.asks[number]
    return ask if ask.method in _SAFE and ask.stream is None else None


def _head_waits(ask: Ask) -> bool:
    """Whether the head of its answer, which is in time, waits for the first byte of the body."""
    return ask.framing == "length" and ask.size > 0 and ask.method != "HEAD"


class _Elsewhere:
    """Whether what was tried at one backend could have been tried at another one."""

    def __init__(self, world: World, records: Records) -> None:
        self._world = world
        self._history = History(world.weights.names, world.turns)
        self._attempts = min(each.pools[0].retry.attempts for each in world.plan.configs)
        self._floor = FLOOR // world.plan.config.workers
        self._wanting_less = {each.name for each in world.backends if each.has_wanted_less}
        self._retried: list[tuple[float, float]] = []
        self._failed: dict[Stage, set[str]] = {Stage.TIMED_OUT: set(), Stage.GATEWAY_STATUS: set()}
        for record, ended in records:
            if record.pool == "api":
                self._note(record.attempts, record, ended)

    def is_sure(self, record: Any, place: int, until: float, stage: Stage) -> bool:
        """Whether it could for sure.

        Args:
            record: The exchange.
            place: The attempt's.
            until: When the attempt had gone on for too long, or was answered.
            stage: What is wrong with it.
        """
        world, attempts = self._world, record.attempts[: place + 1]
        if len(attempts) >= self._attempts:
            return False
        spent = sum(
            ended >= until - WINDOW - 1 and begun <= until for begun, ended in self._retried
        )
        if spent >= self._floor:
            return False
        others = set(world.weights.names) - self._wanting_less - {each.backend for each in attempts}
        since = attempts[-1].started - world.lag - world.paused
        return any(
            is_well(world, self._history, name, since, until)
            for name in others - self._failed[stage]
        )

    def _note(self, attempts: Sequence[Any], record: Any, ended: float) -> None:
        for attempt in attempts:
            if attempt.decision == "retry":
                self._retried.append((attempt.started, ended))
            if attempt.stage == Stage.TIMED_OUT.value:
                self._failed[Stage.TIMED_OUT].add(attempt.backend)
            ill = attempt.outcome == "answered" and record.status >= 500
            if ill or attempt.stage == Stage.GATEWAY_STATUS.value:
                self._failed[Stage.GATEWAY_STATUS].add(attempt.backend)
