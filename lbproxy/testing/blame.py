"""Whom backends break with: what is stopped and refused, and that nobody is who was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lbproxy.balance.pool import GATEWAY_STATUSES
from lbproxy.forward.poison import REFUSED, TWO
from lbproxy.observe.accesslog import Record
from lbproxy.testing.bounds import Records
from lbproxy.testing.inside import number_of
from lbproxy.testing.plan import Ask
from lbproxy.testing.world import World


def poison_is_stopped(world: World) -> Iterator[str]:
    """A request that broke two backends goes to no third one, and is refused: for so long."""
    for records in world.recorded.values():
        yield from _poison_stopped_in(world, records)


def _poison_stopped_in(world: World, records: Records) -> Iterator[str]:
    refused: dict[str, float] = {}
    blamed: dict[str, float] = {}
    for record, ended in records:
        number = number_of(record)
        if number is None:
            continue
        if len(_broken(record.attempts[:-1])) >= TWO:
            yield f"{number} broke two backends, and was sent to another one"
        begun = record.started + record.headed
        until = blamed.get(record.asked, 0.0)
        sent = [attempt for attempt in record.attempts if attempt.started < until - 0.01]
        if record.reason == "poison_request" and not record.attempts:
            world.happened("poison_refused")
            if begun > refused.get(record.asked, 0.0) + 0.01:
                yield f"{number} was refused for longer than it may be"
        elif sent and begun > until - REFUSED and not record.held:
            yield f"{number} was sent to {sent[0].backend} although it was to be refused"
        if any(each.hedge and each.outcome == "upstream_closed" for each in record.attempts):
            refused[record.asked] = (
                ended + REFUSED
            )  # It may be: the first one goes on all the same.
        crowded = _in_a_crowd(world, record)
        if any(attempt.decision == "poison" for attempt in record.attempts):
            world.happened("poison_found")
            refused[record.asked] = ended + REFUSED
            if not crowded:
                blamed[record.asked] = ended + REFUSED
        elif _is_alone(world.asks[number], crowded) and len(_broken(record.attempts)) >= TWO:
            yield f"{number} broke two backends, and was not found to be to blame"


def the_answered_are_not_blamed(world: World) -> Iterator[str]:
    """Nobody is to blame for what broke before it was answered well.

    Nobody but its one client asks for a thing here, so what is logged in order has happened so.
    """
    for records in world.recorded.values():
        struck: dict[str, set[str]] = {}
        for record, _ in records:
            number = number_of(record)
            if number is None:
                continue
            since = struck.setdefault(record.asked, set())
            since |= _broken(record.attempts)
            if len(since) < TWO and any(each.decision == "poison" for each in record.attempts):
                yield f"{number} was found to be to blame although it had been answered since"
            answered = any(attempt.outcome == "answered" for attempt in record.attempts)
            if answered and record.status not in GATEWAY_STATUSES:
                since.clear()


def _broken(attempts: Sequence[Any]) -> set[str]:
    """The backends that broke during these attempts.

    Whether a kept-alive connection was closed in a race is told by what the next attempt came to,
    unless that was a hedge while the first one went on.
    """
    closed = [place for place, each in enumerate(attempts) if each.outcome == "upstream_closed"]
    judged = [place for place in closed if attempts[place].decision != "first_runs"]
    raced = [
        place
        for place, each in enumerate(attempts[: max(judged, default=0)])
        if each.outcome == "reused_connection_closed" and not each.hedge
    ]
    return {attempts[place].backend for place in (*closed, *raced)}


def _is_alone(ask: Ask, crowded: bool) -> bool:
    """Whether what breaks with a request breaks with nothing else, nor soon with the same again."""
    return ask.insists > 0 and not ask.popular and not crowded


def _in_a_crowd(world: World, broken: Any) -> bool:
    """Whether others broke at about the same time, so that one may be as much to blame."""
    return any(
        record.asked != broken.asked
        and abs(ended - broken.started) < 4.0
        and any(attempt.outcome == "upstream_closed" for attempt in record.attempts)
        for record, ended in world.records
        if isinstance(record, Record)  # Orders too.
    )
