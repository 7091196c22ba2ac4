"""Who holds a port."""

from __future__ import annotations

import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.holder import OURSELVES, holder_of


class HolderTests(SynchronousTestCase):
    def test_held(self) -> None:
        """The process that listens is named with its id, and nobody when it has closed."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            holder = holder_of(port)
            assert holder is not None
            self.assertEqual(holder, OURSELVES)
            with subprocess.Popen(
                ["cat"], stdin=subprocess.PIPE, pass_fds=[listening.fileno()]
            ) as cat:
                self.assertEqual(holder_of(port), OURSELVES)
                listening.close()
                self.assertEqual(holder_of(port), f"cat, pid {cat.pid}")
        self.assertIsNone(holder_of(port))
