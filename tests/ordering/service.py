"""An `Api` over a store of its own, for tests that ask it directly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from ordering.answers import Answer
from ordering.api import Api
from ordering.calls import Call
from ordering.store import Store

NOON = 1_700_000_000.0
"""Seconds since 1970, at 2023-11-14T22:13:20Z."""


@define
class Hand:
    """A clock that tests set."""

    now: float = NOON

    def __call__(self) -> float:
        """Tell seconds since 1970."""
        return self.now


def new_path(case: SynchronousTestCase) -> Path:
    """A file's name in a folder that goes with the test."""
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name) / "shop.db"


class ServiceTestCase(SynchronousTestCase):
    """A test with a new, seeded store.

    Seeded are restaurant 1 with items 1 to 4, 2 with 5 to 8, 3 with 9 to 12 of which 10 is sold
    out, and 4, closed, with 13 to 15.
    """

    def setUp(self) -> None:
        """Make the store."""
        self.clock = Hand()
        self.path = new_path(self)
        self.store = Store(f"sqlite:///{self.path}", 4)
        self.addCleanup(self.store.close)
        self.api = Api(self.store, "test", self.clock)

    def ask(
        self,
        operation: Callable[[Api, Call], Answer],
        body: object = None,
        query: str = "",
        fields: dict[str, str] | None = None,
        **arguments: str,
    ) -> tuple[int, dict[str, str], Any]:
        """Ask for an operation: the answer's status, fields and JSON."""
        call = Call(
            method="ANY",
            target=f"/asked{query}",
            fields={"content-type": "application/json", **(fields or {})},
            body=b"" if body is None else json.dumps(body).encode(),
            arguments=arguments,
        )
        answer = self.api.run(operation, call)
        return answer.status, dict(answer.fields), json.loads(answer.body)


def order(*lines: tuple[int, int], restaurant: int = 1, **more: object) -> dict[str, object]:
    """The body of an order of (item, quantity) pairs."""
    items = [{"item_id": item, "quantity": quantity} for item, quantity in lines]
    return {"restaurant_id": restaurant, "items": items, **more}
