"""Where the admin listener listens."""

from __future__ import annotations

import os
import socket
import stat

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config import model
from lbproxy.control.admin import AdminService
from lbproxy.control.pages import Pages
from lbproxy.errors import ConfigError
from tests.config.folder import temporary_folder
from tests.control.staff import Staff


def _pages() -> Pages:
    staff = Staff()
    return Pages(staff.parent, staff.reloader.reload)


class AdminServiceTests(SynchronousTestCase):
    def service(self, reactor: object, config: model.Admin) -> AdminService:
        """One before a parent."""
        return AdminService(reactor, config, _pages())

    def test_life(self) -> None:
        """It binds early, on loopback, and closes its port at the end."""
        reactor = MemoryReactorClock()
        service = self.service(reactor, model.Admin())
        service.privilegedStartService()
        ((port, _, _, interface),) = reactor.tcpServers
        self.assertEqual((port, interface), (3900, "127.0.0.1"))
        service.startService()
        self.assertEqual(reactor.unixServers, [])
        self.successResultOf(service.stopService())
        self.successResultOf(service.stopService())

    def test_socket(self) -> None:
        """A socket is for one user, and is bound when the privileges are dropped."""
        reactor = MemoryReactorClock()
        path = str(temporary_folder(self) / "admin.sock")
        service = self.service(reactor, model.Admin(None, path))
        service.privilegedStartService()
        self.assertEqual((reactor.tcpServers, reactor.unixServers), ([], []))
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        service.startService()
        ((bound, _, _, mode, _),) = reactor.unixServers
        self.assertEqual((bound, mode), (path, 0o600))
        self.assertEqual(os.umask(0o022), 0o022)
        self.successResultOf(service.stopService())


class SocketTests(SynchronousTestCase):
    """What is at the socket's path already."""

    def setUp(self) -> None:
        self.path = temporary_folder(self) / "admin.sock"
        self.reactor = MemoryReactorClock()

    def start(self) -> None:
        """Start a service there."""
        config = model.Admin(None, str(self.path))
        AdminService(self.reactor, config, _pages()).startService()

    def refused(self) -> str:
        """What is said of it."""
        told = str(self.assertRaises(ConfigError, self.start))
        begin = f"admin.socket: cannot listen on {self.path}: "
        self.assertTrue(told.startswith(begin), told)
        return told.removeprefix(begin)

    def test_stale(self) -> None:
        """One that nobody listens on any more is taken away."""
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.path))
        self.start()
        self.assertFalse(self.path.exists())

    def test_held(self) -> None:
        """One that somebody listens on is left alone."""
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.path))
            other.listen()
            told = "another process listens there; end it, or choose another path"
            self.assertEqual(self.refused(), told)
            self.assertTrue(stat.S_ISSOCK(self.path.stat().st_mode))

    def test_file(self) -> None:
        """And so is what is no socket."""
        self.path.write_text("precious")
        told = "something that is no socket is there; choose another path"
        self.assertEqual(self.refused(), told)
        self.assertEqual(self.path.read_text(), "precious")

    def test_no_folder(self) -> None:
        """Whatever else is wrong is told in the system's words."""
        self.path.write_text("")
        self.path = self.path / "admin.sock"
        self.assertEqual(self.refused(), "Not a directory; choose another path")
