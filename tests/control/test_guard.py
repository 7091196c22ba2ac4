"""Whose requests come through to the admin listener's pages."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from lbproxy.control.guard import QUIET, Guard


class Inner(Resource):
    """Says that it was asked."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"inner"


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.treq: Any = StubTreq(Guard(self.clock, Inner(), ["lb1.internal"]))

    def ask(self, url: str = "http://localhost:3900/x", **fields: str) -> int:
        """The status of the answer to a request with more fields."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        response: Any = self.successResultOf(self.treq.get(url, headers=headers))
        told = self.successResultOf(response.content())
        if response.code == 200:
            self.assertEqual(told, b"inner")
        else:
            self.assertEqual(json.loads(told)["status"], response.code)
        code: int = response.code
        return code

    def test_names(self) -> None:
        """Asked by an address, as localhost, or by a name of the config."""
        for host in ("localhost", "LOCALHOST:3900", "127.0.0.1:3900", "[::1]:3900", "lb1.Internal"):
            self.assertEqual(self.ask(Host=host), 200, host)

    def test_rebinding(self) -> None:
        """Another name is that of a page whose name was made to mean this machine."""
        for host in ("evil.example", "localhost.evil.example:3900", "127.0.0.1.evil.example", ""):
            self.assertEqual(self.ask(Host=host), 403, host)
        for host in ("localhost/x", "localhost:x", "[::1", "a b", "localhost@evil.example"):
            self.assertEqual(self.ask(Host=host), 403, host)

    def test_told(self) -> None:
        """The log says once in a while who was refused, and nothing of who was not."""
        with capturedLogs() as logged:
            self.ask(Host="localhost")
            self.ask(Host="lb2.internal" + "x" * 1000)
            self.ask(Origin="http://evil.example\t")
            self.clock.advance(QUIET)
            self.ask(Origin="http://evil.example\t")
        first, second = map(formatEvent, logged)
        self.assertIn("(Host 'lb2.internalxxx", first)
        self.assertIn("admin.hosts lists those that are", first)
        self.assertLess(len(first), 300)
        self.assertIn("(Host 'localhost:3900', Origin 'http://evil.example')", second)
        self.assertTrue(second.endswith("; 2 times since that was last said"), second)

    def test_other_sites(self) -> None:
        """A browser that another site has sent says so."""
        for origin in ("http://evil.example", "null", "https://localhost:3900", "http://localhost"):
            self.assertEqual(self.ask(Origin=origin), 403, origin)
        for site in ("cross-site", "same-site"):
            self.assertEqual(self.ask(Sec_Fetch_Site=site), 403, site)

    def test_own_site(self) -> None:
        """A page of the listener itself may ask."""
        own = {"Host": "localhost:3900", "Sec_Fetch_Site": "same-origin"}
        self.assertEqual(self.ask(Origin="http://localhost:3900", **own), 200)
        self.assertEqual(self.ask(Sec_Fetch_Site="none"), 200)

    def test_paths(self) -> None:
        """What no path of ours has is not looked at further."""
        for path in ("%ff", "a%2fb", "a%00"):
            self.assertEqual(self.ask(f"http://localhost/{path}"), 404, path)
