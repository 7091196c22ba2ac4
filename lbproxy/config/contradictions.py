"""Values that are each right but not together; told of whatever else is wrong in the file.

So this reads the document as it came, and skips what does not have the shape to be judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

import attrs

from lbproxy.config.admin_place import place_of, places_of
from lbproxy.config.bound import meeting
from lbproxy.config.dns_kinds import asked_of_dns
from lbproxy.config.kinds import LEAST_HEAD, MOST_WORKERS, guessed, question, shown
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake, key_path
from lbproxy.config.model import BALANCERS, DNS, Route, Stop, UpstreamTimeouts
from lbproxy.config.pem import listener_mistakes, upstream_mistakes
from lbproxy.config.probing import probe_mistakes
from lbproxy.http1.parser import HeadLimits

#: What only HTTP knows: keys of a listener, of its `timeouts`, and of a pool's.
_HTTP_LISTENER = ("limits", "tls", "trusted")
_HTTP_TIMEOUTS = ("body", "idle")
_HTTP_POOL_TIMEOUTS = ("first_byte", "read")
_HTTP_BACKEND = ("server", "keep_alive")
_HTTP_POOL = ("hold_when_down", "hedge")

#: What a route with `sni` may say.
_WITH_SNI = frozenset(("sni", "listener", "pool"))

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
    yield from _backends(document, folder)
    yield from _routes(document, folder)
    stop = _table(document.get("stop"))
    spread, drain = stop.get("spread"), stop.get("drain", Stop().drain)
    if _is_number(spread) and _is_number(drain) and spread > drain:
        message = f"{shown(spread)} seconds are more than drain has, which is {shown(drain)}"
        yield Mistake(("stop", "spread"), message)
    yield from admin_contradictions(document)
    dns = _table(document.get("dns"))
    least, most = (dns.get(key, getattr(DNS(), key)) for key in ("min_ttl", "max_ttl"))
    if _is_number(least) and _is_number(most) and 0 < most < least:
        message = f"{shown(least)} s are longer than max_ttl, {shown(most)} s"
        yield Mistake(("dns", "min_ttl"), message)


def admin_contradictions(document: dict[str, Any]) -> Iterator[Mistake]:
    """The same of `admin` alone."""
    admin = _table(document.get("admin"))
    if admin.get("endpoint") is False and "socket" not in admin:
        message = "without it and without socket nobody could ask; admin = false turns all off"
        yield Mistake(("admin", "endpoint"), message)


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
    yield from meeting(document)
    for path, listener in listeners:
        if _mode(listener) == "tcp":
            yield from _tcp_listener(document, path, listener)
        elif "pool" in listener:
            message = 'goes only with mode = "tcp"; in HTTP a route names the pool'
            yield Mistake((*path, "pool"), message)
        limits = _table(listener.get("limits"))
        head = limits.get("head", HeadLimits().head)
        target = limits.get("target", HeadLimits().target)
        if _is_number(head) and _is_number(target) and LEAST_HEAD <= head <= target:
            message = f"{shown(target)} bytes leave no room in a head of {shown(head)} bytes"
            yield Mistake((*path, "limits", "target"), message)
        yield from listener_mistakes(path, listener, folder)


def _mode(listener: dict[str, Any]) -> str:
    mode = listener.get("mode", "http")
    return mode if isinstance(mode, str) else ""


def _modes(document: dict[str, Any], listener: object = None) -> set[str]:
    """The modes of all listeners, or of the one that a route names."""
    return {
        _mode(each)
        for path, each in _tables(("listeners",), document.get("listeners"))
        if listener in (None, path[-1])
    }


def _tcp_listener(
    document: dict[str, Any], path: Path, listener: dict[str, Any]
) -> Iterator[Mistake]:
    for key in _HTTP_LISTENER:
        if key in listener:
            yield Mistake((*path, key), 'goes only with mode = "http"')
    for key in _HTTP_TIMEOUTS:
        if key in _table(listener.get("timeouts")):
            hint = "; a session's is timeouts.stream of its pool" if key == "idle" else ""
            yield Mistake((*path, "timeouts", key), f'goes only with mode = "http"{hint}')
    yield from _reference(document, (*path, "pool"), listener.get("pool"), "pools")
    by_name = any(
        "sni" in route and route.get("listener") in (None, path[-1])
        for _, route in _tables(("routes",), document.get("routes"))
    )
    if "pool" not in listener and not by_name:
        message = 'a listener with mode = "tcp" needs pool, or a route with sni'
        yield Mistake(path, message, wanted=((*path, "pool"),))


def _uses(document: dict[str, Any], pool: str | int) -> set[str]:
    """The modes in which a pool is used."""
    modes: set[str] = set()
    for _, listener in _tables(("listeners",), document.get("listeners")):
        if listener.get("pool") == pool:
            modes.add(_mode(listener))
    for _, route in _tables(("routes",), document.get("routes")):
        if route.get("pool") == pool:
            modes.add("tcp" if "sni" in route else "http")
    return modes


def _pools(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    workers = document.get("workers", 1)
    for path, pool in _tables(("pools",), document.get("pools")):
        yield from _modes_of_pool(document, path, pool)
        yield from _policy(path, pool)
        yield from _failover(path, pool)
        yield from probe_mistakes(path, pool, _uses(document, path[-1]) == {"tcp"})
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
        if backends and all(backend.get("backup") is True for _, backend in backends):
            message = "every one is a backup, and none is there to be backed up"
            yield Mistake((*path, "backends"), message)
        for place, table in ((path, pool), *backends):
            yield from upstream_mistakes(place, table, pool, folder)


def _backends(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    """Clients would reach the admin listener by a backend that is it."""
    kept = places_of(document.get("admin"), folder)
    for path, pool in _tables(("pools",), document.get("pools")):
        for each, backend in _tables((*path, "backends"), pool.get("backends")):
            address = backend.get("address")
            if place_of(address) in kept:
                message = f"{shown(address)} is the admin listener, which no client may reach"
                yield Mistake((*each, "address"), message)


def _policy(path: Path, pool: dict[str, Any]) -> Iterator[Mistake]:
    """Keys of a pool that one policy alone knows; `hash` is for those of users too."""
    balancer = pool.get("balancer", BALANCERS[0])
    if "hash" in pool and balancer in BALANCERS and balancer != "consistent_hash":
        yield Mistake((*path, "hash"), 'goes only with balancer = "consistent_hash"')
    if "decay" in pool and balancer != "peak_ewma":
        yield Mistake((*path, "decay"), 'goes only with balancer = "peak_ewma"')


def _failover(path: Path, pool: dict[str, Any]) -> Iterator[Mistake]:
    """What is done about failures, and takes something else for it."""
    if _is_on("hold_when_down", pool) and pool.get("health") is False:
        message = "needs health: nothing else says that a backend is back"
        yield Mistake((*path, "hold_when_down"), message)
    retry, timeouts = _table(pool.get("retry")), _table(pool.get("timeouts"))
    timeout = retry.get("timeout")
    first_byte = timeouts.get("first_byte", UpstreamTimeouts().first_byte)
    if _is_number(timeout) and _is_number(first_byte) and 0 < first_byte <= timeout:
        message = f"{shown(timeout)} s are not less than timeouts.first_byte, {shown(first_byte)} s"
        yield Mistake((*path, "retry", "timeout"), message)
    for key, table in (("timeout", retry), ("hedge", pool)):
        if _is_on(key, table) and retry.get("attempts") == 1:
            where = (*path, "hedge") if table is pool else (*path, "retry", key)
            yield Mistake(where, "needs retry.attempts above 1: it takes a second attempt")
    backends = list(_tables(path, pool.get("backends")))
    if _is_on("hedge", pool) and len(backends) == 1 and not _may_be_many(backends[0][1]):
        yield Mistake((*path, "hedge"), "needs a second backend")


def _may_be_many(backend: dict[str, Any]) -> bool:
    """Whether DNS may have several addresses of a backend."""
    address = backend.get("address")
    return isinstance(address, str) and asked_of_dns(address)


def _modes_of_pool(document: dict[str, Any], path: Path, pool: dict[str, Any]) -> Iterator[Mistake]:
    """Keys of a pool that go with one mode only."""
    uses = _uses(document, path[-1])
    if "http" in uses and "send_proxy" in pool:
        message = "goes only with TCP mode, and a route of HTTP has this pool"
        yield Mistake((*path, "send_proxy"), message)
    key = _table(pool.get("hash")).get("key", "client")
    if "tcp" in uses and isinstance(key, str) and key != "client":
        message = f"{shown(key)} is not known of a session in TCP mode; only client is"
        yield Mistake((*path, "hash", "key"), message)
    tls = [each.get("tls") for _, each in _tables((*path, "backends"), pool.get("backends"))]
    if "send_proxy" in pool and (pool.get("tls") is True or True in tls):
        message = "does not go with tls in this version; a PROXY header comes before TLS"
        yield Mistake((*path, "send_proxy"), message)
    if uses != {"tcp"}:
        return
    message = 'goes only with HTTP, and only listeners with mode = "tcp" have this pool'
    for key in _HTTP_POOL_TIMEOUTS:
        if key in _table(pool.get("timeouts")):
            yield Mistake((*path, "timeouts", key), message)
    for key in _HTTP_POOL:
        if _is_on(key, pool):
            yield Mistake((*path, key), message)
    if "timeout" in _table(pool.get("retry")):
        yield Mistake((*path, "retry", "timeout"), message)
    for each, backend in _tables((*path, "backends"), pool.get("backends")):
        for key in _HTTP_BACKEND:
            if key in backend:
                yield Mistake((*each, key), message)


def _is_on(key: str, table: dict[str, Any]) -> bool:
    """Whether a table has a key, and does not turn off with it what it stands for."""
    return table.get(key, False) is not False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _routes(document: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    routes = list(_tables(("routes",), document.get("routes")))
    if isinstance(document.get("routes"), dict):
        return
    if document.get("routes") == []:
        yield Mistake(("routes",), "at least one is needed")
    elif "routes" not in document and _modes(document) != {"tcp"}:
        yield Mistake(("routes",), "is missing", wanted=(("routes",),))
    for index, (path, route) in enumerate(routes):
        if "sni" in route:
            yield from _by_name(document, path, route)
        else:
            yield from _by_request(document, path, route, folder)
        for key, tables in (("pool", "pools"), ("listener", "listeners")):
            yield from _reference(document, (*path, key), route.get(key), tables)
        for earlier_path, earlier in routes[:index]:
            if _takes_all_of(earlier, route):
                message = f"never reached: {key_path(earlier_path)} takes all that matches"
                yield Mistake(path, message)
                break


def _by_name(document: dict[str, Any], path: Path, route: dict[str, Any]) -> Iterator[Mistake]:
    for key in sorted(route.keys() - _WITH_SNI):
        if key in attrs.fields_dict(Route):
            yield Mistake((*path, key), "goes only with HTTP, and this route has sni")
    if "pool" not in route:
        yield Mistake((*path, "pool"), "is missing", wanted=((*path, "pool"),))
    modes = _modes(document, route.get("listener"))
    if modes and "tcp" not in modes:
        yield Mistake((*path, "sni"), 'goes only with a listener with mode = "tcp"')


def _by_request(
    document: dict[str, Any], path: Path, route: dict[str, Any], folder: FilePath
) -> Iterator[Mistake]:
    if "path" not in route:
        yield Mistake((*path, "path"), "is missing", wanted=((*path, "path"),))
    if _modes(document, route.get("listener")) == {"tcp"}:
        message = 'a route without sni goes only with a listener with mode = "http"'
        yield Mistake(path, message, wanted=((*path, "sni"),))
    yield from _destination(path, route, folder)


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
        if "sni" in earlier or "sni" in later:
            return _takes_all_names_of(earlier, later)
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


def _takes_all_names_of(earlier: dict[str, Any], later: dict[str, Any]) -> bool:
    """The same for routes by SNI; one of another kind leaves them all."""
    before, behind = earlier.get("sni"), later.get("sni")
    if before is None or behind is None:
        return False
    before, behind = before.lower(), behind.lower()
    return earlier.get("listener") in (None, later.get("listener")) and (
        before == behind
        or (before.startswith("*.") and behind.removeprefix("*").endswith(before[1:]))
    )


def _lower(host: str | None) -> str | None:
    return None if host is None else host.lower()
