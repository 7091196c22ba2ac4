"""Both backends answer alike, and what is written through one is read through the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, frozen

from ordering.calls import BODY_LIMIT
from ordering.operations import OPERATIONS
from tests.backends.exchange import Reply, ask, ask_once, connect
from tests.processes import Process, start_backend

JSON = {"Content-Type": "application/json"}
ORDER = {"restaurant_id": 1, "items": [{"item_id": 1, "quantity": 1}]}
CLOSED = {"restaurant_id": 4, "items": [{"item_id": 13, "quantity": 1}]}
SOLD_OUT = {"restaurant_id": 3, "items": [{"item_id": 10, "quantity": 1}]}


@frozen
class Case:
    """A request that changes nothing, and the status of its answer."""

    status: int
    method: str
    target: str
    body: Any = None
    fields: dict[str, str] = Factory(dict)


CASES = [
    Case(200, "GET", "/api/restaurants"),
    Case(200, "HEAD", "/api/restaurants"),
    Case(200, "GET", "/api/restaurants?unknown=1"),
    Case(200, "GET", "/api/restaurants/1"),
    Case(200, "GET", "/api/restaurants/%31"),
    Case(200, "GET", "/api/restaurants/2/menu"),
    Case(200, "GET", "/api/orders"),
    Case(200, "GET", "/api/orders?limit=1&status=placed"),
    Case(200, "GET", "/api/notifications"),
    Case(200, "GET", "/api/notifications?after=0"),
    Case(400, "GET", "/api/orders?limit=x"),
    Case(400, "GET", "/api/orders?after=%FF"),
    Case(400, "GET", "/api/notifications?after=-1"),
    Case(404, "GET", "/"),
    Case(404, "GET", "/api"),
    Case(404, "GET", "/api/restaurants/"),
    Case(200, "GET", "//api/restaurants"),
    Case(404, "GET", "/api//restaurants"),
    Case(404, "GET", "/api/restaurants/99"),
    Case(404, "GET", "/api/restaurants/x", fields={"X-Request-Id": "abc-1"}),
    Case(404, "GET", "/api/restaurants/%E3%81%99"),
    Case(404, "GET", "/api/restaurants/%FF"),
    Case(404, "GET", "/api/restaurants/1%2Fmenu%2Fitems%2F1"),
    Case(404, "GET", "/api/restaurants/99/menu"),
    Case(404, "GET", "/api/orders/none"),
    Case(404, "GET", "/api/orders/%FF?x=%FF"),
    Case(404, "HEAD", "/nothing"),
    Case(404, "GET", "/static/x"),
    Case(404, "PATCH", "/api/orders/none/status", {"status": "accepted"}),
    Case(405, "DELETE", "/api/orders"),
    Case(405, "OPTIONS", "/api/orders"),
    Case(405, "POST", "/health", b""),
    Case(405, "GET", "/api/orders/none/status"),
    Case(405, "PUT", "/api/restaurants/1", ORDER),
    Case(405, "BREW", "/api/restaurants"),
    Case(409, "POST", "/api/orders", CLOSED),
    Case(409, "POST", "/api/orders", SOLD_OUT),
    Case(413, "POST", "/api/orders", b" " * (BODY_LIMIT + 1), JSON),
    Case(400, "POST", "/api/orders", b" " * BODY_LIMIT, JSON),
    Case(415, "POST", "/api/orders", b"{}"),
    Case(415, "POST", "/api/orders", b"a=b", {"Content-Type": "text/plain"}),
    Case(415, "POST", "/api/orders", b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
    Case(415, "POST", "/api/orders", b"{}", {**JSON, "Content-Encoding": "gzip"}),
    Case(422, "POST", "/api/orders", b"{}", {"Content-Type": "Application/JSON; charset=utf-8"}),
    Case(400, "POST", "/api/orders", b"", JSON),
    Case(400, "POST", "/api/orders", b"{", JSON),
    Case(400, "POST", "/api/orders", b'{"note": "\xff"}', JSON),
    Case(400, "POST", "/api/orders", b'{"note": "\\ud800"}', JSON),
    Case(422, "POST", "/api/orders", b"[" * 20000, JSON),
    Case(422, "POST", "/api/orders", {**ORDER, "more": 1}),
    Case(422, "POST", "/api/orders", {"restaurant_id": 1, "items": [{"item_id": 1}]}),
    Case(422, "POST", "/api/orders", {"restaurant_id": 99, "items": ORDER["items"]}),
    Case(422, "POST", "/api/restaurants", {"name": ""}),
    Case(422, "POST", "/api/restaurants/1/menu/items", {"name": "Tea", "price": -1}),
    Case(400, "POST", "/api/orders", ORDER, {"Idempotency-Key": "a b"}),
    Case(422, "POST", "/api/orders", ORDER, {"Idempotency-Key": "taken"}),
    Case(422, "PATCH", "/api/orders/none/status", {"status": "lost"}),
]


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Process]]:
    """Klein and Flask over one store, where the key `taken` stands for another order."""
    store: Path = tmp_path_factory.mktemp("store") / "shop.db"
    with start_backend("klein", store) as klein, start_backend("flask", store) as flask:
        taken = {**ORDER, "note": "first"}
        placed = ask_once(klein.port, "POST", "/api/orders", taken, Idempotency_Key="taken")
        assert placed.status == 201
        yield klein, flask


def known(operation: Any) -> str:
    """A target that an operation's route fits."""
    path: str = operation.path
    return path.replace("<restaurant_id>", "1").replace("<order_id>", "x")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status} {case.method}")
