"""Simulated balancers that are started one after another on the same sockets."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing import passed
from lbproxy.testing.configs import PORTS, config_of
from lbproxy.testing.flow import Shape
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.network import FakeNetwork
from lbproxy.testing.passed import Holder, known, wants_passed, with_passed
from lbproxy.testing.reactor import SimReactor
from lbproxy.transport.listen import Sockets, server_endpoint

WEB = "systemd:domain=INET:name=web"


class PassedTests(SynchronousTestCase):
    def setUp(self) -> None:
        kernel = Kernel()
        self.reactor = SimReactor(kernel, random.Random(1))
        self.network = FakeNetwork(kernel, random.Random(2), Shape, lambda *_: None)
        self.holder = Holder(self.network)
        self.holder.pass_to(kernel)

    def test_config(self) -> None:
        """All listeners are told to take what is there, by their names."""
        config = config_of(random.Random(1))
        self.assertFalse(wants_passed(config))
        config = with_passed(config)
        self.assertTrue(wants_passed(config))
        told = {each.name: each.endpoint for each in config.listeners}
        self.assertEqual(told.keys(), passed.NUMBERS.keys())
        self.assertEqual(told["web"], WEB)
        self.assertEqual(told["announced"], "haproxy:systemd:domain=INET:name=announced")

    def test_one_process(self) -> None:
        """The reactor listens on a duplicate; when that is closed, its holder still listens."""
        with known():
            listening = self.successResultOf(server_endpoint(self.reactor, WEB).listen(Factory()))
        port: Any = listening
        self.assertEqual(port.getHost().port, PORTS["web"])
        stopped = port.stopListening()
        self.reactor.run_until(self.reactor.seconds() + 1.0)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.kernel.sockets, {})
        self.assertTrue(self.network.is_bound(PORTS["web"]))

    def test_several(self) -> None:
        """So does a parent, for its workers."""
        with known():
            sockets = Sockets(self.reactor, "listeners.web.endpoint", WEB, 2)
        (ours,) = sockets.sockets
        self.assertEqual(ours.getsockname()[1], PORTS["web"])
        sockets.close()
        self.assertEqual(self.reactor.kernel.sockets, {})
        self.assertTrue(self.network.is_bound(PORTS["web"]))
