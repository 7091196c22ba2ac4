"""Orders: what is taken, what is refused and why, and how they move."""

from __future__ import annotations

from ordering.api import Api
from ordering.states import STEPS, Status
from tests.ordering.service import ServiceTestCase, order


class PlaceOrderTests(ServiceTestCase):
    """`POST /api/orders`."""

    def refused(self, body: object) -> tuple[int, str, list[str | None]]:
        """Place an order that must be refused, changing nothing: status, reason and pointers."""
        status, _, problem = self.ask(Api.place_order, body)
        self.assertEqual(self.ask(Api.list_orders)[2], {"orders": [], "next": None})
        self.assertEqual(problem["status"], status)
        pointers = [fault.get("pointer") for fault in problem.get("errors", [])]
        return status, problem["reason"], pointers

    def test_placed(self) -> None:
        """An order has the menu's names and prices, a total, and one notification."""
        body = order((1, 2), (4, 1), customer_name="Zoë", note="Ring twice")
        status, fields, placed = self.ask(Api.place_order, body)
        self.assertEqual(status, 201)
        self.assertEqual(fields["Location"], f"/asked/{placed['id']}")
        self.assertEqual(placed["total"], 2 * 1850 + 320)
        self.assertEqual(
            placed["items"][1], {"item_id": 4, "name": "Lemonade", "price": 320, "quantity": 1}
        )
        self.assertEqual(placed["created_at"], "2023-11-14T22:13:20.000Z")
        self.assertEqual((placed["status"], placed["customer_name"]), ("placed", "Zoë"))
        self.assertEqual(self.ask(Api.get_order, order_id=placed["id"])[2], placed)
        told = self.ask(Api.list_notifications, query="?after=0")[2]
        self.assertEqual([one["order_id"] for one in told["notifications"]], [placed["id"]])

    def test_closed(self) -> None:
        """A closed restaurant takes no order."""
        self.assertEqual(self.refused(order((13, 1), restaurant=4)), (409, "restaurant_closed", []))

    def test_sold_out(self) -> None:
        """An item that is sold out is named by its place."""
        self.assertEqual(
            self.refused(order((9, 1), (10, 1), restaurant=3)),
            (409, "item_sold_out", ["#/items/1/item_id"]),
        )

    def test_unknown(self) -> None:
        """Unknown restaurants and items are named by their places, all items at once."""
        self.assertEqual(
            self.refused(order((1, 1), restaurant=99)), (422, "invalid", ["#/restaurant_id"])
        )
        self.assertEqual(
            self.refused(order((5, 1), (1, 1), (99, 1))),
            (422, "invalid", ["#/items/0/item_id", "#/items/2/item_id"]),
        )

    def test_invalid(self) -> None:
        """What a body lacks or has wrong is named by its place."""
        for body, pointer in (
            (order((1, 0)), "#/items/0/quantity"),
            (order((1, 1), (2, 100)), "#/items/1/quantity"),
            (order((1, 1.5)), "#/items/0/quantity"),  # type: ignore[arg-type]
            (order(), "#/items"),
            (order(*[(1, 1)] * 101), "#/items"),
            ({"items": [{"item_id": 1, "quantity": 1}]}, "#/restaurant_id"),
            (order((1, 1), customer_name="a\nb"), "#/customer_name"),
            (order((1, 1), note="a\0b"), "#/note"),
            (order((1, 1), **{"a/b~": 1}), "#/a~1b~0"),
            (order((2**63, 1)), "#/items/0/item_id"),
            ([], "#"),
        ):
            self.assertEqual(self.refused(body), (422, "invalid", [pointer]), body)


