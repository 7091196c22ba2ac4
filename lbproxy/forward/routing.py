"""From a request to its route: first match in file order.

Routes are compared with a normalised copy of the path; what is forwarded stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote_from_bytes, unquote_to_bytes

import attrs

from lbproxy.config.model import Route
from lbproxy.errors import NoRoute
from lbproxy.http1.message import RequestHead

_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#]*)(.*)", re.DOTALL)


def split_target(target: bytes) -> tuple[bytes | None, bytes]:
    """Split a request-target into authority and origin form (RFC 9112 section 3.2).

    Returns:
        The authority of an absolute form, else `None`; and the path with its query, `*` as it is.
    """
    if target.startswith(b"/"):
        return None, target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return None, target
    authority, rest = absolute.groups()
    return authority, rest if rest.startswith(b"/") else b"/" + rest


def normalised(path: bytes) -> bytes:
    """A path for comparison: decoded once, without empty, `.` and `..` segments."""
    if b"%" not in path and b"//" not in path and b"/." not in path:
        return path
    segments: list[bytes] = []
    *folders, last = unquote_to_bytes(path).split(b"/")[1:]
    for segment in folders:
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
    if last == b"..":
        del segments[-1:]
    elif last not in (b"", b"."):
        return b"/" + b"/".join((*segments, last))
    return b"/" + b"".join(segment + b"/" for segment in segments)


def host_name(host: bytes) -> bytes:
    """The name in a `Host` value, lower-cased, without its port."""
    if host.startswith(b"["):
        return host[: host.find(b"]") + 1].lower()
    return host.partition(b":")[0].lower()


@attrs.frozen
class _Rule:
    """A route, made ready to be compared."""

    route: Route
    folder: bytes
    beneath: bytes
    host: bytes | None
    methods: frozenset[bytes]
    headers: tuple[tuple[bytes, bytes], ...]
    by_path_alone: bool

    @classmethod
    def of(cls, route: Route) -> _Rule:
        folder = route.path.rstrip("/").encode()
        return cls(
            route=route,
            folder=folder,
            beneath=folder + b"/",
            host=None if route.host is None else route.host.lower().encode(),
            methods=frozenset(method.encode() for method in route.methods),
            headers=tuple((name.lower().encode(), value.encode()) for name, value in route.headers),
            by_path_alone=not (route.listener or route.host or route.methods or route.headers),
        )

    def matches(self, listener: str, host: bytes, head: RequestHead) -> bool:
        """Whether all but the path matches."""
        if self.route.listener is not None and self.route.listener != listener:
            return False
        if self.host is not None and self.host != host_name(host):
            return False
        if self.methods and head.method not in self.methods:
            return False
        return all(value in head.values.get(name, ()) for name, value in self.headers)


class Router:
    """The routes of a config."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._rules = [_Rule.of(route) for route in routes if route.sni is None]

    def route(self, listener: str, host: bytes, path: bytes, head: RequestHead) -> Route:
        """The first route that matches.

        Args:
            listener: The listener's name.
            host: The request's `Host`, perhaps with a port.
            path: The path as it came, without the query.
            head: The request.

        Raises:
            NoRoute: If none does.
        """
        compared = normalised(path)
        for rule in self._rules:
            if (compared.startswith(rule.beneath) or compared == rule.folder) and (
                rule.by_path_alone or rule.matches(listener, host, head)
            ):
                return rule.route
        raise NoRoute("No route matches this request.")


class NameRouter:
    """The routes by SNI of one listener in TCP mode: from a name to a pool."""

    def __init__(self, routes: Iterable[Route], listener: str) -> None:
        """Take those routes that are for this listener."""
        self._pools = [
            (route.sni.lower(), route.pool)
            for route in routes
            if route.sni is not None and route.listener in (None, listener)
        ]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._pools)

    def pool(self, name: str | None) -> str | None:
        """The pool of the first route that matches, or `None`.

        Args:
            name: In lower case, without a dot at its end; `None` matches no route.
        """
        if name is not None:
            for sni, pool in self._pools:
                if sni == name or (sni.startswith("*.") and name.endswith(sni[1:])):
                    return pool
        return None


def behind_prefix(prefix: str, path: bytes) -> bytes:
    """The part of a path that a static route looks up in its folder; it begins with a slash.

    Where the prefix is only visible in the normalised path, that is what is looked up.
    """
    folder = prefix.rstrip("/").encode()
    if not path.startswith(folder) or path[len(folder) : len(folder) + 1] not in (b"/", b""):
        path = quote_from_bytes(normalised(path)).encode()
    return path[len(folder) :] or b"/"
