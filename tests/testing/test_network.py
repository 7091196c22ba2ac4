"""Connections that are not real behave as real ones do."""

from __future__ import annotations

import errno
import random
import select
import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.flow import Shape
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.link import Wire
from lbproxy.testing.network import Door, FakeNetwork, Host
from lbproxy.testing.reactor import SimReactor, Spinning
from lbproxy.testing.sockets import FakeSocket


class Listener:
    """The other end: notes what it is told."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.got = b""
        self.told: list[str] = []
        wire.receiver = self

    def on_data(self, data: bytes) -> None:
        self.got += data

    def on_end(self) -> None:
        self.told.append("end")

    def on_reset(self) -> None:
        self.told.append("reset")


class NetworkCase(SynchronousTestCase):
    shape = Shape(latency=0.5, capacity=10)

    def setUp(self) -> None:
        self.kernel = Kernel()
        self.reactor = SimReactor(self.kernel, random.Random(1))
        network = FakeNetwork(self.kernel, random.Random(3), lambda: self.shape, lambda *_: None)
        self.others: list[Listener] = []
        self.host = Host(lambda wire: self.others.append(Listener(wire)))
        network.hosts["10.0.0.9", 80] = self.host

    def connect(self) -> FakeSocket:
        """A socket of the balancer's on its way to the host."""
        skt = self.kernel.make_socket(socket.AF_INET)
        self.assertEqual(skt.connect_ex(("10.0.0.9", 80)), errno.EINPROGRESS)
        return skt

    def connected(self) -> tuple[FakeSocket, Listener]:
        """Both ends of a connection."""
        skt = self.connect()
        self.wait(0.5)
        return skt, self.others[-1]

    def wait(self, seconds: float) -> None:
        self.reactor.run_until(self.reactor.seconds() + seconds)


class ConnectTests(NetworkCase):
    def test_stands(self) -> None:
        """A connection stands after the latency."""
        skt = self.connect()
        self.assertEqual(skt.events(), 0)
        self.wait(0.5)
        self.assertEqual(skt.events(), select.EPOLLOUT)
        self.assertEqual(skt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)

    def test_no_way(self) -> None:
        """Where no way leads `connect` itself says so, and may be called again."""
        self.host.door, self.host.error = Door.NO_WAY, errno.EAGAIN
        skt = self.kernel.make_socket(socket.AF_INET)
        self.assertEqual(skt.connect_ex(("10.0.0.9", 80)), errno.EAGAIN)
        self.assertEqual(skt.events(), select.EPOLLOUT | select.EPOLLHUP)
        self.host.door = Door.OPEN
        self.assertEqual(skt.connect_ex(("10.0.0.9", 80)), errno.EINPROGRESS)
        self.wait(0.5)
        self.assertEqual((skt.events(), len(self.others)), (select.EPOLLOUT, 1))

    def test_refused(self) -> None:
        """A refusal is told once, as an error of the socket."""
        self.host.door = Door.REFUSING
        skt = self.connect()
        self.wait(0.5)
        self.assertTrue(skt.events() & select.EPOLLERR)
        error = skt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.assertEqual(error, errno.ECONNREFUSED)
        self.assertEqual(skt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)

    def test_dark(self) -> None:
        """In the dark nothing is ever told."""
        self.host.door = Door.DARK
        skt = self.connect()
        self.wait(100.0)
        self.assertEqual(skt.events(), 0)


class BytesTests(NetworkCase):
    def test_latency(self) -> None:
        """Bytes come after the latency, in order."""
        skt, other = self.connected()
        other.wire.write(b"ab")
        other.wire.write(b"c")
        self.wait(0.4)
        with self.assertRaises(BlockingIOError):
            skt.recv(100)
        self.wait(0.1)
        self.assertEqual(skt.recv(100), b"abc")

    def test_back_pressure(self) -> None:
        """No more is taken than there is room for, until the other side has read."""
        skt, other = self.connected()
        other.wire.pause()
        self.assertEqual(skt.send(b"x" * 30), 10)
        with self.assertRaises(BlockingIOError):
            skt.send(b"x")
        self.wait(10.0)
        self.assertFalse(skt.events() & select.EPOLLOUT)
        other.wire.resume()
        self.assertEqual(other.got, b"x" * 10)
        self.assertTrue(skt.events() & select.EPOLLOUT)

    def test_wire_waits_for_room(self) -> None:
        """The other side's bytes wait until the balancer has read."""
        skt, other = self.connected()
        other.wire.write(b"0123456789abcde")
        self.wait(5.0)
        self.assertEqual(skt.recv(100), b"0123456789")
        self.wait(0.5)
        self.assertEqual(skt.recv(100), b"abcde")

    def test_finely(self) -> None:
        """Bytes come in the smallest pieces, and none is lost or out of order."""
        self.shape = Shape(latency=0.5, capacity=1000, fine=40)
        skt, other = self.connected()
        data = bytes(range(100))
        other.wire.write(data)
        self.wait(0.5)
        pieces: list[bytes] = []
        while sum(map(len, pieces)) < len(data):
            pieces.append(skt.recv(100))
        self.assertEqual(b"".join(pieces), data)
        self.assertEqual(min(map(len, pieces)), 1)
        sent = 0
        while sent < len(data):
            sent += skt.send(data[sent:])
        self.wait(0.5)
        self.assertEqual(other.got, data)

    def test_stall(self) -> None:
        """What is stalled arrives when it goes on."""
        skt, other = self.connected()
        other.wire.link.to_balancer.stall()
        other.wire.write(b"ab")
        self.wait(5.0)
        self.assertFalse(skt.events() & select.EPOLLIN)
        other.wire.link.to_balancer.go_on()
        self.assertEqual(skt.recv(100), b"ab")


