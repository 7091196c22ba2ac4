"""What `GET /status` says: the health report, and what is only for those who run the balancer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lbproxy.balance.backend import Backend, moment
from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.control.link import Names
from lbproxy.control.overrides import Kind, Override
from lbproxy.control.parent import Parent
from lbproxy.discovery.members import configured_name
from lbproxy.health.slow_start import share

#: Whether the balancer can start a backend anew itself.
Supervised = Callable[[model.Backend], bool]


def document(parent: Parent, complete: bool, supervised: Supervised) -> dict[str, Any]:
    """All of it, fit for JSON.

    Args:
        parent: Knows it.
        complete: Whether all workers have told what they have under way; else it may be more.
        supervised: Tells of each backend.
    """
    told = parent.document()
    told["now"] = moment(parent.now)
    told["complete"] = complete
    told["listeners"] = _listeners(parent)
    for pool, each in zip(parent.pools, told["pools"], strict=True):
        each["probed"] = pool.config.health is not None
        for backend, entry in zip(pool.backends, each["backends"], strict=True):
            entry |= _more(parent, pool, backend, supervised)
    return told


def named(parent: Parent, names: Names, supervised: Supervised) -> list[dict[str, Any]]:
    """What the document says of one backend, or of all members of one."""
    pool, found = parent.named(names[1], names[0])
    return [{**each.report(parent.now), **_more(parent, pool, each, supervised)} for each in found]


def _more(parent: Parent, pool: Pool, backend: Backend, supervised: Supervised) -> dict[str, Any]:
    names = pool.name, backend.name
    seconds = pool.config.slow_start
    warm = not backend.starting or share(backend.since, parent.now, seconds) >= 1.0
    return {
        "configured_name": configured_name(backend.name),
        "configured_weight": backend.config.weight,
        "backup": backend.config.backup,
        "available": backend.available,
        "starting": not warm,
        "supervised": supervised(backend.config),
        "drain": _held(parent, names, Kind.DRAIN),
        "override": _held(parent, names, Kind.WEIGHT),
    }


def override(override: Override) -> dict[str, Any]:
    """What somebody has changed."""
    return {
        "backend": override.backend,
        "weight": override.weight,
        "author": override.note.author,
        "reason": override.note.reason,
        "since": moment(override.since),
        "until": None if override.until is None else moment(override.until),
    }


def _held(parent: Parent, names: Names, kind: Kind) -> dict[str, Any] | None:
    held = parent.overrides.of(names, kind)
    return None if held is None else override(held)


def _listeners(parent: Parent) -> list[dict[str, Any]]:
    listeners = parent.config.listeners
    return [
        {
            "name": listener.name,
            "mode": listener.mode,
            "endpoint": listener.endpoint,
            "address": parent.addresses.get(listener.name),
        }
        for listener in listeners
    ]
