"""What is said of a changed config, before and after it is taken."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config import model
from lbproxy.config.difference import Plan, compare

A, B, C = (model.Backend(name, f"127.0.0.1:{place}") for place, name in enumerate("abc", 1))
WEB = model.Listener("web", "tcp:3000")
API, PAGE = model.Route("/api/", pool="api"), model.Route("/", static="public")
POOL = model.Pool("api", (A, B))
CONFIG = model.Config((WEB,), (API, PAGE), (POOL,))
SAME = "= 1 listener, 1 pool, 2 backends, 2 routes unchanged"


def changed(**fields: Any) -> model.Config:
    """The config with other values."""
    return attrs.evolve(CONFIG, **fields)


def with_pool(**fields: Any) -> model.Config:
    """The config with other values in its pool."""
    return changed(pools=(attrs.evolve(POOL, **fields),))


class DifferenceCase(SynchronousTestCase):
    def plan(self, after: model.Config, before: model.Config = CONFIG) -> Plan:
        """What the change is said to be."""
        return compare(before, after)

    def assert_told(self, after: model.Config, *lines: str, before: model.Config = CONFIG) -> None:
        """These are the differences, in this order."""
        self.assertEqual(self.plan(after, before).lines()[:-1], list(lines))


class TableTests(DifferenceCase):
    def test_none(self) -> None:
        """What stays is counted, each kind in its number."""
        plan = self.plan(changed())
        self.assertEqual((plan.differences, plan.lines()), ((), [SAME]))
        last = self.plan(with_pool(backends=(A,), slow_start=1.0)).lines()[-1]
        self.assertEqual(last, "= 1 listener, 0 pools, 1 backend, 2 routes unchanged")

    def test_values(self) -> None:
        """A value is named by its place, with the old one and the new one."""
        timeouts = model.DownstreamTimeouts(head=2.5)
        self.assert_told(
            changed(
                listeners=(attrs.evolve(WEB, timeouts=timeouts, mode="tcp", pool="api"),),
                stop=model.Stop(5.0),
                access_log=None,
            ),
            "~ listeners.web.timeouts.head: 10.0 -> 2.5",
            '~ listeners.web.mode: "http" -> "tcp"',
            '~ listeners.web.pool: none -> "api"',
            "~ stop.drain: 30.0 -> 5.0",
            '~ access_log: "-" -> none',
        )

    def test_deep(self) -> None:
        """A backend is named behind its pool."""
        backends = attrs.evolve(A, weight=3, backup=True, tls=False), B
        self.assert_told(
            with_pool(backends=backends, ejection=False, retry=model.Retry(2)),
            "~ pools.api.backends.a.weight: 1 -> 3",
            "~ pools.api.backends.a.tls: none -> false",
            "~ pools.api.backends.a.backup: false -> true",
            "~ pools.api.retry.attempts: 3 -> 2",
            "~ pools.api.ejection: true -> false",
        )

    def test_switched(self) -> None:
        """A table that is turned on is shown by what it says; its defaults are no news."""
        self.assert_told(
            with_pool(hedge=model.Hedge(0.5), hold_when_down=model.Hold(), health=None),
            "~ pools.api.health: {} -> none",
            "~ pools.api.hold_when_down: none -> {}",
            "~ pools.api.hedge: none -> { after = 0.5 }",
        )

    def test_text(self) -> None:
        """Text stands as TOML writes it, in one line whatever it has."""
        health = model.Health(body='"ok"\n', headers=(("Host", "shop"),))
        self.assert_told(
            with_pool(health=health),
            '~ pools.api.health.headers: [] -> ["Host"]',
            r'~ pools.api.health.body: none -> "\"ok\"\n"',
        )

    def test_sets(self) -> None:
        """Sets have an order when they are shown."""
        before = changed(routes=(attrs.evolve(API, retry_on=frozenset((502,))),))
        after = changed(routes=(attrs.evolve(API, retry_on=frozenset((504, 503))),))
        self.assert_told(
            after,
            '+ routes[path="/api/" pool="api" retry_on=[503, 504]]',
            '- routes[path="/api/" pool="api" retry_on=[502]]',
            before=before,
        )

    def test_needs_restart(self) -> None:
        """Some things can only be changed by a new start, and all of them are named."""
        plan = self.plan(changed(workers=2, admin=model.Admin(hosts=("lb",)), access_log=None))
        self.assertEqual(
            [str(each) for each in plan.needs_restart],
            ["~ workers: 1 -> 2", '~ admin.hosts: [] -> ["lb"]'],
        )
        self.assertEqual(len(self.plan(changed(admin=None)).needs_restart), 1)
        self.assertEqual(self.plan(with_pool(slow_start=0.0)).needs_restart, [])


class NamedTests(DifferenceCase):
    def test_listeners(self) -> None:
        """A listener that comes is told with its endpoint; one that goes by its name."""
        other = model.Listener("other", "tcp:4000")
        self.assert_told(
            changed(listeners=(other,)), "+ listeners.other (tcp:4000)", "- listeners.web"
        )

    def test_moved(self) -> None:
        """An endpoint or an address is a value as others are."""
        self.assert_told(
            changed(listeners=(attrs.evolve(WEB, endpoint="tcp:4000"),)),
            '~ listeners.web.endpoint: "tcp:3000" -> "tcp:4000"',
        )
        self.assert_told(
            with_pool(backends=(attrs.evolve(A, address="h:1"), B)),
            '~ pools.api.backends.a.address: "127.0.0.1:1" -> "h:1"',
        )

    def test_pools(self) -> None:
        """A pool comes and goes as a whole."""
        other = model.Pool("other", (C,))
        self.assert_told(changed(pools=(POOL, other)), "+ pools.other")
        self.assert_told(CONFIG, "- pools.other", before=changed(pools=(POOL, other)))

    def test_backends(self) -> None:
        """In the order of the new config; then those that are gone."""
        self.assert_told(
            with_pool(backends=(C, attrs.evolve(B, weight=2))),
            "+ pools.api.backends.c (127.0.0.1:3)",
            "~ pools.api.backends.b.weight: 1 -> 2",
            "- pools.api.backends.a",
        )

    def test_order(self) -> None:
        """The order of those that stay is told, also where another one comes between."""
        told = "~ the order of pools.api.backends: a, b -> b, a"
        self.assert_told(with_pool(backends=(B, A)), told)
        added = "+ pools.api.backends.c (127.0.0.1:3)"
        self.assert_told(with_pool(backends=(B, C, A)), added, told)
        self.assert_told(with_pool(backends=(A, C, B)), added)


class RouteTests(DifferenceCase):
    def test_changed(self) -> None:
        """A route has no name: one that says something else is another one."""
        exposed = attrs.evolve(API, expose_backend=True)
        self.assert_told(
            changed(routes=(exposed, PAGE)),
            '+ routes[path="/api/" pool="api" expose_backend=true]',
            '- routes[path="/api/" pool="api"]',
        )

    def test_by_name(self) -> None:
        """One of TCP mode is told by the name that it is for."""
        by_name = model.Route(sni="db.example", listener="db", pool="api")
        self.assert_told(
            changed(routes=(API, PAGE, by_name)),
            '+ routes[pool="api" listener="db" sni="db.example"]',
        )

    def test_order(self) -> None:
        """The first match wins, so the order is a difference by itself."""
        api, page = 'routes[path="/api/" pool="api"]', 'routes[path="/" static="public"]'
        self.assert_told(
            changed(routes=(PAGE, API)),
            f"~ the order of the routes: {api}, {page} -> {page}, {api}",
        )

    def test_many(self) -> None:
        """All is compared in a time that grows with what there is, not with its square."""

        class Counting(str):
            compared = 0

            def __eq__(self, other: object) -> bool:
                Counting.compared += 1
                return str.__eq__(self, other)

            __hash__ = str.__hash__

        def some() -> model.Config:
            names = [Counting(f"b{number}") for number in range(200)]
            backends = tuple(model.Backend(name, f"h:{name}") for name in names)
            routes = tuple(model.Route(Counting(f"/{name}/"), pool="api") for name in names)
            return changed(pools=(attrs.evolve(POOL, backends=backends),), routes=routes)

        self.assertEqual(self.plan(some(), some()).differences, ())
        self.assertLess(Counting.compared, 200 * 20)