def test_alike(backends: tuple[Process, Process], case: Case) -> None:
    """Status, fields and body are the same to the byte, and errors are problem documents."""
    klein, flask = (
        ask_once(backend.port, case.method, case.target, case.body, **case.fields)
        for backend in backends
    )
    assert klein == flask
    assert klein.status == case.status
    fields = dict(klein.fields)
    problem = case.status >= 400
    assert fields["content-type"] == f"application/{'problem+' if problem else ''}json"
    if case.method == "HEAD":
        assert (klein.body, int(fields["content-length"]) > 0) == (b"", True)
        return
    assert int(fields["content-length"]) == len(klein.body)
    if problem:
        document = klein.json
        assert document["status"] == case.status
        assert document["instance"] == case.target.partition("?")[0]
        assert document.get("requestId") == case.fields.get("X-Request-Id")
        assert ("allow" in fields) == (case.status == 405)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_routed(backends: tuple[Process, Process], operation: Any) -> None:
    """Every operation is there, and its path names its method when asked with a wrong one."""
    for backend in backends:
        wrong = ask_once(backend.port, "TRACE", known(operation))
        assert operation.method in dict(wrong.fields)["allow"].split(", ")


@pytest.mark.parametrize("first", [0, 1], ids=["klein", "flask"])
def test_read_through_the_other(backends: tuple[Process, Process], first: int) -> None:
    """What one backend has answered for is what the other tells at once."""
    one, other = backends[first], backends[1 - first]
    restaurant = ask_once(one.port, "POST", "/api/restaurants", {"name": "Día y Noche"})
    where = dict(restaurant.fields)["location"]
    assert ask_once(other.port, "GET", where).json == restaurant.json
    tea = {"name": "Té", "price": 250}
    dish = ask_once(other.port, "POST", f"{where}/menu/items", tea).json
    assert ask_once(one.port, "GET", f"{where}/menu").json["items"] == [dish]
    order = {
        "restaurant_id": restaurant.json["id"],
        "items": [{"item_id": dish["id"], "quantity": 2}],
    }
    placed = ask_once(one.port, "POST", "/api/orders", order, Idempotency_Key=f"{first}")
    again = ask_once(other.port, "POST", "/api/orders", order, Idempotency_Key=f"{first}")
    assert again == Reply(
        201, sorted([*placed.fields, ("idempotency-replayed", "true")]), placed.body
    )
    path = dict(placed.fields)["location"]
    assert ask_once(other.port, "GET", path).body == placed.body
    moved = ask_once(other.port, "PATCH", f"{path}/status", {"status": "accepted"})
    assert moved.json["status"] == "accepted"
    assert ask_once(one.port, "GET", "/api/orders?limit=1").json["orders"] == [moved.json]
    told = ask_once(one.port, "GET", "/api/notifications").json["notifications"]
    assert [(n["order_id"], n["status"]) for n in told[-2:]] == [
        (placed.json["id"], "placed"),
        (placed.json["id"], "accepted"),
    ]


def test_placed_at_once(backends: tuple[Process, Process]) -> None:
    """Orders placed through both at the same time are all made, those with one key once."""
    before = ask_once(backends[0].port, "GET", "/api/notifications").json["last"]

    def place(number: int) -> str:
        backend = backends[number % 2]
        key = f"pair-{number // 4}"
        placed = ask_once(backend.port, "POST", "/api/orders", ORDER, Idempotency_Key=key)
        assert placed.status == 201
        identity: str = placed.json["id"]
        return identity

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(place, range(80)))
    assert all(len(set(ids[start : start + 4])) == 1 for start in range(0, 80, 4))
    told = ask_once(backends[1].port, "GET", f"/api/notifications?after={before}&limit=200").json
    assert sorted(one["order_id"] for one in told["notifications"]) == sorted(set(ids))


def test_chunked_body(backends: tuple[Process, Process]) -> None:
    """A body that does not tell its length is read, up to the same limit."""
    for backend in backends:
        for size, status in ((1, 409), (BODY_LIMIT + 1, 413)):
            text = json.dumps(CLOSED).encode().ljust(size)
            connection = connect(backend.port)
            connection.request(
                "POST", "/api/orders", iter([text[:9], text[9:]]), JSON, encode_chunked=True
            )
            assert connection.getresponse().status == status
            connection.close()


def test_kept_alive(backends: tuple[Process, Process]) -> None:
    """A connection serves request after request, refusals among them."""
    for backend in backends:
        connection = connect(backend.port)
        socket = connection.sock
        for case in CASES[:40]:
            ask(connection, case.method, case.target, case.body, case.fields)
        assert connection.sock is socket
        connection.close()
