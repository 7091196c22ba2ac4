"""Requests that come twice under one key."""

from __future__ import annotations

from typing import Any

from ordering.api import Api
from ordering.idempotency import KEPT
from tests.ordering.service import ServiceTestCase, order


class IdempotencyTests(ServiceTestCase):
    """`Idempotency-Key` on POST."""

    def place(self, key: str, body: object) -> tuple[int, dict[str, str], Any]:
        """Place an order under a key."""
        return self.ask(Api.place_order, body, fields={"idempotency-key": key})

    def count(self) -> int:
        """How many orders there are."""
        return len(self.ask(Api.list_orders)[2]["orders"])

    def test_repeated(self) -> None:
        """A repeat gets the first answer, whatever happened to the order since, and says so."""
        status, fields, first = self.place("k", order((1, 1)))
        self.ask(Api.move_order, {"status": "accepted"}, order_id=first["id"])
        again = self.place("k", order((1, 1)))
        self.assertEqual(again, (status, {**fields, "Idempotency-Replayed": "true"}, first))
        self.assertEqual(self.count(), 1)

    def test_written_differently(self) -> None:
        """The same order with its members in another order is the same request."""
        body = order((1, 1), note="")
        self.place("k", body)
        self.assertEqual(self.place("k", dict(reversed(body.items())))[0], 201)
        self.assertEqual(self.count(), 1)

    def test_other_request(self) -> None:
        """A key that stands for another order, or another operation, is refused."""
        self.place("k", order((1, 1)))
        status, _, problem = self.place("k", order((1, 2)))
        self.assertEqual((status, problem["reason"]), (422, "idempotency_key_reused"))
        other = self.ask(Api.add_restaurant, {"name": "X"}, fields={"idempotency-key": "k"})
        self.assertEqual(other[0], 422)
        self.assertEqual(self.count(), 1)

    def test_refusal_not_kept(self) -> None:
        """A refused order leaves its key free: nothing was done under it."""
        self.assertEqual(self.place("k", order((10, 1), restaurant=3))[0], 409)
        self.assertEqual(self.place("k", order((9, 1), restaurant=3))[0], 201)

    def test_forgotten(self) -> None:
        """A day later the key is free again."""
        first = self.place("k", order((1, 1)))[2]
        self.clock.now += KEPT / 1000 + 1
        self.assertNotEqual(self.place("k", order((1, 1)))[2]["id"], first["id"])

    def test_bad_key(self) -> None:
        """A key that is empty, too long or not visible is refused."""
        for key in ("", "a b", "é", "x" * 256):
            status, _, problem = self.place(key, order((1, 1)))
            self.assertEqual((status, problem["errors"][0]["header"]), (400, "Idempotency-Key"))
        self.assertEqual(self.place("x" * 255, order((1, 1)))[0], 201)
