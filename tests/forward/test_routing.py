"""From a request to its route."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Route
from lbproxy.errors import NoRoute
from lbproxy.forward.routing import (
    NameRouter,
    Router,
    behind_prefix,
    host_name,
    normalised,
    split_target,
)
from tests.forward.heads import request

API, REST = Route("/api/", pool="api"), Route("/", static="public")


def route(
    *routes: Route,
    path: bytes = b"/",
    listener: str = "web",
    host: bytes = b"shop",
    method: bytes = b"GET",
    lines: bytes = b"",
) -> Route:
    """The route of a request."""
    head = request(lines, method + b" / HTTP/1.1")
    return Router(routes).route(listener, host, path, head)


class TargetTests(SynchronousTestCase):
    def test_split(self) -> None:
        """The absolute form has an authority; what is behind it may be empty (RFC 9112, 3.2.2)."""
        for target, parts in (
            (b"/a?b", (None, b"/a?b")),
            (b"*", (None, b"*")),
            (b"http://shop/a?b", (b"shop", b"/a?b")),
            (b"HTTPS://shop:8443", (b"shop:8443", b"/")),
            (b"http://shop?b", (b"shop", b"/?b")),
            (b"/http://shop/", (None, b"/http://shop/")),
        ):
            self.assertEqual(split_target(target), parts)

    def test_host_name(self) -> None:
        """Names are compared without case and port; a literal keeps its brackets."""
        for host, name in (
            (b"Shop.Example:80", b"shop.example"),
            (b"shop", b"shop"),
            (b"[::1]:3000", b"[::1]"),
            (b"[2001:DB8::1]", b"[2001:db8::1]"),
        ):
            self.assertEqual(host_name(host), name)

    def test_normalised(self) -> None:
        """A path is compared as a server would resolve it (RFC 3986 section 6.2)."""
        for path, compared in (
            (b"/", b"/"),
            (b"/api/a", b"/api/a"),
            (b"/%61pi/", b"/api/"),
            (b"//api///x", b"/api/x"),
            (b"/static/../api/", b"/api/"),
            (b"/static/%2e%2E/api", b"/api"),
            (b"/static%2f..%2fapi", b"/api"),
            (b"/./api/.", b"/api/"),
            (b"/api/..", b"/"),
            (b"/../../api", b"/api"),
            (b"/%2561pi", b"/%61pi"),
        ):
            self.assertEqual(normalised(path), compared, path)

    @given(st.lists(st.sampled_from([b"a", b"..", b".", b"", b"%2e", b"%2F", b"%2e%2e"])))
    def test_nothing_above(self, segments: list[bytes]) -> None:
        """Nothing that could climb is left in what is compared."""
        compared = normalised(b"/" + b"/".join(segments))
        self.assertTrue(compared.startswith(b"/"))
        self.assertFalse({b"..", b"."} & set(compared.split(b"/")))


class RouterTests(SynchronousTestCase):
    def test_first_match(self) -> None:
        """The first route in file order wins."""
        self.assertIs(route(API, REST, path=b"/api/orders"), API)
        self.assertIs(route(REST, API, path=b"/api/orders"), REST)

    def test_segments(self) -> None:
        """A prefix ends at a segment's border, and its own name without a slash is within."""
        for path, expected in (
            (b"/api", API),
            (b"/api/", API),
            (b"/apis", REST),
            (b"/API/", REST),
            (b"/public/../api/x", API),
            (b"/api/../index.html", REST),
            (b"/%61pi/x", API),
        ):
            self.assertIs(route(API, REST, path=path), expected, path)

    def test_conditions(self) -> None:
        """Listener, host, methods and headers narrow a route; all have to hold."""
        narrow = Route(
            "/",
            pool="api",
            listener="web",
            host="Shop",
            methods=("GET", "HEAD"),
            headers=(("X-Canary", "1"),),
        )
        lines = b"X-Canary: 0\r\nX-Canary: 1\r\n"
        self.assertIs(route(narrow, host=b"SHOP:3000", lines=lines), narrow)
        with self.assertRaises(NoRoute):
            route(narrow, lines=lines, listener="secure")
        with self.assertRaises(NoRoute):
            route(narrow, lines=lines, host=b"other")
        with self.assertRaises(NoRoute):
            route(narrow, lines=lines, method=b"POST")
        with self.assertRaises(NoRoute):
            route(narrow, lines=b"X-Canary: 2\r\n")

    def test_none(self) -> None:
        """Without a match the client gets 404."""
        with self.assertRaises(NoRoute) as caught:
            route(API, path=b"/other")
        self.assertEqual(caught.exception.status, 404)


class FolderTests(SynchronousTestCase):
    def test_behind_prefix(self) -> None:
        """A static route looks up what is behind its prefix, as it came."""
        for prefix, path, rest in (
            ("/", b"/a/b%20c", b"/a/b%20c"),
            ("/assets/", b"/assets/a", b"/a"),
            ("/assets", b"/assets", b"/"),
            ("/assets", b"/assets/%2e%2e/x", b"/%2e%2e/x"),
        ):
            self.assertEqual(behind_prefix(prefix, path), rest)

    def test_hidden_prefix(self) -> None:
        """A prefix that is only seen in the normalised path is taken from that."""
        self.assertEqual(behind_prefix("/assets", b"/x/../assets/a%20b"), b"/a%20b")
        self.assertEqual(behind_prefix("/assets", b"/%61ssets/a"), b"/a")


class NameRouterTests(SynchronousTestCase):
    def router(self, listener: str = "tls") -> NameRouter:
        """Routes by SNI, for one listener and for all, and one for requests."""
        return NameRouter(
            [
                Route(sni="db.example", pool="first", listener="tls"),
                Route(sni="*.Shop.example", pool="shop"),
                Route(sni="*.example", pool="any"),
                REST,
            ],
            listener,
        )

    def test_names(self) -> None:
        """The first that matches: a name itself, or any name below one."""
        for name, pool in (
            ("db.example", "first"),
            ("a.shop.example", "shop"),
            ("b.a.shop.example", "shop"),
            ("shop.example", "any"),
            ("example", None),
            ("badexample", None),
            ("db.example.org", None),
            (None, None),
        ):
            self.assertEqual(self.router().pool(name), pool, name)

    def test_listener(self) -> None:
        """A route that names a listener is for no other one, and one for requests is none here."""
        self.assertEqual(self.router("other").pool("db.example"), "any")
        self.assertFalse(NameRouter([REST], "tls"))
        self.assertTrue(self.router())

    def test_not_for_requests(self) -> None:
        """A route by SNI takes no request."""
        by_name = Route(sni="shop", pool="shop")
        self.assertEqual(route(by_name, REST), REST)
