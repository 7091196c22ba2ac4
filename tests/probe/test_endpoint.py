"""Where a probe connects to."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.web.client import URI

from lbproxy.probe.endpoint import AddressOf
from lbproxy.transport.connect import AGAIN
from tests.transport.turning import Recorder, TransportCase


class UnixTests(TransportCase):
    def test_crowded(self) -> None:
        """A Unix socket whose queue is full is not down: it is tried again, as by exchanges."""
        listening, address = self.crowded()
        uri = URI.fromBytes(b"http://localhost/health")
        place = AddressOf(self.reactor, address, 1.0, None).endpointForURI(uri)
        standing = place.connect(Factory.forProtocol(Recorder))
        self.reactor.turn()
        self.assertNoResult(standing)
        listening.accept()[0].close()
        self.reactor.advance(AGAIN)
        protocol: Any = self.successResultOf(standing)
        protocol.transport.abortConnection()
        self.reactor.turn()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
