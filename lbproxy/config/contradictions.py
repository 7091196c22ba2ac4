"""Values that are each right but not together; told of whatever else is wrong in the file.

So this reads the document as it came, and skips what does not have the shape to be judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from lbproxy.config.kinds import LEAST_HEAD, MOST_WORKERS, guessed, question, shown
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake, key_path
from lbproxy.config.model import Health
from lbproxy.config.pem import listener_mistakes, upstream_mistakes
from lbproxy.http1.parser import HeadLimits

#: Keys of a route that say nothing about files.
_ONLY_WITH_POOL = ("expose_backend", "retry_on", "max_body")


def contradictions(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    """Find what cannot be true together.

    Args:
        document: What `tomllib` gave.
        folder: Where relative paths start.
    """
    yield from _listeners(document, folder)
    yield from _pools(document, folder)
    yield from _routes(document, folder)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(path: Path, value: object) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Tables by name, or in a list; with their paths."""
    pairs: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, each in pairs:
        if isinstance(each, dict):
            yield (*path, key), each


def _repeated(places: Iterable[tuple[Path, object]]) -> Iterator[Mistake]:
    """Values that stand in two places."""
    first: dict[str, Path] = {}
    for path, value in places:
        if not isinstance(value, str):
            continue
        if value in first:
            yield Mistake(path, f"{shown(value)} is {key_path(first[value])} already")
        else:
            first[value] = path


def _listeners(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    listeners = list(_tables(("listeners",), document.get("listeners")))
    if document.get("listeners") == {}:
        yield Mistake(("listeners",), "at least one is needed")
    bound = [*listeners, (("admin",), _table(document.get("admin")))]
    yield from _repeated(((*path, "endpoint"), table.get("endpoint")) for path, table in bound)
    for path, listener in listeners:
        limits = _table(listener.get("limits"))
        head = limits.get("head", HeadLimits().head)
        target = limits.get("target", HeadLimits().target)
        if _is_number(head) and _is_number(target) and LEAST_HEAD <= head <= target:
            message = f"{shown(target)} bytes leave no room in a head of {shown(head)} bytes"
            yield Mistake((*path, "limits", "target"), message)
        yield from listener_mistakes(path, listener, folder)


def _pools(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    workers = document.get("workers", 1)
    for path, pool in _tables(("pools",), document.get("pools")):
        health = _table(pool.get("health"))
        interval = health.get("interval", Health().interval)
        timeout = health.get("timeout", Health().timeout)
        if _is_number(interval) and _is_number(timeout) and 0 < interval < timeout:
            message = f"{shown(timeout)} s are longer than the interval of {shown(interval)} s"
            yield Mistake((*path, "health", "timeout"), message)
        limit = pool.get("max_in_flight", workers)
        if _is_number(limit) and _is_number(workers) and 0 < limit < workers <= MOST_WORKERS:
            message = f"{shown(limit)} cannot be divided among {shown(workers)} workers"
            yield Mistake((*path, "max_in_flight"), message)
        backends = list(_tables((*path, "backends"), pool.get("backends")))
        if pool.get("backends") == []:
            yield Mistake((*path, "backends"), "at least one is needed")
        for key in ("name", "address"):
            yield from _repeated(((*each, key), backend.get(key)) for each, backend in backends)
        weights = [backend.get("weight", 1) for _, backend in backends]
        if weights and all(weight == 0 and weight is not False for weight in weights):
            yield Mistake((*path, "backends"), "every weight is 0, so none would be chosen")
        for place, table in ((path, pool), *backends):
            yield from upstream_mistakes(place, table, pool, folder)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _routes(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    routes = list(_tables(("routes",), document.get("routes")))
    if isinstance(document.get("routes"), dict):
        return
    if document.get("routes") == []:
        yield Mistake(("routes",), "at least one is needed")
    for index, (path, route) in enumerate(routes):
        yield from _destination(path, route, folder)
        for key, tables in (("pool", "pools"), ("listener", "listeners")):
            yield from _reference(document, (*path, key), route.get(key), tables)
        for earlier_path, earlier in routes[:index]:
            if _takes_all_of(earlier, route):
                message = f"never reached: {key_path(earlier_path)} takes all that matches"
                yield Mistake(path, message)
                break


def _destination(path: Path, route: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    static = route.get("static")
    if static is None and "pool" not in route:
        yield Mistake(
            path, "a route needs pool or static", wanted=((*path, "pool"), (*path, "static"))
        )
    if static is None:
        return
    if "pool" in route:
        yield Mistake((*path, "static"), "a route has pool or static, not both")
        return
    for key in _ONLY_WITH_POOL:
        if key in route:
            yield Mistake((*path, key), "goes only with pool, and this route has static")
    if isinstance(static, str) and static.isprintable() and static:
        found = os.path.join(folder, static)
        if not os.path.isdir(found):
            yield Mistake((*path, "static"), f"no such folder: {found}")


def _reference(
    document: dict[str, Any], path: Path, name: object, tables: str
) -> Iterator[Mistake]:
    known = document.get(tables, {})
    if not isinstance(name, str) or not isinstance(known, dict) or name in known:
        return
    message = f"there is no {key_path((tables, name))}{question(guessed(name, known))}"
    yield Mistake(path, message, wanted=() if tables in document else ((tables,),))


def _takes_all_of(earlier: dict[str, Any], later: dict[str, Any]) -> bool:
    """Whether no request can pass the earlier route and match the later one."""
    try:
        before, behind = earlier["path"].rstrip("/") + "/", later["path"].rstrip("/") + "/"
        methods, headers = set(earlier.get("methods", ())), earlier.get("headers", {}).items()
        return (
            behind.startswith(before)
            and earlier.get("listener") in (None, later.get("listener"))
            and _lower(earlier.get("host")) in (None, _lower(later.get("host")))
            and (not methods or (bool(later.get("methods")) and methods >= set(later["methods"])))
            and set(headers) <= set(later.get("headers", {}).items())
        )
    except (AttributeError, KeyError, TypeError):  # It is told elsewhere that a type is wrong.
        return False


def _lower(host: str | None) -> str | None:
    return None if host is None else host.lower()
