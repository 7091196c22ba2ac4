"""The balancer's own reactor, on a clock and a kernel that are not real."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IHostnameResolver, IReactorFDSet, IReactorTCP, IReactorTime
from twisted.internet.posixbase import PosixReactorBase, _ContinuousPolling
from zope.interface import implementer

from lbproxy.transport.reactor import LeanReactor

if TYPE_CHECKING:
    from lbproxy.testing.kernel import FakePoll, Kernel
    from lbproxy.testing.sockets import FakeSocket

#: When simulated time begins, in seconds since 1970: 2027-01-15, 08:00 UTC.
EPOCH = 1_800_000_000.0

#: Turns without any time passing after which the reactor runs in circles.
ENOUGH = 20_000


class Spinning(AssertionError):
    """The reactor turns and turns, and no time passes: somebody is called again and again."""


class _Port(tcp.Port):
    """Twisted's port on a socket of ours."""

    def createInternetSocket(self) -> Any:
        reactor: Any = self.reactor
        return reactor.make_socket(self.addressFamily, self.socketType)


class _Client(tcp.Client):
    """Twisted's client on a socket of ours; probes connect by it."""

    def createInternetSocket(self) -> Any:
        reactor: Any = self.connector.reactor  # Its own is set later.
        return reactor.make_socket(self.addressFamily, self.socketType)


class _Connector(tcp.Connector):
    def _makeTransport(self) -> tcp.Client:
        return _Client(self.host, self.port, self.bindAddress, self, self.reactor)


@implementer(IHostnameResolver)
class _Names:
    """Knows every name: all are addresses of one machine."""

    def resolveHostName(
        self, receiver: Any, hostName: str, portNumber: int = 0, *more: object
    ) -> Any:
        receiver.resolutionBegan(None)
        receiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        receiver.resolutionComplete()
        return receiver


