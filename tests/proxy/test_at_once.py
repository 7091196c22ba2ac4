"""Many wait, and each connection that is made for them fails at once."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReactorTCP, IReactorTime
from zope.interface import implementer_only

from lbproxy.config import model
from tests.proxy.test_stream import SessionCase
from tests.proxy.wires import BalancerCase, Reactor

MANY = 1024
QUEUE = model.Queue(length=MANY, wait=60.0)


class Socket:
    """A socket that connects to nowhere.

    Attributes:
        code: What `connect` and then `SO_ERROR` give.
    """

    code = errno.EINPROGRESS

    def setblocking(self, flag: bool) -> None:
        """It never does."""

    def fileno(self) -> int:
        """None that matters."""
        return -1

    def connect_ex(self, where: Any) -> int:
        """Fail now, or later."""
        return self.code

    def getsockopt(self, level: int, option: int) -> int:
        """Have failed."""
        return self.code

    def close(self) -> None:
        """There is nothing to close."""


@implementer_only(IReactorTCP, IReactorTime, IReactorFDSet)
class Gone(Reactor):
    """A network that watches descriptors, of sockets whose connections only fail."""

    def make_socket(self, family: int, kind: int) -> Socket:
        """One more."""
        return Socket()

    def go(self) -> None:
        """From now on each fails at once, and now those that are being made."""
        Socket.code = errno.ENOENT
        for writer in list(self.writers):
            writer.doWrite()

    def settle(self) -> None:
        """Turn until nothing is to be called at once any more."""
        while any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
            self.advance(0)


class ExchangeTests(BalancerCase):
    makes_reactor = Gone
    reactor: Gone

    def setUp(self) -> None:
        self.patch(Socket, "code", errno.EINPROGRESS)

    def come(self) -> None:
        """All clients come."""
        for number in range(MANY + 1):
            self.client(b"GET /%d HTTP/1.1\r\nHost: shop\r\n\r\n" % number)

    def targets(self) -> list[int]:
        """Which requests are in the log, in order."""
        return [int(line["target"][1:]) for line in self.log.lines]

    def test_queue(self) -> None:
        """Each gets its turn and its answer, in the order in which they came."""
        self.start("10.0.0.1", max_in_flight=1, queue=QUEUE)
        self.come()
        self.assertEqual(len(self.upstreams.waiting), MANY)
        self.reactor.go()
        self.reactor.settle()
        self.assertEqual(self.targets(), list(range(MANY + 1)))
        self.assertEqual({line["reason"] for line in self.log.lines}, {"no_backend"})
        self.assert_nothing_left()

    def test_two_backends(self) -> None:
        """The same where what fails at one is tried at the other, as far as the budget goes."""
        self.start("10.0.0.1", "10.0.0.2", max_in_flight=1, queue=QUEUE)
        self.come()
        self.reactor.go()
        self.reactor.settle()
        self.assertEqual(sorted(self.targets()), list(range(MANY + 1)))
        self.assertEqual({line["reason"] for line in self.log.lines}, {"no_backend"})
        self.assert_nothing_left()

    def test_held(self) -> None:
        """Who is held and let go too soon is held again, in his old place, and told in the end."""
        hold = model.Hold(10.0, MANY + 1)
        self.start("10.0.0.1", hold_when_down=hold, slow_start=0.0, max_in_flight=2 * MANY)
        self.reactor.go()
        self.come()
        self.reactor.settle()
        self.assertEqual(len(self.upstreams.waiting.held), MANY + 1)
        for _ in range(3):
            self.pool._reach(self.pool.backends[0], True, self.reactor.seconds())
            self.reactor.settle()
            self.assertEqual(len(self.upstreams.waiting.held), MANY + 1)
        self.assertEqual({backend.in_flight for backend in self.pool.backends}, {0})
        self.pass_time(10.5)
        self.assertEqual(self.targets(), list(range(MANY + 1)))
        self.assertEqual({line["reason"] for line in self.log.lines}, {"hold_expired"})
        self.assert_nothing_left()


class SessionTests(SessionCase):
    makes_reactor = Gone
    reactor: Gone

    def setUp(self) -> None:
        self.patch(Socket, "code", errno.EINPROGRESS)

    def test_queue(self) -> None:
        """Each session gets its turn, and ends."""
        self.start("10.0.0.1", max_in_flight=1, queue=QUEUE)
        clients = [self.session() for _ in range(MANY + 1)]
        self.assertEqual(len(self.upstreams.waiting), MANY)
        self.reactor.go()
        self.reactor.settle()
        self.assertEqual({line["reason"] for line in self.log.lines}, {"no_backend"})
        self.assertEqual(len(self.log.lines), MANY + 1)
        self.assertFalse([client for client in clients if client.open])
        self.assert_nothing_left()
