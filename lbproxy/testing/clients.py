"""Clients that ask as their plan says, and judge each answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from lbproxy.testing.asking import announcement, request_head
from lbproxy.testing.link import Wire
from lbproxy.testing.parting import TO_CLIENT, parts
from lbproxy.testing.payload import body
from lbproxy.testing.plan import Ask, Visit
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.results import LEAVERS, Result, judge

#: Requests that one who pipelines sends at once.
DEPTH = 4

#: Bytes of a request's body that one who uploads sends at a time, and the seconds between.
PIECE, PACE = 3000, 0.004


#: Seconds for which one reads an answer slowly, and then as others do: longer than trouble
#: lasts, and than any timeout that `configs.py` draws.
SLOW_FOR = 30.0

#: Seconds after which one who insists asks again, and who wants what is popular.
INSISTENCE, INTEREST = 3.0, 0.15


class Surroundings(Protocol):
    """What a client needs of its world."""

    clock: Any

    @property
    def ending(self) -> bool:
        """Whether the balancer, or a worker, has been asked to end."""

    def tell(self, *what: object) -> None:
        """Note something in the trace."""

    def happened(self, kind: str) -> None:
        """Count a fault that really happened."""

    def violation(self, what: str) -> None:
        """Something must not be."""

    def dial(self, visit: Visit, receiver: Any, refused: Callable[[], None]) -> None:
        """Connect to the balancer."""

    def visited(self, client: object) -> None:
        """A client has nothing more to do."""


class Client:
    """One visit.

    Attributes:
        visit: Its plan.
        results: What became of its requests so far.
        wires: Its connections so far.
    """

    def __init__(self, world: Surroundings, visit: Visit) -> None:
        """Prepare; `begin` connects.

        Args:
            world: Has the balancer.
            visit: What to do.
        """
        self.visit = visit
        self.results: list[Result] = []
        self.wires: list[Wire] = []
        self._world = world
        self._left = list(visit.asks)
        self._open: list[Result] = []
        self._wire: Wire | None = None
        self._reader: MessageReader
        self._got = 0
        self._head: Head | None = None
        self._document = b""
        self._gone = False
        self._sending: tuple[Result, int] | None = None
        self._waiting = False
        self._last_sent = False
        self._asked = 0

    @property
    def wire(self) -> Wire | None:
        """Its connection, if there is one."""
        return self._wire

    @property
    def number(self) -> int:
        """As in the plan."""
        return self.visit.number

    def begin(self) -> None:
        """Connect, and go on with what is left."""
        if not self._left:
            self._world.visited(self)
            return
        self._reader = MessageReader(self, until_close=True)
        self._world.dial(self.visit, self, self._refused)

    # What the network tells.

    def on_connected(self, wire: Wire) -> None:
        self._wire = wire
        self.wires.append(wire)
        self._last_sent = False
        self._sending = None
        if self.visit.announced:
            self._world.happened("announced")
            wire.write(announcement(self.number))
        self._ask_next()

    def _refused(self) -> None:
        now = self._world.clock.seconds()
        for ask in self._left:
            self.results.append(Result(ask, now, now, "refused"))
        self._left = []
        self._world.visited(self)

    def on_data(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Unreadable as error:
            self._world.violation(f"client {self.number} got what is no answer: {error}")
            self._leave("cut", reset=True)

    def on_end(self) -> None:
        self._last_sent = True
        between = self._reader.end()
        if not between and not self._open:
            self._world.violation(f"client {self.number} got bytes without having asked")
        self._lost()

    def on_reset(self) -> None:
        self._lost()

    # What is read.

    def on_head(self, head: Head) -> bool:
        if self._wire is None:
            return False
        if head.status < 200 and head.status != 101:
            if head.status == 100:
                self._send_body()
            elif self._open:
                self._open[0].hints += 1
            return False
        if not self._open:
            self._world.violation(f"client {self.number} got an answer without having asked")
            return False
        self._head = head
        self._got = 0
        self._document = b""
        result = self._open[0]
        result.status = head.status
        result.backend = head.fields.get(b"x-served-by", b"").decode()
        if head.status == 101:
            self._sending = (result, 0)
            self._send_body()
        return result.ask.method != "HEAD"

    def on_body(self, data: bytes) -> None:
        if self._wire is None:
            return
        result, head = self._open[0], self._head
        assert head is not None
        if head.fields.get(b"x-ask") == b"%d" % result.ask.number:
            awaited = body("answer", result.ask.number, self._got, len(data))
            if data != awaited and self._is_parted_from(head, data, awaited):
                self._leave("left", reset=False)
                return
            if data != awaited:
                self._wrong(result, f"got other bytes than its backend sent, from {self._got} on")
        else:
            self._document += data
        self._got += len(data)
        if self.visit.manner == "leaves_midway" and self._got > result.ask.size // 2:
            self._leave("left", reset=False)

    def on_whole(self) -> None:
        head, self._head = self._head, None
        if head is None or not self._open:
            return
        result = self._open.pop(0)
        killed = self.wires[-1].link.skt.kernel.killed
        for wrong in judge(result, head, self._got, self._document, killed):
            self._wrong(result, wrong)
        again = result.ask.popular or result.how == "problem"
        if again and self._asked < result.ask.insists:
            self._insist(result, head)
            return
        result.ended = self._world.clock.seconds()
        self._world.tell("answered", result.ask.number, result.how, result.status, result.reason)
        if head.fields.get(b"connection") == b"close":
            self._last_sent = True
            return  # The end follows.
        self._ask_next()

    def _insist(self, result: Result, head: Head) -> None:
        """Ask once more, as people and their programs do."""
        popular = result.ask.popular
        self._asked += 1
        self._world.happened("popular" if popular else "insists")
        self.results.remove(result)
        think = INTEREST if popular else INSISTENCE
        self._left.insert(0, attrs.evolve(result.ask, think=think))
        if head.fields.get(b"connection") == b"close":
            self._last_sent = True
            return  # The end follows.
        self._ask_next()

    def _is_parted_from(self, head: Head, data: bytes, awaited: bytes) -> bool:
        ends = head.status == 101 and self._world.ending
        return ends and parts(data, awaited, TO_CLIENT)

    def _wrong(self, result: Result, what: str) -> None:
        self._world.violation(f"{result.ask.number} {what}")

    # What is asked.

    def _ask_next(self) -> None:
        """Send what comes next, if it is time."""
        manner = self.visit.manner
        depth = DEPTH if manner == "pipelines" else 1
        while (
            self._left
            and len(self._open) < depth
            and self._sending is None
            and not (self._waiting or self._last_sent or self._gone)
        ):
            ask = self._left[0]
            if ask.think and not (self._open and manner == "pipelines"):
                self._waiting = True
                self._world.clock.callLater(ask.think, self._thought)
                return
            self._send(self._left.pop(0))
        if not self._left and not self._open and self._wire is not None:
            self._leave("left", reset=False)

    def _thought(self) -> None:
        self._waiting = False
        wire = self._wire
        if self._gone or self._last_sent:
            return
        if wire is None or wire.closed:
            return  # Connecting anew; that asks.
        if self._left:
            self._send(self._left.pop(0))
            self._ask_next()

    def _send(self, ask: Ask) -> None:
        wire = self._wire
        assert wire is not None
        result = Result(ask, self._world.clock.seconds())
        self.results.append(result)
        self._open.append(result)
        self._world.tell("asks", self.number, ask.number, ask.method)
        head = request_head(ask, self.visit.manner)
        if self.visit.manner == "dribbles":
            self._world.happened("dribbles")
            self._dribble(wire, head)
        else:
            wire.write(head)
        if ask.upload and ask.method != "WS":
            self._sending = (result, 0)
            if ask.expect and ask.waits:
                self._world.clock.callLater(1.0, self._send_body_of, result)
            else:
                self._send_body()
        self._misbehave(wire)

    def _dribble(self, wire: Wire, head: bytes) -> None:
        """Send a head byte by byte: in time, or not."""
        wire.write(head[:1])
        if len(head) > 1:
            self._world.clock.callLater(self.visit.patience, self._dribble, wire, head[1:])

    def _send_body_of(self, result: Result) -> None:
        """Nothing was heard for a second: send the body all the same, unless it is under way."""
        if self._sending == (result, 0):
            self._send_body()

    def _send_body(self) -> None:
        if self._sending is None or self._wire is None or not self._wire.writable:
            return
        result, start = self._sending
        ask = result.ask
        pieces = self.visit.manner == "uploads"
        size = min(PIECE, ask.upload - start) if pieces else ask.upload
        data = body("request", ask.number, start, size)
        chunked = ask.chunked and ask.method != "WS"
        if chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._wire.write(data)
        if start + size < ask.upload:
            self._sending = (result, start + size)
            self._world.clock.callLater(PACE, self._send_body)
            return
        if chunked:
            self._wire.write(b"0\r\nX-Sum: 1\r\n\r\n" if ask.number % 2 else b"0\r\n\r\n")
        self._sending = None
        self._ask_next()

    def _misbehave(self, wire: Wire) -> None:
        manner, later = self.visit.manner, self._world.clock.callLater
        if manner == "half_closes":
            self._world.happened(manner)
            wire.end()
        elif manner in ("leaves", "resets"):
            later(self.visit.patience, self._leave_if, self._open[-1], manner == "resets")
        elif manner == "slow":
            wire.pause()
            slow_until = self._world.clock.seconds() + SLOW_FOR
            later(self.visit.patience, self._look, wire, slow_until)

    def _look(self, wire: Wire, slow_until: float) -> None:
        """One who reads slowly reads what has come, and looks away again."""
        if wire.closed or self._gone:
            return
        self._world.happened("slow_reader")
        wire.resume()
        if self._open and not wire.closed and self._world.clock.seconds() < slow_until:
            wire.pause()
            self._world.clock.callLater(self.visit.patience, self._look, wire, slow_until)

    def _leave_if(self, result: Result, reset: bool) -> None:
        if result.ended is None and not self._gone:
            self._leave("left", reset=reset)

    def _leave(self, how: str, reset: bool) -> None:
        """Go, whatever is still under way."""
        wire, self._wire = self._wire, None
        if self._open:
            self._world.happened("left")
            if self.visit.manner in LEAVERS:
                self._world.happened(self.visit.manner)
        now = self._world.clock.seconds()
        for result in self._open:
            result.ended, result.how = now, how
        self._open = []
        if wire is not None:
            if reset:
                wire.reset()
            else:
                wire.close()
        self._go_on()

    def _lost(self) -> None:
        """The connection has ended; what is under way will not be answered."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        wire.close()
        now = self._world.clock.seconds()
        for result in self._open:
            result.ended = now
            result.how = "left" if self.visit.manner == "half_closes" else "cut"
            self._world.tell("cut", result.ask.number)
        self._open = []
        self._go_on()

    def _go_on(self) -> None:
        """With a new connection, if something is left to ask."""
        self._sending = None
        if self._left and not self._gone:
            self._world.clock.callLater(0.01, self.begin)
        elif not self._gone:
            self._gone = True
            self._world.visited(self)
