"""Backends in a status, in the shape of an answer to a change."""

from __future__ import annotations

from typing import Any

from lbproxy.cli.client import Failed


class Gone(Failed):
    """Who is asked for is not there any more.

    Attributes:
        names: The pool's and its own.
    """

    def __init__(self, pool: str, name: str) -> None:
        super().__init__(f"{pool}/{name} is not there any more")
        self.names = pool, name


def one(status: dict[str, Any], pool: str, backend: str) -> dict[str, Any]:
    """A backend by its own name.

    Raises:
        Gone: If it is not there any more.
    """
    return _found(status, pool, backend, ("name",))


def named(status: dict[str, Any], pool: str, name: str) -> dict[str, Any]:
    """A backend, or all members of one in the config.

    Raises:
        Gone: If none is there any more.
    """
    return _found(status, pool, name, ("name", "configured_name"))


def is_idle(told: dict[str, Any]) -> bool:
    """Whether nothing is in flight, in any worker, as far as all have told."""
    return bool(told["complete"]) and in_flight(told) == 0


def in_flight(told: dict[str, Any]) -> int:
    """What is, at all of them together."""
    return sum(each["in_flight"] for each in told["backends"])


def _found(status: dict[str, Any], pool: str, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    found = [
        entry
        for each in status["pools"]
        for entry in each["backends"]
        if each["name"] == pool and name in [entry[key] for key in keys]
    ]
    if not found:
        raise Gone(pool, name)
    told = {"pool": pool, "name": name, "backends": found, "complete": status["complete"]}
    return {**told, "backend": found[0]} if found[0]["name"] == name else told
