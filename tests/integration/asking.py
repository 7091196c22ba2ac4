"""The shop's API, asked as its page does."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from attrs import frozen

from tests.processes import PATIENCE


@frozen
class Reply:
    """An answer, its JSON read."""

    status: int
    fields: Mapping[str, str]
    value: Any


def ask(port: int, method: str, path: str, body: object = None, key: str | None = None) -> Reply:
    """Send a request on a connection of its own.

    Args:
        port: Of the loopback address.
        method: Of the request.
        path: Of the request, with the query.
        body: Sent as JSON; None is none.
        key: The `Idempotency-Key`.

    Raises:
        OSError: If there was no whole answer; or `http.client.HTTPException`.
    """
    fields = {"Content-Type": "application/json"} if body is not None else {}
    if key is not None:
        fields["Idempotency-Key"] = key
    content = None if body is None else json.dumps(body)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, content, fields)
        answer = connection.getresponse()
        text = answer.read()
    names = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, names, json.loads(text))
