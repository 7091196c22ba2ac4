"""One request to a backend, and all of its answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from tests.processes import PATIENCE


@frozen
class Reply:
    """An answer.

    Attributes:
        fields: Sorted, their names in lower case, without those that belong to the server
            (`Date`, `Server`) or to the connection.
    """

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


def connect(port: int) -> http.client.HTTPConnection:
    """Open a connection, on which nothing waits for ever."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.connect()
    return connection


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: object = None,
    fields: Mapping[str, str] | None = None,
) -> Reply:
    """Send a request and read the answer.

    Args:
        connection: Stays open if the server lets it.
        method: Of the request.
        target: Of the request.
        body: Bytes as they are; anything else but None as JSON, with its content type.
        fields: More header fields.
    """
    sent = dict(fields or {})
    if body is not None and not isinstance(body, bytes):
        sent.setdefault("Content-Type", "application/json")
        body = json.dumps(body).encode()
    connection.request(method, target, body, sent)
    answer = connection.getresponse()
    own = sorted(
        (name.lower(), value)
        for name, value in answer.getheaders()
        if name.lower() not in ("date", "server", "connection")
    )
    return Reply(answer.status, own, answer.read())


def ask_once(port: int, method: str, target: str, body: object = None, **fields: str) -> Reply:
    """Ask on a connection of its own; underscores in the fields' names stand for hyphens."""
    connection = connect(port)
    try:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return ask(connection, method, target, body, named)
    finally:
        connection.close()
