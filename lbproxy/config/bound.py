"""What a config binds: what of it cannot be had, whatever else is right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import attrs

from lbproxy.config.endpoint import endpoint, parts
from lbproxy.config.kinds import Wrong, shown
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake, key_path
from lbproxy.config.model import Admin
from lbproxy.transport.passed import missing

#: Addresses that stand for all of a machine, of either version.
_ALL = ("", "0.0.0.0", "::")


def meeting(document: dict[str, Any]) -> Iterator[Mistake]:
    """Find endpoints that cannot both be bound.

    Args:
        document: What `tomllib` gave.
    """
    found: list[tuple[Path, str]] = []
    admin = document.get("admin", {})
    if isinstance(admin, dict) and "endpoint" not in admin:
        found.append((("admin", "endpoint"), Admin().endpoint or ""))
    for path, description in _endpoints(document):
        for earlier, other in found:
            if description == other:
                yield Mistake(path, f"{shown(description)} is {key_path(earlier)} already")
                break
            if _meet(description, other):
                beside = f"{key_path(earlier)}, which is {shown(other)}"
                yield Mistake(path, f"{shown(description)} cannot be bound beside {beside}")
                break
        else:
            found.append((path, description))


def not_passed(document: dict[str, Any]) -> Iterator[Mistake]:
    """Find sockets of systemd's that this process was not given: only who is to listen can know.

    Args:
        document: What `tomllib` gave.
    """
    for path, description in _endpoints(document):
        inner = description.removeprefix("haproxy:")
        reason = missing(inner) if inner.startswith("systemd:") else None
        if reason is not None:
            yield Mistake(path, reason)


def _endpoints(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Those that are well written, each with its path."""
    listeners = document.get("listeners")
    tables: list[tuple[Path, Any]] = []
    if isinstance(listeners, dict):
        tables += [(("listeners", name), each) for name, each in listeners.items()]
    for path, table in (*tables, (("admin",), document.get("admin"))):
        try:
            yield (*path, "endpoint"), endpoint(table["endpoint"])
        except (Wrong, KeyError, TypeError):  # It is told elsewhere.
            continue


@attrs.frozen
class _Place:
    """Where an endpoint is.

    Attributes:
        kind: What `name` is one of.
        name: A port, a path, or the name or index of a socket of systemd's.
        host: Of a port, its address.
    """

    kind: str
    name: str
    host: str = ""


def _place(description: str) -> _Place | None:
    """The place of an endpoint; `None` if nobody else can be there."""
    kind, words, named = parts(description.removeprefix("haproxy:"))
    said = [*words, "", ""]
    if kind == "unix":
        return _Place(kind, os.path.abspath(named.get("address", said[0])))
    if kind == "systemd":
        index, name = (named.get(key) for key in ("index", "name"))
        return _Place(kind, f"name {name}" if name is not None else f"index {index or said[1]}")
    port = named.get("port", said[0])
    host = named.get("interface", said[1]) or ("::" if kind == "tcp6" else "")
    # Whether all of IPv6 is all of IPv4 too is for the machine to say (`ipv6(7)`).
    return _Place("tcp6" if ":" in host else "tcp", port, host) if int(port) else None


def _meet(one: str, other: str) -> bool:
    place, there = _place(one), _place(other)
    if place is None or there is None or (place.kind, place.name) != (there.kind, there.name):
        return False
    return place.host == there.host or place.host in _ALL or there.host in _ALL
