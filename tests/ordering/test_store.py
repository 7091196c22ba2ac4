"""The store: opened, refused, and kept whole."""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection
from twisted.trial.unittest import SynchronousTestCase

from ordering.api import Api
from ordering.model import NewRestaurant
from ordering.restaurants import add_restaurant, list_restaurants
from ordering.schema import VERSION
from ordering.store import JOURNAL, Store, StoreError
from tests.ordering.service import ServiceTestCase, new_path, order


class OpenTests(SynchronousTestCase):
    """What can be opened, and what cannot."""

    def setUp(self) -> None:
        """Name a file."""
        self.path = new_path(self)

    def open(self) -> Store:
        """Open the store in it."""
        store = Store(f"sqlite:///{self.path}", 2)
        self.addCleanup(store.close)
        return store

    def test_kept(self) -> None:
        """A store that is there is neither filled again nor emptied."""
        self.open().write(lambda connection: add_restaurant(connection, NewRestaurant("X")))
        self.assertEqual(len(self.open().read(list_restaurants).restaurants), 5)

    def test_durable(self) -> None:
        """The journal is the safe one for this SQLite, and a commit waits for the disk."""
        store = self.open()
        self.assertEqual(store.journal.upper(), JOURNAL)

        def settings(connection: Connection) -> list[object]:
            names = ("synchronous", "foreign_keys", "busy_timeout")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        self.assertEqual(store.read(settings), [2, 1, 5000])

    def test_folder(self) -> None:
        """The folder is made; where there cannot be one, one line says so."""
        self.path = self.path / "a" / "b.db"
        self.open()
        self.path = self.path / "c.db"
        self.assertNotIn("\n", str(self.assertRaises(StoreError, self.open)))

    def test_no_database(self) -> None:
        """A file of another kind is refused, and stays as it was."""
        self.path.write_text("Something else entirely.\n" * 100)
        self.assertIn("not a database", str(self.assertRaises(StoreError, self.open)))
        self.assertTrue(self.path.read_text().startswith("Something else"))

    def test_foreign(self) -> None:
        """Somebody else's database is refused."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        self.assertIn("is not a store", str(self.assertRaises(StoreError, self.open)))

    def test_versions(self) -> None:
        """A store of another version is refused, and the message says which is older."""
        self.open()
        for version, word in ((VERSION + 1, "newer"), (-1, "older")):
            with sqlite3.connect(self.path) as connection:
                connection.execute(f"PRAGMA user_version={version}")
            self.assertIn(word, str(self.assertRaises(StoreError, self.open)))

    def test_urls(self) -> None:
        """Only files of SQLite can be named."""
        for url in ("", "x", "sqlite://", "sqlite:///:memory:", "postgresql://localhost/x"):
            error = self.assertRaises(StoreError, Store, url, 1)
            self.assertIn("DATABASE_URL", str(error))


class FailureTests(ServiceTestCase):
    """A store that stops working."""

    def test_full(self) -> None:
        """A full disk is 503 with Retry-After; nothing is half done, and reading goes on."""

        def fill(connection: Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        self.store.read(fill)
        codes = []
        while 503 not in codes:
            status, fields, _ = self.ask(Api.place_order, order((1, 1), note="x" * 2000))
            codes.append(status)
        self.assertEqual(fields["Retry-After"], "1")
        page = self.ask(Api.list_orders, query="?limit=200")[2]
        self.assertEqual(len(page["orders"]), len(codes) - 1)
        self.assertEqual(self.ask(Api.list_notifications)[2]["last"], len(codes) - 1)

    def test_all_or_nothing(self) -> None:
        """Work that raises leaves nothing behind."""

        def work(connection: Connection) -> None:
            add_restaurant(connection, NewRestaurant("X"))
            raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, self.store.write, work)
        self.assertEqual(len(self.store.read(list_restaurants).restaurants), 4)

    def test_ready(self) -> None:
        """A backend is ready until it drains; it is alive all the while."""
        self.assertEqual(self.ask(Api.ready)[0], 200)
        self.api.draining = True
        status, fields, problem = self.ask(Api.ready)
        self.assertEqual((status, problem["reason"]), (503, "draining"))
        self.assertIn("Retry-After", fields)
        self.assertEqual(self.ask(Api.health)[0], 200)
