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
