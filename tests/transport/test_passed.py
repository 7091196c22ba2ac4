"""Sockets that whoever started us has made."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from twisted.internet import endpoints
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import ConfigError
from lbproxy.transport.listen import Sockets, server_endpoint
from lbproxy.transport.passed import missing

BY_NAME, BY_INDEX = "systemd:domain=INET:name=web", "systemd:domain=INET:index=0"


@contextmanager
def passed(*names: str) -> Iterator[list[socket.socket]]:
    """Sockets of these names, as if systemd had passed them; with what it says of them."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    found = ListenFDs([each.fileno() for each in sockets], names)
    with (
        mock.patch.object(endpoints._SystemdParser, "_sddaemon", found),
        mock.patch.dict(os.environ, LISTEN_FDNAMES=":".join(names)),
    ):
        yield sockets
    for each in sockets:
        each.close()


class MissingTests(SynchronousTestCase):
    def test_there(self) -> None:
        """By its name or by its place."""
        with passed("web"):
            self.assertEqual([missing(BY_NAME), missing(BY_INDEX)], [None, None])

    def test_other(self) -> None:
        """What was passed instead is told."""
        with passed("other", "more"):
            told = missing(BY_NAME)
        said = 'no socket named "web" was passed by systemd (LISTEN_FDNAMES=other:more)'
        self.assertEqual(told, said)

    def test_none(self) -> None:
        """Nothing was passed, or not to this process."""
        with passed():
            del os.environ["LISTEN_FDNAMES"]
            told = missing(BY_INDEX)
            said = "no socket of that index was passed by systemd (LISTEN_FDNAMES is not set)"
            self.assertEqual(told, said)
            os.environ["LISTEN_PID"] = "17"
            said = 'no socket named "web" was passed by systemd (LISTEN_PID=17 is another process)'
            self.assertEqual(missing(BY_NAME), said)


class PassedEndpointTests(SynchronousTestCase):
    def test_again(self) -> None:
        """A socket that was given up can be had again: it is not closed."""
        with passed("web") as (theirs,):
            for _ in range(2):
                made = Sockets(MemoryReactor(), "listeners.web.endpoint", f"haproxy:{BY_NAME}", 2)
                (ours,) = made.sockets
                self.assertEqual(ours.getsockname(), theirs.getsockname())
                made.close()
            self.assertFalse(os.get_blocking(theirs.fileno()))

    def test_missing(self) -> None:
        """One that was not passed is told like a port that is held, with the knob."""
        with passed("other"), self.assertRaises(ConfigError) as refused:
            Sockets(MemoryReactor(), "listeners.web.endpoint", BY_NAME, 1)
        said = f'listeners.web.endpoint: cannot listen on {BY_NAME}: no socket named "web"'
        self.assertIn(said, str(refused.exception))

    def test_reactor(self) -> None:
        """The reactor gets it, which works on a duplicate of its own."""
        reactor: Any = MemoryReactor()
        with passed("web") as (theirs,), mock.patch.object(reactor, "adoptStreamPort") as adopt:
            self.successResultOf(server_endpoint(reactor, BY_INDEX).listen(Factory()))
            self.assertEqual(adopt.call_args.args[0], theirs.fileno())
