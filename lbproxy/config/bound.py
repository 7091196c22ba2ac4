"""What a config binds: what of it cannot be had, whatever else is right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import attrs

from lbproxy.config.endpoint import Place, endpoint, place
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


def _place(description: str) -> Place | None:
    """The place of an endpoint; `None` if nobody else can be there."""
    found = place(description.removeprefix("haproxy:"))
    if found.port:
        # Whether all of IPv6 is all of IPv4 too is for the machine to say (`ipv6(7)`).
        kind = "tcp6" if ":" in found.host else "tcp"
        return attrs.evolve(found, kind=kind) if int(found.port) else None
    return attrs.evolve(found, path=found.path and os.path.abspath(found.path))


def _meet(one: str, other: str) -> bool:
    here, there = _place(one), _place(other)
    if here is None or there is None:
        return False
    if attrs.evolve(here, host="") != attrs.evolve(there, host=""):
        return False
    return here.host == there.host or here.host in _ALL or there.host in _ALL
