"""Keeps browsers out that were sent to the admin listener by somebody else's page.

Whoever runs the balancer may have a browser on the same machine, and that goes to loopback for any
page that asks it to. Two ways in are known. A page posts across sites: the browser then says so in
`Origin` or `Sec-Fetch-Site`. Or the page's own name is made to resolve to 127.0.0.1 (DNS
rebinding): to the browser all is of one site, but `Host` still has that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource

from lbproxy.control.answers import problem
from lbproxy.errors import AdminError, BadQuestion, ForeignQuestion
from lbproxy.seldom import Seldom, since

#: The name and the port of an authority (RFC 9110 section 7.2).
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")

#: All that our own paths are made of.
_PATH = re.compile(rb"[A-Za-z0-9/_.-]*")

#: What a browser says of a request that no other site is behind (Fetch Metadata, section 2.2).
_OWN_SITES = ("same-origin", "none")

#: Seconds from one line about who was refused to the next: a page may ask again and again.
QUIET = 60.0

#: Of what somebody else's request says, so many characters are logged.
_LONGEST = 100


class Guard(Resource):
    """Stands before all pages."""

    log = Logger()
    isLeaf = True

    def __init__(self, clock: IReactorTime, inner: Any, hosts: Iterable[str] = ()) -> None:
        """Guard a resource.

        Args:
            clock: Provides the time.
            inner: The resource, a leaf.
            hosts: Names of this machine besides `localhost`. Addresses need none: a browser goes
                to an address only if the address was asked for.
        """
        super().__init__()
        self._clock = clock
        self._inner = inner
        self._told = Seldom(QUIET)
        self._names = {"localhost", *(name.lower() for name in hosts)}

    def render(self, request: Any) -> Any:
        """Let a request through, or refuse it."""
        try:
            self._check(request)
        except ForeignQuestion as error:
            self._tell(request, error)
            return problem(request, error)
        except AdminError as error:
            return problem(request, error)
        return self._inner.render(request)

    def _check(self, request: Any) -> None:
        fields = request.requestHeaders
        hosts = fields.getRawHeaders("host", [])
        host = hosts[0] if len(hosts) == 1 else ""
        authority = _AUTHORITY.fullmatch(host)
        if authority is None or not self._is_ours(authority[1]):
            raise ForeignQuestion(
                "Host is no name of this listener; admin.hosts lists those that are"
            )
        origins = fields.getRawHeaders("origin", [])
        sites = fields.getRawHeaders("sec-fetch-site", [])
        if set(origins) - {f"http://{host}"} or set(sites) - {*_OWN_SITES}:
            raise ForeignQuestion("the request was made by a page of another site")
        if _PATH.fullmatch(request.path) is None:
            raise BadQuestion("there is nothing here", 404)

    def _tell(self, request: Any, error: ForeignQuestion) -> None:
        """Log who was refused, unless that was done a moment ago."""
        untold = self._told.tell(self._clock.seconds())
        if untold is None:
            return
        fields = request.requestHeaders
        said = [
            f"{name} {value[:_LONGEST]!r}"
            for name in ("Host", "Origin")
            for value in fields.getRawHeaders(name, [])[:1]
        ]
        self.log.info(
            "admin: refused a request by {peer} ({said}): {error}{since}",
            peer=getattr(request.getClientAddress(), "host", "unix"),
            said=", ".join(said) or "no Host",
            error=error,
            since=since(untold),
        )

    def _is_ours(self, name: str) -> bool:
        if name.lower() in self._names:
            return True
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True
