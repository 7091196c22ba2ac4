"""Backends by the names that people call them by."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for
from lbproxy.config import model
from lbproxy.control.lookup import found
from lbproxy.discovery.members import goes_by
from lbproxy.errors import FEW, AmbiguousBackend, UnknownBackend
from lbproxy.plugins import balancer_maker


def pool_of(name: str, *backends: str) -> Pool:
    """A pool with backends of these names."""
    config = model.Pool(name, tuple(model.Backend(each, "127.0.0.1:1") for each in backends))
    return Pool(config, balancer_for(config, random.Random(1), balancer_maker), 0.0)


class LookupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pools = [
            pool_of("api", "klein@10.0.0.5:1", "klein@10.0.0.6:1", "flask"),
            pool_of("reports", "klein@10.0.0.5:1", "slow"),
        ]

    def look(self, name: str, pool: str | None = None) -> tuple[str, list[str]]:
        """The pool and the backends that a name means."""
        among, backends = found(self.pools, name, pool, lambda each: goes_by(each, name))
        return among.name, [each.name for each in backends]

    def test_found(self) -> None:
        """A name in the config means all its members of one pool, and one's own name that one."""
        members = ["klein@10.0.0.5:1", "klein@10.0.0.6:1"]
        self.assertEqual(self.look("klein", "api"), ("api", members))
        self.assertEqual(self.look("klein", "reports"), ("reports", members[:1]))
        self.assertEqual(self.look("klein@10.0.0.6:1"), ("api", members[1:]))
        self.assertEqual(self.look("slow"), ("reports", ["slow"]))

    def test_ambiguous(self) -> None:
        """Where several pools have one, the pool must be told."""
        for name in ("klein", "klein@10.0.0.5:1"):
            error = self.assertRaises(AmbiguousBackend, self.look, name)
            self.assertEqual(str(error), f'"{name}" is in the pools api, reports; say which')

    def test_unknown(self) -> None:
        """What there is is told: of a member's name the other members, else what the config has."""
        for name, pool, told in (
            ("x", None, 'backend "x"; there are klein, flask, slow'),
            ("x", "reports", 'backend "x" in pool "reports"; there are klein, slow'),
            ("slow", "api", 'backend "slow" in pool "api"; there are klein, flask'),
            (
                "klein@9",
                "reports",
                'backend "klein@9" in pool "reports"; there are klein@10.0.0.5:1',
            ),
            ("flask@9", None, 'backend "flask@9"; there are klein, flask, slow'),
            ("x", "y", 'pool "y"; there are api, reports'),
        ):
            error = self.assertRaises(UnknownBackend, self.look, name, pool)
            self.assertEqual(str(error), f"there is no {told}")

    def test_many(self) -> None:
        """Of many names the first are told."""
        self.pools = [pool_of("api", *(f"b{number}" for number in range(FEW + 5)))]
        error = self.assertRaises(UnknownBackend, self.look, "x")
        self.assertTrue(str(error).endswith(f"b{FEW - 1} and 5 more"), error)

    def test_none(self) -> None:
        """Where there are none at all, that is told."""
        self.pools = []
        error = self.assertRaises(UnknownBackend, self.look, "x")
        self.assertEqual(str(error), 'there is no backend "x"; there are none')
