"""What follows when an attempt fails, by the retry table, over real sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer, polite, script

END = b"Host: shop\r\nConnection: close\r\n\r\n"
GET = b"GET / HTTP/1.1\r\n" + END
PUT = b"PUT / HTTP/1.1\r\nContent-Length: 0\r\n" + END
POST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n" + END
KEYED = b"POST / HTTP/1.1\r\nIdempotency-Key: k1\r\nContent-Length: 0\r\n" + END
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"


def hang_up(wire: Wire) -> None:
    """Close without an answer."""


def stall(wire: Wire) -> None:
    """Answer nothing until the balancer gives up."""
    wire.rest()


def refuse(wire: Wire) -> None:
    """Say that there is too much to do."""
    wire.send(UNAVAILABLE)
    wire.head()


def records(of: Balancer) -> list[dict[str, Any]]:
    """The access log of a balancer that has stopped."""
    return [json.loads(line) for line in of.log.read_text().splitlines()]


def attempts(record: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """What was tried: backend, outcome, and what was decided on a failure."""
    return [
        (attempt["backend"], attempt["outcome"], attempt.get("decision"))
        for attempt in record["attempts"]
    ]


@pytest.mark.parametrize("request_", [GET, PUT, POST, KEYED])
def test_refused(tmp_path: Path, request_: bytes) -> None:
    """Before anything was sent, any method goes to the other backend."""
    gone, other = Origin(polite), Origin(polite)
    gone.close()
    with balancer(tmp_path, gone, other) as proxy:
        answer = proxy.ask(request_)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"X-Served-By: b\r\n" in answer
    tried = [("a", "connect_failed", "retry"), ("b", "answered", None)]
    assert attempts(records(proxy)[0]) == tried


@pytest.mark.parametrize(
    ("request_", "status", "decision"),
    [
        (GET, b"200", "retry"),
        (PUT, b"200", "retry"),
        (POST, b"502", "not_safe"),
        (KEYED, b"200", "retry"),
    ],
)
def test_closed_without_answer(
    tmp_path: Path, request_: bytes, status: bytes, decision: str
) -> None:
    """After sending, only what may be done twice goes to the other backend."""
    first, other = Origin(script(hang_up)), Origin(polite)
    with balancer(tmp_path, first, other) as proxy:
        answer = proxy.ask(request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert len(other.heads) == (status == b"200")
    assert attempts(records(proxy)[0])[0] == ("a", "upstream_closed", decision)


@pytest.mark.parametrize(
    ("request_", "status"), [(GET, b"200"), (PUT, b"504"), (POST, b"504"), (KEYED, b"200")]
)
def test_no_first_byte(tmp_path: Path, request_: bytes, status: bytes) -> None:
    """A backend that keeps silent: what is safe goes elsewhere, the rest is a 504."""
    first, other = Origin(script(stall)), Origin(polite)
    with balancer(tmp_path, first, other, pool="timeouts = { first_byte = 0.2 }") as proxy:
        answer = proxy.ask(request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert len(other.heads) == (status == b"200")


@pytest.mark.parametrize(
    ("request_", "status"), [(GET, b"200"), (PUT, b"200"), (POST, b"503"), (KEYED, b"200")]
)
def test_gateway_status(tmp_path: Path, request_: bytes, status: bytes) -> None:
    """A 503 on a route that says so: what may be done twice goes elsewhere."""
    first, other = Origin(script(refuse)), Origin(polite)
    with balancer(tmp_path, first, other) as proxy:
        answer = proxy.ask(request_)
    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("request_", "status"), [(GET, b"200"), (PUT, b"200"), (POST, b"502"), (KEYED, b"200")]
)
def test_keep_alive_race(tmp_path: Path, request_: bytes, status: bytes) -> None:
    """A kept-alive connection that closes with no byte of answer: a new one, if that is safe."""

    def once(origin: Origin, wire: Wire) -> None:
        origin.request(wire)
        wire.send(OK)
        origin.request(wire)  # The next request gets no answer.

    origin = Origin(once)
    with balancer(tmp_path, origin) as proxy:
        assert proxy.ask(GET).startswith(b"HTTP/1.1 200 ")
        answer = proxy.ask(request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    decision = "retry_free" if status == b"200" else "not_safe"
    first = attempts(records(proxy)[1])[0]
    assert first == ("a", "reused_connection_closed", decision)


def test_cut(tmp_path: Path) -> None:
    """An answer that breaks off is not made whole, and not retried."""
    first, other = (
        Origin(script(lambda wire: wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))),
        Origin(polite),
    )
    with balancer(tmp_path, first, other) as proxy:
        answer = proxy.ask(GET)
    assert b"Content-Length: 9\r\n" in answer and answer.endswith(b"\r\n\r\nabc")
    assert other.heads == []
    assert records(proxy)[0]["reason"] == "answer_cut"


def test_cut_chunked(tmp_path: Path) -> None:
    """A chunked answer that breaks off gets no last chunk."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    with balancer(tmp_path, Origin(script(lambda wire: wire.send(chunked)))) as proxy:
        answer = proxy.ask(GET)
    assert answer.endswith(b"\r\n3\r\nabc\r\n")


def test_long_body(tmp_path: Path) -> None:
    """A body of more than 64 KiB is not kept, so it is not sent again, and the log says so."""
    body = b"x" * 100_000

    def read_and_hang_up(wire: Wire) -> None:
        assert wire.exactly(len(body)) == body

    request = b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + END + body
    other = Origin(polite)
    with balancer(tmp_path, Origin(script(read_and_hang_up)), other) as proxy:
        assert proxy.ask(request).startswith(b"HTTP/1.1 502 ")
    assert attempts(records(proxy)[0]) == [("a", "upstream_closed", "body_not_kept")]
    assert other.heads == []


def test_short_body(tmp_path: Path) -> None:
    """A short body is sent again as it came."""
    bodies = []

    def keep(origin: Origin, wire: Wire) -> None:
        while origin.request(wire):
            bodies.append(wire.exactly(5))
            wire.send(OK)

    request = b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n" + END + b"hello"
    with balancer(tmp_path, Origin(script(hang_up)), Origin(keep)) as proxy:
        assert proxy.ask(request).startswith(b"HTTP/1.1 200 ")
    assert bodies == [b"hello"]


def test_all_down(tmp_path: Path) -> None:
    """With no backend at all the client gets a problem document, and when to come again."""
    origins = Origin(polite), Origin(polite)
    for origin in origins:
        origin.close()
    with balancer(tmp_path, *origins) as proxy:
        head, _, body = proxy.ask(GET).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in head
    assert b"\r\nContent-Type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["reason"]) == (503, "no_backend")
