"""Listening sockets that one process makes for others."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import ConfigError
from lbproxy.transport.listen import BACKLOG, Inherited, Sockets, inherited, server_endpoint

TCP = "tcp:0:interface=127.0.0.1"


class SocketsTests(SynchronousTestCase):
    def bind(self, description: str, count: int = 2) -> Sockets:
        """Sockets that are closed when the test ends."""
        made = Sockets(MemoryReactor(), "listeners.web.endpoint", description, count)
        self.addCleanup(made.close)
        return made

    def test_one_for_each(self) -> None:
        """Of a TCP port each process has a socket, and clients are spread over them."""
        made = self.bind(TCP, 3)
        (where,) = {each.getsockname() for each in made.sockets}
        clients = [socket.create_connection(where) for _ in range(96)]
        accepted = [0, 0, 0]
        for place, each in enumerate(made.sockets):
            try:
                while True:
                    each.accept()[0].close()
                    accepted[place] += 1
            except BlockingIOError:
                pass
        for client in clients:
            client.close()
        self.assertEqual(sum(accepted), 96)
        self.assertGreater(min(accepted), 0)

    def test_in_use(self) -> None:
        """A port that somebody listens on is refused, also if that one shares it."""
        port = self.bind(TCP).sockets[0].getsockname()[1]
        with self.assertRaises(ConfigError) as refused:
            self.bind(f"tcp:{port}:interface=127.0.0.1")
        said = f"listeners.web.endpoint: cannot listen on port {port}: Address already in use"
        self.assertIn(said, str(refused.exception))

    def refused(self, description: str) -> str:
        """Why it cannot be bound, behind the knob."""
        told = str(self.assertRaises(ConfigError, self.bind, description))
        return told.removeprefix("listeners.web.endpoint: cannot listen on ")

    def test_own(self) -> None:
        """Nobody is told to end the balancer that tells it."""
        port = self.bind(TCP).sockets[0].getsockname()[1]
        told = self.refused(f"tcp:{port}")
        self.assertIn("(held by this balancer itself); choose another port, or restart it", told)

    def test_no_address(self) -> None:
        """An address that the machine does not have."""
        told = self.refused("tcp:80:interface=192.0.2.1")
        said = "tcp:80:interface=192.0.2.1: this machine has no such address"
        self.assertEqual(told, said)

    def test_no_folder(self) -> None:
        """A Unix socket in a folder that is not there."""
        told = self.refused("unix:/nowhere/lb.sock")
        self.assertEqual(told, "unix:/nowhere/lb.sock: there is no folder /nowhere")

    def test_file(self) -> None:
        """Where something else is there is no socket, and no lock stays either."""
        path = Path(self.mktemp())
        path.write_text("precious")
        for description in (f"unix:{path}:mode=600", f"unix:mode=600:address={path}"):
            told = self.refused(description)
            said = f"{description}: something that is no socket is there; choose another path"
            self.assertEqual(told, said)
        self.assertEqual(path.read_text(), "precious")
        self.assertFalse(os.path.lexists(f"{path}.lock"))

    def test_closed(self) -> None:
        """Closing refuses clients when nobody else has the sockets."""
        made = self.bind(TCP)
        where = made.sockets[0].getsockname()
        made.close()
        made.close()
        with socket.socket() as client:
            self.assertNotEqual(client.connect_ex(where), 0)

    def test_ipv6(self) -> None:
        """IPv6 has its sockets as well."""
        made = self.bind("tcp6:0:interface=\\:\\:1")
        self.assertEqual({each.family for each in made.sockets}, {socket.AF_INET6})

    def test_proxied(self) -> None:
        """What speaks the PROXY protocol is bound the same way."""
        self.assertEqual(len(self.bind(f"haproxy:{TCP}").sockets), 2)


class BacklogTests(SynchronousTestCase):
    def backlogs(self, *descriptions: str) -> list[int]:
        """How many may wait at each of these endpoints."""
        reactor = MemoryReactor()
        for description in descriptions:
            server_endpoint(reactor, description).listen(Factory())
        return [told[2] for told in (*reactor.tcpServers, *reactor.unixServers)]

    def test_ours(self) -> None:
        """Unless an endpoint says how many clients may wait, they are many."""
        plain = ("tcp:80", r"tcp6:80:interface=\:\:1", "tcp:80:127.0.0.1", r"unix:/run/a\:b")
        self.assertEqual(self.backlogs(*plain), [BACKLOG] * 4)

    def test_said(self) -> None:
        """What it says holds, by name or by place."""
        said = ("tcp:80:backlog=7", "tcp:80:127.0.0.1:7", "unix:/run/x:666:7")
        self.assertEqual(self.backlogs(*said), [7] * 3)


class InheritedTests(SynchronousTestCase):
    def endpoint(self, listening: socket.socket) -> Inherited:
        """What listens on an inherited socket."""
        descriptor = os.dup(listening.fileno())
        port = self.successResultOf(inherited(object(), descriptor).listen(Factory()))
        assert isinstance(port, Inherited)
        self.addCleanup(port.stopListening)
        return port

    def test_addresses(self) -> None:
        """It knows where it listens."""
        with socket.create_server(("127.0.0.1", 0)) as tcp:
            host: Any = self.endpoint(tcp).getHost()
            self.assertEqual((host.host, host.port), tcp.getsockname())
        path = Path(self.mktemp())
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(path))
            port = self.endpoint(unix)
            host = port.getHost()
            self.assertEqual(host.name, os.fsencode(path))
            port.stopListening()
        self.assertTrue(path.exists())
