"""Restaurants and menus."""

from __future__ import annotations

from ordering.api import Api
from tests.ordering.service import ServiceTestCase


class RestaurantTests(ServiceTestCase):
    """Everything below `/api/restaurants`."""

    def test_seeded(self) -> None:
        """A new store has four restaurants, one closed, and one item sold out."""
        restaurants = self.ask(Api.list_restaurants)[2]["restaurants"]
        self.assertEqual([one["open"] for one in restaurants], [True, True, True, False])
        items = [
            item
            for one in restaurants
            for item in self.ask(Api.get_menu, restaurant_id=str(one["id"]))[2]["items"]
        ]
        self.assertEqual([item["id"] for item in items if not item["available"]], [10])

    def test_added(self) -> None:
        """A restaurant and a dish that are added can be read."""
        status, fields, made = self.ask(Api.add_restaurant, {"name": "Ça va"})
        self.assertEqual((status, fields["Location"]), (201, f"/asked/{made['id']}"))
        wanted = str(made["id"])
        self.assertEqual(self.ask(Api.get_restaurant, restaurant_id=wanted)[2], made)
        dish = self.ask(Api.add_menu_item, {"name": "Tea", "price": 250}, restaurant_id=wanted)[2]
        self.assertEqual(self.ask(Api.get_menu, restaurant_id=wanted)[2]["items"], [dish])

    def test_unknown(self) -> None:
        """What no restaurant has as its id is not found, whatever it looks like."""
        for text in ("99", "0", "-1", "x", "1.0", "٣", "9" * 30, " 1"):
            for operation in (Api.get_restaurant, Api.get_menu):
                self.assertEqual(self.ask(operation, restaurant_id=text)[0], 404, text)
            body = {"name": "Tea", "price": 1}
            self.assertEqual(self.ask(Api.add_menu_item, body, restaurant_id=text)[0], 404)

    def test_invalid(self) -> None:
        """Names are one line and not blank; prices are whole cents."""
        for body, pointer in (
            ({"name": " ", "price": 1}, "#/name"),
            ({"name": "", "price": 1}, "#/name"),
            ({"name": "a\nb", "price": 1}, "#/name"),
            ({"name": "Tea"}, "#/price"),
            ({"name": "Tea", "price": -1}, "#/price"),
            ({"name": "Tea", "price": 2.5}, "#/price"),
            ({"name": "Tea", "price": "1"}, "#/price"),
        ):
            status, _, problem = self.ask(Api.add_menu_item, body, restaurant_id="1")
            self.assertEqual((status, problem["errors"][0]["pointer"]), (422, pointer), body)
