"""Keys of `health` that are each right but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbproxy.config.kinds import shown
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake
from lbproxy.config.model import Health

#: What is said of a question by HTTP and its answer.
_HTTP = ("path", "method", "statuses", "headers", "body", "json")

#: What a user's own probe decides by itself; it may make use of `path`, `headers` and `port`.
_JUDGED = ("method", "statuses", "body", "json", "tcp")

#: What needs a body.
_BODY = ("body", "json")


def probe_mistakes(path: Path, pool: dict[str, Any], sessions: bool) -> Iterator[Mistake]:
    """Find what cannot be true together in the `health` of a pool.

    Args:
        path: The pool's.
        pool: Its table, as it came.
        sessions: Whether only listeners in TCP mode have it.
    """
    health = pool.get("health")
    if not isinstance(health, dict):
        return
    path = (*path, "health")
    interval = health.get("interval", Health().interval)
    timeout = health.get("timeout", Health().timeout)
    if _is_number(interval) and _is_number(timeout) and 0 < interval < timeout:
        message = f"{shown(timeout)} s are longer than the interval of {shown(interval)} s"
        yield Mistake((*path, "timeout"), message)
    if "check" in health:
        message = "does not go with check, which judges by itself"
        yield from _each(path, health, _JUDGED, message)
    elif health.get("tcp") is True:
        message = "goes only with a probe by HTTP, and with tcp = true it only connects"
        yield from _each(path, health, _HTTP, message)
    elif sessions and "path" not in health:
        message = "goes only with path, without which a pool for sessions is only connected to"
        yield from _each(path, health, _HTTP, message)
    elif health.get("method") == "HEAD":
        message = "needs a body, and an answer to HEAD has none"
        yield from _each(path, health, _BODY, message)
    backends = pool.get("backends")
    if "port" in health and isinstance(backends, list) and any(map(_is_unix, backends)):
        yield Mistake((*path, "port"), "a backend at a Unix socket has no ports")


def _each(
    path: Path, health: dict[str, Any], keys: tuple[str, ...], message: str
) -> Iterator[Mistake]:
    for key in keys:
        if health.get(key, False) is not False:  # What is off does no harm.
            yield Mistake((*path, key), message)


def _is_unix(backend: object) -> bool:
    address = backend.get("address") if isinstance(backend, dict) else None
    return isinstance(address, str) and address.startswith("unix:")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