class MoveOrderTests(ServiceTestCase):
    """`PATCH /api/orders/:orderId/status`."""

    def place(self) -> str:
        """Place an order; its id."""
        placed: str = self.ask(Api.place_order, order((1, 1)))[2]["id"]
        return placed

    def move(self, order_id: str, *steps: Status) -> int:
        """Take steps; the last one's status code."""
        code = 0
        for step in steps:
            code = self.ask(Api.move_order, {"status": step.value}, order_id=order_id)[0]
        return code

    def test_all_pairs(self) -> None:
        """From each state exactly the steps of the table are possible."""
        way = {Status.PLACED: [], Status.CANCELLED: [Status.CANCELLED]}
        usual = [Status.ACCEPTED, Status.PREPARING, Status.READY, Status.DELIVERED]
        for length, state in enumerate(usual, 1):
            way[state] = usual[:length]
        for start in Status:
            for to in Status:
                order_id = self.place()
                self.move(order_id, *way[start])
                code = self.move(order_id, to)
                self.assertEqual(code, 200 if to in STEPS[start] else 409, (start, to))
                now = self.ask(Api.get_order, order_id=order_id)[2]["status"]
                self.assertEqual(now, (to if code == 200 else start).value)

    def test_told(self) -> None:
        """A step changes the time and leaves a notification; a refused one does neither."""
        order_id = self.place()
        self.clock.now += 1.5
        self.move(order_id, Status.ACCEPTED)
        self.clock.now += 1
        self.move(order_id, Status.READY)
        moved = self.ask(Api.get_order, order_id=order_id)[2]
        self.assertEqual(moved["updated_at"], "2023-11-14T22:13:21.500Z")
        page = self.ask(Api.list_notifications, query="?after=1")[2]
        self.assertEqual([one["status"] for one in page["notifications"]], ["accepted"])
        self.assertEqual(page["last"], 2)

    def test_wrong_step(self) -> None:
        """A refusal names the steps that there are."""
        problem = self.ask(Api.move_order, {"status": "ready"}, order_id=self.place())[2]
        self.assertEqual(problem["reason"], "wrong_step")
        self.assertIn("accepted or cancelled", problem["detail"])

    def test_unknown(self) -> None:
        """An unknown order is not found; an unknown state is not valid."""
        self.assertEqual(self.move("nobody's", Status.ACCEPTED), 404)
        status, _, problem = self.ask(Api.move_order, {"status": "lost"}, order_id=self.place())
        self.assertEqual((status, problem["errors"][0]["pointer"]), (422, "#/status"))


class ListOrdersTests(ServiceTestCase):
    """`GET /api/orders`."""

    def test_pages(self) -> None:
        """Pages follow each other, the newest order first, though others come meanwhile."""
        ids = [self.ask(Api.place_order, order((1, 1)))[2]["id"] for _ in range(5)]
        seen: list[str] = []
        query = "?limit=2"
        while query:
            page = self.ask(Api.list_orders, query=query)[2]
            seen += [one["id"] for one in page["orders"]]
            self.ask(Api.place_order, order((1, 1)))
            query = f"?limit=2&after={page['next']}" if page["next"] else ""
        self.assertEqual(seen, ids[::-1])

    def test_status(self) -> None:
        """Only orders in a state, if it is asked for."""
        ids = [self.ask(Api.place_order, order((1, 1)))[2]["id"] for _ in range(2)]
        self.ask(Api.move_order, {"status": "cancelled"}, order_id=ids[0])
        page = self.ask(Api.list_orders, query="?status=cancelled")[2]
        self.assertEqual([one["id"] for one in page["orders"]], ids[:1])

    def test_bad_parameters(self) -> None:
        """A parameter that says nothing is named."""
        for query, name in (
            ("?limit=0", "limit"),
            ("?limit=201", "limit"),
            ("?limit=%D9%A1", "limit"),
            ("?limit=1&limit=2", "limit"),
            ("?after=zzz", "after"),
            ("?after=%C3%A9", "after"),
            ("?status=lost", "status"),
        ):
            status, _, problem = self.ask(Api.list_orders, query=query)
            self.assertEqual((status, problem["reason"]), (400, "bad_parameter"), query)
            self.assertEqual(problem["errors"][0]["parameter"], name)
