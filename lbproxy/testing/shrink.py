"""A life that fails, made as small as it can be while it still fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import attrs

from lbproxy.testing.flow import Shape
from lbproxy.testing.plan import Plan
from lbproxy.testing.simulate import Outcome, live

#: Lives that are tried at most.
MOST = 300

T = TypeVar("T")


def kind_of(violation: str) -> str:
    """What kind of violation it is: its words without numbers and names."""
    return re.sub(r"'[^']*'|\b[a-d]\b|[\d.]+", "", violation)


def shrink(outcome: Outcome, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Leave out what is not needed for the first violation: faults, clients, requests, traits.

    Args:
        outcome: Of a plan that fails.
        tell: Is told of each success.

    Returns:
        The outcome of the smallest plan that was found.
    """
    wanted = kind_of(outcome.violations[0])
    tries = 0
    smaller = True
    while smaller:
        smaller = False
        for plan in _smaller(outcome.plan):
            tries += 1
            if tries > MOST:
                return outcome
            tried = live(plan)
            if any(kind_of(violation) == wanted for violation in tried.violations):
                outcome, smaller = tried, True
                tell(f"{len(plan.visits)} clients, {plan.asks} requests, {len(plan.faults)} faults")
                break
    return outcome


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, the greatest steps first."""
    for faults in _without(plan.faults):
        yield attrs.evolve(plan, faults=faults)
    for reloads in _without(plan.reloads):
        yield attrs.evolve(plan, reloads=reloads)
    for refusals in _without(plan.refusals):
        yield attrs.evolve(plan, refusals=refusals)
    for renamings in _without(plan.renamings):
        yield attrs.evolve(plan, renamings=renamings)
    if plan.rolling is not None:
        yield attrs.evolve(plan, rolling=None)
    for changes in _without(plan.changes):
        yield attrs.evolve(plan, changes=changes)
    if plan.takeover is not None:
        yield attrs.evolve(plan, takeover=None)
        for visits in _without(plan.takeover.visits):
            yield attrs.evolve(plan, takeover=attrs.evolve(plan.takeover, visits=visits))
    for visits in _without(plan.visits):
        if visits:
            yield attrs.evolve(plan, visits=visits)
    for place, visit in enumerate(plan.visits):
        others = [attrs.evolve(visit, asks=asks) for asks in _without(visit.asks) if asks]
        if visit.shape.fine:
            others.append(attrs.evolve(visit, shape=attrs.evolve(visit.shape, fine=0)))
        for other in others:
            visits = (*plan.visits[:place], other, *plan.visits[place + 1 :])
            yield attrs.evolve(plan, visits=visits)
    if len(set(plan.shapes)) > 1 or plan.shapes[0].fine:
        yield attrs.evolve(plan, shapes=(Shape(),))


def _without(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """The items without a part of them: halves first, then single ones."""
    size = len(items)
    step = size // 2
    while step:
        for start in range(0, size, step):
            yield (*items[:start], *items[start + step :])
        step //= 2
    if size == 1:
        yield ()
