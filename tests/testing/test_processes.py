"""Several processes on one clock: what they share, and what ends with one of them."""

from __future__ import annotations

import os
import random
import socket

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.flow import Shape
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.link import Wire
from lbproxy.testing.network import FakeNetwork
from lbproxy.testing.pipe import Pipe
from lbproxy.testing.reactor import SimReactor
from lbproxy.testing.sockets import FakeSocket


class Client:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_connected(self, wire: Wire) -> None:
        self.told.append("connected")

    def on_data(self, data: bytes) -> None:
        self.told.append(data.decode())

    def on_end(self) -> None:
        self.told.append("end")

    def on_reset(self) -> None:
        self.told.append("reset")

    def refused(self) -> None:
        self.told.append("refused")


class ProcessesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.kernel = Kernel()
        self.reactor = SimReactor(self.kernel, random.Random(1))
        self.network = FakeNetwork(self.kernel, random.Random(2), Shape, lambda *_: None)
        self.listening = self.kernel.make_socket(socket.AF_INET)
        self.listening.bind(("", 80))
        self.listening.listen(50)

    def fork(self) -> tuple[Kernel, FakeSocket]:
        """A process that inherits the listening socket, as its number 7."""
        kernel = self.kernel.fork({7: self.listening.fileno(), 1: 1})
        self.reactor.fork(kernel, random.Random(3))
        return kernel, kernel.inherited(7)

    def dial(self) -> Client:
        client = Client()
        self.network.dial(80, "10.0.0.2", Shape(), client, client.refused)
        self.wait(0.01)
        return client

    def wait(self, seconds: float) -> None:
        self.reactor.run_until(self.reactor.seconds() + seconds)

    def test_one_queue(self) -> None:
        """Whoever accepts first has the connection; those who wait outlive any one process."""
        (first, here), (_, there) = self.fork(), self.fork()
        clients = [self.dial(), self.dial()]
        accepted, _ = here.accept()
        self.assertIs(accepted.kernel, first)
        first.close()
        self.wait(0.01)
        self.assertEqual([each.told for each in clients], [["connected", "end"], ["connected"]])
        there.accept()
        with self.assertRaises(BlockingIOError):
            there.accept()

    def test_last_holder(self) -> None:
        """When the last process has closed it, those who wait are reset, and the port is free."""
        _, there = self.fork()
        waiting = self.dial()
        self.listening.close()
        self.assertEqual(waiting.told, ["connected"])
        there.close()
        self.assertEqual(self.dial().told, ["refused"])
        self.assertEqual(waiting.told, ["connected", "reset"])

    def test_shutdown(self) -> None:
        """Whoever shuts it down does so for all: those who wait are reset, others are refused."""
        (_, here), (_, there) = self.fork(), self.fork()
        waiting = self.dial()
        here.shutdown(socket.SHUT_WR)
        self.assertEqual(waiting.told, ["connected"])
        here.shutdown(socket.SHUT_RDWR)
        self.assertEqual(self.dial().told, ["refused"])
        self.assertEqual(waiting.told, ["connected", "reset"])
        with self.assertRaises(BlockingIOError):
            there.accept()

    def test_ports(self) -> None:
        """A port can be bound again only if all who have it say so."""
        other = self.kernel.make_socket(socket.AF_INET)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with self.assertRaises(OSError):
            other.bind(("", 80))
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("", 80))

    def test_time(self) -> None:
        """All have one time, and who has ended is called no more."""
        child = self.reactor.fork(self.kernel.fork({}), random.Random(3))
        began, called = self.reactor.seconds(), list[float]()
        for seconds in (1.0, 3.0):
            child.callLater(seconds, lambda: called.append(child.seconds() - began))
        self.wait(2.0)
        self.assertEqual(child.seconds(), self.reactor.seconds())
        self.reactor.reap(child)
        self.wait(2.0)
        self.assertEqual(called, [1.0])


class Ear(Protocol):
    """Notes what comes."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.heard.append(os.read(descriptor, 10))
        os.close(descriptor)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.heard.append("lost")


class PipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SimReactor(Kernel(), random.Random(1))
        self.here, self.there = Pipe.pair(self.reactor, 0.5)
        self.ear = Ear()

    def wait(self, seconds: float) -> None:
        self.reactor.run_until(self.reactor.seconds() + seconds)

    def test_order(self) -> None:
        """Bytes and descriptors come in order, and wait for who is not there yet."""
        read, write = os.pipe()
        os.write(write, b"file")
        self.here.write(b"a")
        self.here.sendFileDescriptor(read)
        os.close(read)
        self.here.write(b"b")
        self.wait(1.0)
        self.there.connect(self.ear)
        self.assertEqual(self.ear.heard, [b"a", b"file", b"b"])
        self.here.write(b"c")
        self.wait(0.4)
        self.assertEqual(self.ear.heard[3:], [])
        self.here.close()
        self.wait(0.7)
        self.assertEqual(self.ear.heard[3:], [b"c", "lost"])
        os.close(write)

    def test_nobody(self) -> None:
        """What comes when nobody is there any more is dropped, and descriptors are closed."""
        read, write = os.pipe()
        self.there.close()
        self.here.connect(self.ear)
        self.here.sendFileDescriptor(write)
        os.close(write)
        self.wait(1.0)
        self.assertEqual(os.read(read, 1), b"")
        self.assertEqual(self.ear.heard, ["lost"])
        os.close(read)
