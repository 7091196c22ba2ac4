"""How the answers of the admin listener read for people."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows of cells, one below the other; with a line's end each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def span(seconds: float) -> str:
    """A time that has passed, in its two greatest units."""
    whole = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def command(asked: argparse.Namespace, verb: str, pool: str, name: str, *more: str) -> str:
    """A command about a backend, to be copied into a shell.

    Args:
        asked: The command line that was given, for the same balancer.
        verb: Which command.
        pool: The backend's pool.
        name: The backend.
        more: What stands behind its name.
    """
    told = ["lbproxy", verb]
    for key in ("config", "admin"):
        if getattr(asked, key) is not None:
            told += [f"--{key}", getattr(asked, key)]
    if any(each.startswith("-") for each in (pool, name)):  # It would be read as an option.
        return shlex.join([*told, f"--pool={pool}", "--", name, *more])
    return shlex.join([*told, name, *more, "--pool", pool])


def name(told: dict[str, Any], backend: dict[str, Any]) -> str:
    """A backend with its pool, of an answer to a change."""
    return f"{told['pool']}/{backend['name']}"


def subject(told: dict[str, Any]) -> str:
    """What an answer to a change is about: a backend, or how many members of one."""
    count = len(told["backends"])
    members = "" if "backend" in told else f", {count} {'member' if count == 1 else 'members'},"
    return f"{told['pool']}/{told['name']}{members}"


def weight(backend: dict[str, Any]) -> str:
    """A backend's weight, and that of the config if it is another one."""
    now, configured = backend["weight"], backend["configured_weight"]
    return str(now) if now == configured else f"{now} (config: {configured})"


def notes(backend: dict[str, Any]) -> str:
    """Whatever is special about a backend."""
    told = []
    if backend["drain"] is not None:
        told.append(f"drained {by(backend, 'drain')}")
    elif backend["draining"] and not asks_for_none(backend):
        told.append("drained by its weight in the config")
    if backend["override"] is not None:
        told.append(f"weight {backend['override']['weight']} {by(backend, 'override')}")
    if backend["says"]:
        said = (
            key if value is True else f"{key} {value}" for key, value in backend["says"].items()
        )
        told.append(f"says {', '.join(said)}")
    if backend["starting"] and backend["available"]:
        told.append("starts slowly")
    if backend["backup"]:
        told.append("backup")
    return "; ".join(told)


def breaker(pool: dict[str, Any]) -> str:
    """That a pool's breaker is not closed, to stand behind the pool's name."""
    said = {"open": "is open", "half_open": "is half-open"}.get(pool["breaker"])
    return "" if said is None else f"; its breaker {said}"


def asks_for_none(backend: dict[str, Any]) -> bool:
    """Whether a backend says itself that it wants no requests."""
    says = backend["says"]
    return "drain" in says or says.get("weight") == 0


def probe(backend: dict[str, Any]) -> str:
    """How its last probe ended."""
    last = backend["last_probe"]
    return "none" if last is None else f"{last['detail']} ({last['latency'] * 1000:.0f} ms)"


def by(backend: dict[str, Any], key: str) -> str:
    """Who has changed a backend, until when and why; and whether that is so of all members.

    Args:
        backend: As it was told.
        key: `drain` or `override`.
    """
    override = backend[key]
    reason, name = override["reason"], override["backend"]
    whole = "" if name == backend["name"] else f"with all of {name} "
    return f"{whole}by {override['author']}{until(override)}" + (f": {reason}" if reason else "")


def until(override: dict[str, Any] | None) -> str:
    """When a change is over by itself, behind what it is; empty if it is not, or is over."""
    moment = None if override is None else override["until"]
    return "" if moment is None else f" until {_local(moment)}"


def replaced(told: dict[str, Any]) -> str:
    """What a change took the place of, in lines of its own; empty if there was nothing."""
    lines = []
    for each in told["replaced"]:
        what = f"weight {each['weight']}" if each["weight"] else "drain"
        reason = each["reason"] and f": {each['reason']}"
        who = f"{each['author']} since {_local(each['since'])}"
        lines.append(f"in place of the {what} by {who}{reason}\n")
    return "".join(lines)


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
