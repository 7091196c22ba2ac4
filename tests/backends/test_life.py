"""Backends start together, stop without breaking a request, and lose nothing when killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.backends.exchange import ask, ask_once, connect
from tests.processes import PATIENCE, Process, free_port, refuses, start_backend

NAMES = ("klein", "flask")
ORDER = {
    "restaurant_id": 1,
    "items": [{"item_id": 1, "quantity": 1}, {"item_id": 2, "quantity": 3}],
}


def test_started_at_once(tmp_path: Path) -> None:
    """Four backends that find no store make one, and fill it once."""
    store = tmp_path / "new" / "shop.db"
    with ThreadPoolExecutor(4) as pool:
        backends = list(pool.map(lambda name: start_backend(name, store), NAMES * 2))
    try:
        for backend in backends:
            listed = ask_once(backend.port, "GET", "/api/restaurants").json["restaurants"]
            assert [one["id"] for one in listed] == [1, 2, 3, 4]
    finally:
        codes = [backend.stop() for backend in backends]
    assert codes == [0] * 4


@pytest.mark.parametrize("name", NAMES)
def test_killed_while_writing(tmp_path: Path, name: str) -> None:
    """After a kill every order that was answered for is there, whole, and none is half there."""
    store = tmp_path / "shop.db"
    answered: list[str] = []
    enough = threading.Event()
    with start_backend(name, store) as backend:
        port = backend.port

        def place() -> None:
            connection = connect(port)
            try:
                while True:
                    answered.append(ask(connection, "POST", "/api/orders", ORDER).json["id"])
                    if len(answered) >= 40:
                        enough.set()
            except (OSError, HTTPException):
                return  # It was killed.
            finally:
                connection.close()

        writers = [threading.Thread(target=place) for _ in range(4)]
        for writer in writers:
            writer.start()
        assert enough.wait(PATIENCE)
        backend.kill()
        for writer in writers:
            writer.join(PATIENCE)
    with start_backend(name, store, port) as again:
        for order_id in answered:
            order = ask_once(again.port, "GET", f"/api/orders/{order_id}").json
            assert len(order["items"]) == 2
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("orders", "notifications", "order_items")
        ]
    connection.close()
    assert len(answered) <= counts[0] <= len(answered) + len(writers)
    assert counts == [counts[0], counts[0], 2 * counts[0]]


@pytest.mark.parametrize("name", NAMES)
def test_stopped(tmp_path: Path, name: str) -> None:
    """Asked to stop: what has begun is finished, the exit code is 0.

    An idle connection is closed, or told by `/ready` that the backend drains.
    """
    text = json.dumps(ORDER).encode()
    head = (
        "POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n\r\n"
    )
    with start_backend(name, tmp_path / "shop.db") as backend:
        idle = connect(backend.port)
        assert ask(idle, "GET", "/ready").status == 200
        with socket.create_connection(("127.0.0.1", backend.port), PATIENCE) as begun:
            begun.sendall(head.encode() + text[:5])
            # An answer on the other connection shows that the loop has seen these bytes.
            assert ask(idle, "GET", "/health").status == 200
            backend.signal(15)
            wait_until_refused(backend.port)
            with contextlib.suppress(http.client.RemoteDisconnected, ConnectionError):
                reply = ask(idle, "GET", "/ready")
                assert (reply.status, reply.json["reason"]) == (503, "draining")
            begun.sendall(text[5:])
            answer = b"".join(iter(lambda: begun.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert backend.wait() == 0
        idle.close()


def wait_until_refused(port: int) -> None:
    """Wait until nobody listens on a port; each try waits for the kernel, not for a time."""
    for _ in range(100_000):
        if refuses(port):
            return
    raise AssertionError("somebody listens still")


@pytest.mark.parametrize("name", NAMES)
def test_one_line(tmp_path: Path, name: str) -> None:
    """What keeps a backend from starting is told in one line, and the exit code is 1."""
    program = [sys.executable, "-m", f"backend_{name}"]
    words = tmp_path / "words.db"
    words.write_text("no database\n" * 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, said in (
            (["--port", str(port), "--store", str(tmp_path / "a.db")], f"Port {port} of 127.0.0.1"),
            (["--port", "0", "--store", str(words)], "not a database"),
            (["--port", "0", "--store", str(words / "x")], "Cannot make the folder"),
        ):
            failing = Process([*program, *arguments])
            assert failing.wait() == 1
            assert said in failing.output
            assert failing.output.count("\n") == 0
            assert failing.output.startswith(f"backend_{name}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["flask", "--app", "backend_flask", "run", "--port"],
        ["twistd", "-n", "--pidfile=", "web", "--class=backend_klein.resource", "--listen"],
    ],
    ids=["flask", "twistd"],
)
def test_framework_command(tmp_path: Path, arguments: list[str]) -> None:
    """Each framework's own command starts its backend."""
    port = free_port()
    shown = f"tcp:{port}:interface=127.0.0.1" if "twistd" in arguments else str(port)
    program = Path(sys.executable).with_name(arguments[0])
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'shop.db'}"}
    with Process([program, *arguments[1:], shown], environment=environment) as server:
        server.wait_for_line(r"Running on http|Starting factory|starting on \d+")
        assert ask_once(port, "GET", "/ready").status == 200
        assert ask_once(port, "POST", "/api/orders", ORDER).status == 201
