"""The store: one SQLite file that several processes read and write at once.

The first process to open it makes the tables and fills them; who comes at the same moment waits.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, TimeoutError

from ordering.problems import StoreUnavailable
from ordering.schema import VERSION, metadata
from ordering.seed import seed

T = TypeVar("T")

DEFAULT_URL = "sqlite:///var/ordering.db"

# Before 3.51.3, WAL can corrupt a file that two processes write and checkpoint at once.
JOURNAL = "WAL" if sqlite3.sqlite_version_info >= (3, 51, 3) else "TRUNCATE"

PATIENCE = 5.0
"""Seconds to wait for another process's transaction, or for a free connection."""

_log = logging.getLogger("ordering")


class StoreError(Exception):
    """A store that cannot be used; says in one line what to do."""


class Store:
    """Runs work in transactions, from any thread.

    Attributes:
        path: Where the file is.
        journal: The mode of its journal, as SQLite reports it.
    """

    def __init__(self, url: str, connections: int) -> None:
        """Open it; make and fill it if there is none.

        Args:
            url: `sqlite:///` and a path; relative ones start from the working directory.
            connections: How many threads may use it at once.

        Raises:
            StoreError: If it cannot be opened, or is not a store that this program understands.
        """
        self.path = _path_of(url)
        self.journal = ""
        self._engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
            pool_size=connections,
            max_overflow=0,
            pool_timeout=PATIENCE,
            # The driver would begin transactions by itself, and none for a SELECT.
            connect_args={"timeout": PATIENCE, "isolation_level": None},
        )
        # A read that turns into a write fails at once if another write came between, however
        # patient the connection: so writes say from the start what they are.
        self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        event.listen(self._engine, "connect", self._connected)
        event.listen(self._engine, "begin", _begin)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._writing.begin() as connection:
                self._prepare(connection)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise StoreError(f"Cannot make the folder {self.path.parent}: {reason}.") from error
        except DatabaseError as error:
            raise StoreError(f"Cannot use the store {self.path}: {error.orig}.") from error

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, on one state of the store.

        Raises:
            StoreUnavailable: If the store does not answer.
        """
        return self._run(self._engine.begin, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work`: all that it changes is there for every process, or nothing.

        Raises:
            StoreUnavailable: If the store does not answer, or takes no more; nothing was changed.
        """
        return self._run(self._writing.begin, work)

    def check(self) -> None:
        """See that the store answers.

        Raises:
            StoreUnavailable: If it does not.
        """
        self.read(_version)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _run(self, begin: Callable[[], Any], work: Callable[[Connection], T]) -> T:
        try:
            with begin() as connection:
                return work(connection)
        except IntegrityError:
            raise
        except (DatabaseError, TimeoutError) as error:
            cause = error.orig if isinstance(error, DatabaseError) else "no connection is free"
            _log.error("store %s: %s", self.path, cause)
            raise StoreUnavailable(
                "The store does not answer at the moment. Nothing was changed.",
                fields=[("Retry-After", "1")],
            ) from error

    def _connected(self, connection: sqlite3.Connection, record: object) -> None:
        self.journal = connection.execute(f"PRAGMA journal_mode={JOURNAL}").fetchone()[0]
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    def _prepare(self, connection: Connection) -> None:
        version = _version(connection)
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if version == VERSION:
            return
        if version == 0 and tables == 0:
            metadata.create_all(connection, checkfirst=False)
            seed(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={VERSION}")
        elif version == 0:
            raise StoreError(f"{self.path} is not a store of this service; name another file.")
        else:
            age = "a newer" if version > VERSION else "an older"
            raise StoreError(
                f"The store {self.path} was made by {age} version of this program "
                f"(schema {version}, this one has {VERSION}); name another file."
            )


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _path_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StoreError(f"DATABASE_URL must be sqlite:/// and the path of a file, not {url!r}.")
    return Path(str(parsed.database)).absolute()
