"""What a probe makes of a backend's answer, told by `/health` over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.origin import OK, Origin, Wire, balancer

HEALTH = b"GET /health HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
PROBES = '{ path = "/ready", interval = 60.0, timeout = 0.3, rise = 1, fall = 1 }'


def saying(answer: bytes) -> Callable[[Wire], None]:
    """Answer so."""
    return lambda wire: wire.send(answer)


def endless(wire: Wire) -> None:
    """Send a body until nobody wants it."""
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        wire.send(b"1\r\na\r\n")


def silent(wire: Wire) -> None:
    """Answer nothing."""
    wire.rest()


def probed(folder: Path, origin: Origin) -> dict[str, Any]:
    """The first probe of a backend, as `/health` reports it."""
    with balancer(folder, origin, health=PROBES) as proxy:  # It listens after the first round.
        document = json.loads(proxy.ask(HEALTH).partition(b"\r\n\r\n")[2])
        told: dict[str, Any] = document["pools"][0]["backends"][0]
        return told


@pytest.mark.parametrize(
    ("act", "passed", "detail"),
    [
        (saying(OK), True, "answered 200"),
        (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), True, "answered 204"),
        (
            saying(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
            False,
            "answered 500",
        ),
        (
            saying(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"),
            False,
            "answered 302",
        ),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), False, "SSH-2.0"),
        (silent, False, "no answer in 0.3 s"),
        (endless, False, "no answer in 0.3 s"),
    ],
    ids=["200", "204", "500", "redirect", "garbage", "silent", "endless"],
)
def test_answers(tmp_path: Path, act: Callable[[Wire], None], passed: bool, detail: str) -> None:
    """A whole answer of 2xx in time is a pass, and all else is a failure."""

    def run(origin: Origin, wire: Wire) -> None:
        if origin.request(wire):
            act(wire)

    origin = Origin(run)
    told = probed(tmp_path, origin)
    probe = told["last_probe"]
    assert probe["passed"] is passed
    assert told["state"] == ("up" if passed else "down")
    assert detail in probe["detail"]
    # Asked where the config says, and at no other place that the answer names.
    assert {head.split(b" ")[1] for head in origin.heads} == {b"/ready"}
    assert f"\r\nHost: 127.0.0.1:{origin.port}\r\n".encode() in origin.heads[0]


def test_refused(tmp_path: Path) -> None:
    """A refused connection is a failure, and says so."""
    origin = Origin(lambda origin, wire: None)
    origin.close()
    told = probed(tmp_path, origin)
    assert (told["state"], told["last_probe"]["passed"]) == ("down", False)
    assert "refused" in told["last_probe"]["detail"]
