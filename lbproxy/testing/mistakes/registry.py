"""How a mistake is put into the running code, and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Puts something else in the place of an attribute, until the mutation is over.
Put = Callable[[Any, str, Any], None]

#: What makes a mistake.
Mutation = Callable[[Put], None]

MUTATIONS: dict[str, Mutation] = {}


def mutation(make: Mutation) -> Mutation:
    """Take a mistake into `MUTATIONS`."""
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


def nothing(*_: object) -> None:
    """Instead of something."""
