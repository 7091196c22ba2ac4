"""Tests of the values that a config is made of."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend, default_config
from tests.config.folder import temporary_folder


class BackendTests(SynchronousTestCase):
    """For how long a backend's connections are kept."""

    def idle_limit(self, server: str | None, keep_alive: float | None = None) -> float:
        """The limit of a backend with this profile."""
        return Backend("a", "a:1", server=server, keep_alive=keep_alive).idle_limit

    def test_unknown(self) -> None:
        """Briefly, when nothing is known of the server."""
        self.assertEqual(self.idle_limit(None), 1.5)

    def test_profiles(self) -> None:
        """For four fifths of what the server keeps them for."""
        limits = {
            "gunicorn": 1.6,
            "hypercorn": 4.0,
            "klein": 48.0,
            "uvicorn": 4.0,
            "waitress": 96.0,
            "werkzeug": 0.0,
        }
        for server, limit in limits.items():
            self.assertEqual(self.idle_limit(server), limit)

    def test_said(self) -> None:
        """What is said of this backend goes before its server's profile."""
        self.assertEqual(self.idle_limit("gunicorn", 75.0), 60.0)
        self.assertEqual(self.idle_limit("klein", 0.0), 0.0)
        self.assertEqual(self.idle_limit(None, 10.0), 8.0)


class DefaultTests(SynchronousTestCase):
    """What runs without a config file."""

    def static(self) -> Path:
        """The folder of the page."""
        return Path(default_config().routes[1].static or "")

    def move_to(self, folder: Path) -> None:
        """Work in a folder until the test ends."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)

    def test_ports(self) -> None:
        """Port 3000 in front of 3001 and 3002."""
        config = default_config()
        self.assertEqual([listener.endpoint for listener in config.listeners], ["tcp:3000"])
        backends = [backend.address for backend in config.pools[0].backends]
        self.assertEqual(backends, ["127.0.0.1:3001", "127.0.0.1:3002"])
        self.assertEqual([route.path for route in config.routes], ["/api/", "/"])
        self.assertTrue(config.routes[0].expose_backend)

    def test_hold(self) -> None:
        """Requests wait for backends that still start, longer than these take for it."""
        hold = default_config().pools[0].hold_when_down
        assert hold is not None
        self.assertGreaterEqual(hold.seconds, 10.0)

    def test_page_here(self) -> None:
        """The page is taken from the working directory first."""
        folder = temporary_folder(self)
        (folder / "public").mkdir()
        self.move_to(folder)
        self.assertEqual(self.static(), folder / "public")

    def test_page_installed(self) -> None:
        """Without one there, what was installed is taken."""
        folder = temporary_folder(self)
        installed = folder / "share" / "lbproxy" / "public"
        installed.mkdir(parents=True)
        self.move_to(folder)
        self.patch(sys, "prefix", str(folder))
        self.assertEqual(self.static(), installed)

    def test_page_beside_the_source(self) -> None:
        """Without either, the one of the checkout."""
        folder = temporary_folder(self)
        self.move_to(folder)
        self.patch(sys, "prefix", str(folder))
        self.assertEqual(self.static(), Path(__file__).parents[2] / "public")
