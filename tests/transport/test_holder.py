"""Who holds a port."""

from __future__ import annotations

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.holder import holder_of


class HolderTests(SynchronousTestCase):
    def test_held(self) -> None:
        """The process that listens is named with its id, and nobody when it has closed."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            holder = holder_of(port)
            assert holder is not None
            self.assertTrue(holder.endswith(f", pid {os.getpid()}"), holder)
        self.assertIsNone(holder_of(port))