class EndTests(NetworkCase):
    def test_half_close(self) -> None:
        """The end of one side is that side's only."""
        skt, other = self.connected()
        skt.shutdown(socket.SHUT_WR)
        self.wait(0.5)
        self.assertEqual(other.told, ["end"])
        other.wire.write(b"more")
        self.wait(0.5)
        self.assertEqual(skt.recv(100), b"more")
        with self.assertRaises(BrokenPipeError):
            skt.send(b"x")

    def test_end(self) -> None:
        """An end comes behind the bytes before it, and can be read again and again."""
        skt, other = self.connected()
        other.wire.write(b"last")
        other.wire.close()
        self.wait(0.5)
        self.assertEqual([skt.recv(100), skt.recv(100), skt.recv(100)], [b"last", b"", b""])

    def test_reset(self) -> None:
        """A reset is told once; what came before it can still be read."""
        skt, other = self.connected()
        other.wire.write(b"last")
        self.wait(0.5)
        other.wire.reset()
        self.wait(0.5)
        self.assertTrue(skt.events() & select.EPOLLHUP)
        self.assertEqual(skt.recv(100), b"last")
        with self.assertRaises(ConnectionResetError):
            skt.recv(100)
        self.assertEqual(skt.recv(100), b"")

    def test_sending_to_the_closed(self) -> None:
        """Who has closed answers with a reset."""
        skt, other = self.connected()
        other.wire.close()
        skt.send(b"x")
        self.wait(1.0)
        with self.assertRaises(ConnectionResetError):
            skt.recv(100)

    def test_unread_bytes_make_a_reset(self) -> None:
        """Closing with unread bytes resets, and so does lingering for no time."""
        skt, other = self.connected()
        other.wire.write(b"unread")
        self.wait(0.5)
        skt.close()
        self.wait(0.5)
        self.assertEqual(other.told, ["reset"])
        skt, other = self.connected()
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        skt.close()
        self.wait(0.5)
        self.assertEqual(other.told, ["reset"])

    def test_descriptors(self) -> None:
        """The lowest free descriptor is next; a closed one is none."""
        skt, _ = self.connected()
        fd = skt.fileno()
        skt.close()
        self.assertEqual(skt.fileno(), -1)
        self.assertEqual(self.kernel.make_socket(socket.AF_INET).fileno(), fd)
        with self.assertRaises(OSError):
            skt.recv(1)


class EpollTests(NetworkCase):
    def test_objects(self) -> None:
        """It objects to what the real one objects to."""
        epoll = self.reactor._poller
        skt, _ = self.connected()
        fd = skt.fileno()
        with self.assertRaises(FileNotFoundError):
            epoll.modify(fd, select.EPOLLIN)
        epoll.register(fd, select.EPOLLIN)
        with self.assertRaises(FileExistsError):
            epoll.register(fd, select.EPOLLIN)
        skt.close()
        with self.assertRaises(OSError):
            epoll.unregister(fd)

    def test_level(self) -> None:
        """What is ready is told until it is not ready any more."""
        epoll = self.reactor._poller
        skt, other = self.connected()
        other.wire.write(b"a")
        self.wait(0.5)
        epoll.register(skt.fileno(), select.EPOLLIN)
        told = [(skt.fileno(), select.EPOLLIN)]
        self.assertEqual([epoll.poll(0, 10), epoll.poll(0, 10)], [told, told])
        skt.recv(1)
        self.assertEqual(epoll.poll(0, 10), [])


class ReactorTests(NetworkCase):
    def test_steps(self) -> None:
        """Time goes from one call to the next, so each sees its own."""
        seen: list[float] = []
        began = self.reactor.seconds()
        for delay in (2.0, 1.0):
            self.reactor.callLater(delay, lambda: seen.append(self.reactor.seconds() - began))
        self.wait(10.0)
        self.assertEqual(seen, [1.0, 2.0])

    def test_order_of_one_instant(self) -> None:
        """What is due at one instant comes in an order that chance decides, and repeats."""
        orders = []
        for seed in (1, 1, 2):
            reactor = SimReactor(Kernel(), random.Random(seed))
            order: list[int] = []
            for number in range(20):
                reactor.callLater(1.0, order.append, number)
            reactor.run_until(reactor.seconds() + 1.0)
            orders.append(order)
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])

    def test_cancelled_within_its_instant(self) -> None:
        """A call can be cancelled by another one of the same instant."""
        called: list[int] = []
        calls = [
            self.reactor.callLater(1.0, lambda: act(0)),
            self.reactor.callLater(1.0, lambda: act(1)),
        ]

        def act(number: int) -> None:
            called.append(number)
            calls[1 - number].cancel()

        self.wait(1.0)
        self.assertEqual(len(called), 1)

    def test_reset_and_delay(self) -> None:
        """A call can be put off, and brought forward."""
        seen: list[str] = []
        self.reactor.callLater(5.0, seen.append, "sooner").reset(1.0)
        self.reactor.callLater(1.0, seen.append, "later").delay(2.0)
        self.wait(2.0)
        self.assertEqual(seen, ["sooner"])
        self.wait(1.0)
        self.assertEqual(seen, ["sooner", "later"])
        self.assertEqual(self.reactor.pending(), [])

    def test_spinning(self) -> None:
        """Whoever is called again and again at one instant is found out."""

        def again() -> None:
            self.reactor.callLater(0.0, again)

        again()
        with self.assertRaises(Spinning):
            self.wait(1.0)