@implementer(IReactorTime, IReactorTCP, IReactorFDSet)
class SimReactor(LeanReactor):
    """`LeanReactor`, whose epoll and sockets are a `Kernel`, and whose time passes as told.

    Only the bottom is replaced. How descriptors are watched, how events become calls, how an error
    becomes the end of a connection: all of that is the code of production. What falls due at the
    same instant comes in an order that chance decides, and so do the events of one turn.

    Attributes:
        now: The time, in seconds since 1970.
        turns: How often it has turned.
        kernel: The descriptors of its process.
        processes: Makes other processes, if that is asked for.
    """

    def __init__(self, kernel: Kernel, chance: random.Random) -> None:
        """Build it at `EPOCH`.

        Args:
            kernel: Makes and watches sockets.
            chance: Orders what happens at one instant.
        """
        self.now = EPOCH
        self.turns = 0
        self.kernel = kernel
        self.processes: Any = None
        self._others: list[SimReactor] = []
        self._chance = chance
        kernel.reactor = self
        # What `EPollReactor` sets up, but for the epoll.
        self._poller: Any = kernel.make_epoll(chance)
        self._reads: set[int] = set()
        self._writes: set[int] = set()
        self._selectables: dict[int, Any] = {}
        self._calls: list[tuple[float, int, Any]] = []
        self._count = 0
        self._continuousPolling: Any = _ContinuousPolling(self)
        PosixReactorBase.__init__(self)
        base: Any = self
        base.installNameResolver(_Names())

    def installWaker(self) -> None:
        """There are no threads that would wake us."""

    def make_socket(self, family: int, kind: int) -> FakeSocket:
        """A socket, for whoever connects or listens."""
        return self.kernel.make_socket(family)

    def inherited_socket(self, number: int) -> FakeSocket:
        """A listening socket that the parent has made."""
        return self.kernel.inherited(number)

    def passed_socket(self, number: int) -> FakeSocket:
        """A duplicate of a listening socket of whoever has started us."""
        return self.kernel.passed[number].inherited_by(self.kernel)

    def make_poll(self) -> FakePoll:
        """What looks at single sockets, as `select.poll` does."""
        return self.kernel.make_poll()

    def seconds(self) -> float:
        """The time."""
        return self.now

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> tcp.Port:
        listening = _Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> tcp.Port:
        port: Any = _Port(0, factory, reactor=self)
        port._preexistingSocket = self.passed_socket(descriptor)
        port.startListening()
        listening: tcp.Port = port
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> tcp.Connector:
        connector = _Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    # Other processes.

    def fork(self, kernel: Kernel, chance: random.Random) -> SimReactor:
        """A reactor for another process, whose time passes with ours."""
        child = SimReactor(kernel, chance)
        child.now = self.now
        child._others = self._others  # It may make others, which are on the same clock.
        self._others.append(child)
        return child

    def hold(self, child: SimReactor) -> None:
        """Call nothing of another process until it is released."""
        self._others.remove(child)

    def release(self, child: SimReactor) -> None:
        """It goes on, and much is due at once."""
        child.now = self.now
        self._others.append(child)

    def reap(self, child: SimReactor) -> None:
        """A process has ended: nothing of it is called any more."""
        if child in self._others:
            self._others.remove(child)
        child._calls.clear()

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        """The parent's end of a link; the worker's is that of the process that is made next."""
        self.processes.adopt(factory.buildProtocol(None))

    def spawnProcess(
        self,
        processProtocol: Any,
        executable: Any,
        *command: Any,
        childFDs: Any = None,
        **more: Any,
    ) -> Any:
        """A worker's process; no other one is ever made."""
        return self.processes.spawn(processProtocol, childFDs)

    # Letting time pass.

    def stand_still(self, seconds: float) -> None:
        """Let time pass, and call nobody."""
        self._pass_to(self.now + seconds)

    def run_until(self, moment: float, done: Callable[[], object] | None = None) -> bool:
        """Let time pass, from one thing that is due to the next.

        Args:
            moment: Until then at most.
            done: Is asked after each turn.

        Returns:
            Whether it was done.

        Raises:
            Spinning: If things go on without any time passing.
        """
        at_once = 0
        stirred, others = self.kernel.stirred, self._others
        while True:
            self._turn()
            if others:
                self._turn_others()
            if done is not None and done():
                return True
            following = self.now if stirred else self._next()
            for other in others:
                if following > self.now:
                    following = self.now if other.kernel.stirred else min(following, other._next())
            if following <= self.now:
                at_once += 1
                if at_once > ENOUGH:
                    watched = [type(each).__name__ for each in self._selectables.values()]
                    raise Spinning(f"{ENOUGH} turns at one instant; watched: {watched}")
                continue
            at_once = 0
            if following > moment:
                self._pass_to(max(self.now, moment))
                return False
            self._pass_to(following)

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> DelayedCall:
        assert delay >= 0.0, delay
        call = DelayedCall(
            self.now + delay, callable, args, kw, _nothing, self._reschedule, self.seconds
        )
        self._reschedule(call)
        return call

    def call_at(self, moment: float, act: Callable[[], object]) -> None:
        """Call something that nobody will call off; a call of the past is due at once.

        That is most of what happens: bytes arrive. A `DelayedCall` costs more than they do.
        """
        self._count += 1
        heappush(self._calls, (moment, self._count, act))

    def getDelayedCalls(self) -> list[DelayedCall]:
        return [
            call
            for time, _, call in self._calls
            if type(call) is DelayedCall and call.active() and call.time == time
        ]

    def pending(self) -> list[str]:
        """What waits to be called, in words."""
        carried = [act for _, _, act in self._calls if type(act) is not DelayedCall]
        return [
            *(f"{call.func} at {call.getTime() - EPOCH:.3f}" for call in self.getDelayedCalls()),
            *(f"{act}" for act in carried),
        ]

    def _reschedule(self, call: DelayedCall) -> None:
        """Note when a call is due; a note of an earlier time than the call's own is void."""
        self._count += 1
        heappush(self._calls, (call.time, self._count, call))

    def _pass_to(self, moment: float) -> None:
        self.now = moment
        for other in self._others:
            other.now = moment

    def _turn_others(self) -> None:
        """Have the other processes turn, in any order; one may end another."""
        others = list(self._others)
        if len(others) > 1:
            self._chance.shuffle(others)
        for other in others:
            idle = not other.kernel.stirred and (not other._calls or other._calls[0][0] > self.now)
            if not idle and other in self._others:
                other._turn()

    def _turn(self) -> None:
        """Call what is due, then those for whom the kernel has something."""
        self.turns += 1
        calls = self._calls
        if calls and calls[0][0] <= self.now:
            self._call_what_is_due()
        if self.kernel.stirred:
            self.doPoll(0.0)

    def _call_what_is_due(self) -> None:
        calls, now = self._calls, self.now
        due = []
        while calls and calls[0][0] <= now:
            time, _, call = heappop(calls)
            if type(call) is DelayedCall:
                if call.cancelled or call.called or call.time != time:
                    continue
                if call.delayed_time > 0.0:
                    call.activate_delay()
                    self._reschedule(call)
                    continue
            due.append(call)
        if len(due) > 1:
            self._chance.shuffle(due)
        for call in due:
            try:
                if type(call) is not DelayedCall:
                    call()
                elif not call.cancelled:
                    call.called = 1
                    call.func(*call.args, **call.kw)
            except Exception:
                self.log.failure("a delayed call failed")

    def _next(self) -> float:
        """When something is due next; that it was called off is met, and passed over, then."""
        calls = self._calls
        while calls:
            moment, _, call = calls[0]
            if type(call) is not DelayedCall or not (call.cancelled or call.called):
                return moment
            heappop(calls)
        return inf


def _nothing(call: DelayedCall) -> None:
    """A call that is cancelled is met, and passed over, when it would be due."""
