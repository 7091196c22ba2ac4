"""Sessions of TCP mode: a number, so many bytes that way, so many back, and the end."""

from __future__ import annotations

from lbproxy.testing.backends import Backend, Delivery, Surroundings
from lbproxy.testing.link import Wire
from lbproxy.testing.payload import body
from lbproxy.testing.plan import Ask
from lbproxy.testing.results import Result
from lbproxy.testing.visitor import Visitor

#: Digits of the number with which a session begins.
DIGITS = 8

#: Bytes that may be under way each way. More would come in reads large enough for the balancer to
#: have the kernel move them, which the simulated one cannot.
NARROW = 16000


class SessionService:
    """One connection at a backend of a pool for sessions."""

    def __init__(self, wire: Wire, backend: Backend, world: Surroundings) -> None:
        self._wire = wire
        self._backend = backend
        self._world = world
        self._begin = b""
        self._delivery: Delivery | None = None
        wire.receiver = self

    def on_data(self, data: bytes) -> None:
        self._backend.do(lambda: self._feed(data))

    def on_end(self) -> None:
        """Who knocks closes without a word; others may close their side and read on."""
        if self._delivery is None:
            self._wire.close()

    def on_reset(self) -> None:
        """The session is over."""

    def _feed(self, data: bytes) -> None:
        if self._delivery is None:
            self._begin += data
            if self._begin.startswith(b"PROXY"):
                _, found, rest = self._begin.partition(b"\r\n")
                if not found:
                    return
                self._begin = rest
            if len(self._begin) < DIGITS:
                return
            number, data = int(self._begin[:DIGITS]), self._begin[DIGITS:]
            now = self._world.clock.seconds()
            ask = self._world.asks[number]
            self._delivery = Delivery(ask, self._backend.name, now, self._wire)
            self._world.delivered(self._delivery)
        self._take(self._delivery, data)

    def _take(self, delivery: Delivery, data: bytes) -> None:
        ask = delivery.ask
        awaited = body("request", ask.number, delivery.received, len(data))
        delivery.received += len(data)
        if data != awaited or delivery.received > ask.upload:
            self._world.violation(f"session {ask.number} reached its backend with other bytes")
        if delivery.received == ask.upload and not delivery.whole:
            delivery.whole = True
            self._later(ask.delay + self._backend.slow)

    def _later(self, seconds: float) -> None:
        self._world.clock.callLater(seconds, self._backend.do, self._answer)

    def _answer(self) -> None:
        assert self._delivery is not None
        ask = self._delivery.ask
        size = ask.size
        if ask.ailment is not None:
            self._world.happened(f"session_{ask.ailment.kind}")
            size = ask.ailment.at
        self._wire.write(body("answer", ask.number, 0, size))
        if ask.ailment is None:
            self._wire.close()
        elif ask.ailment.kind == "reset_body":
            self._wire.reset()


class SessionClient(Visitor):
    """One visit, each request of which is a session of its own."""

    def _dial(self) -> None:
        self._got = 0
        self._world.dial(self.visit, self, lambda: self._end("refused"))

    def _speak(self, wire: Wire, ask: Ask) -> None:
        self._world.tell("session", self.visit.number, ask.number)
        wire.write(b"%08d" % ask.number + body("request", ask.number, 0, ask.upload))
        if ask.chunked:  # Here: says that this was all.
            self._world.happened("session_half_closed")
            wire.end()
        if ask.keyed:  # Here: does not wait for the end.
            self._world.clock.callLater(self.visit.patience, self._leave, self._result)

    def on_data(self, data: bytes) -> None:
        ask = self._ask
        awaited = body("answer", ask.number, self._got, len(data))
        self._got += len(data)
        if data != awaited or self._got > ask.size:
            self._world.violation(f"session {ask.number} got other bytes than its backend sent")

    def on_end(self) -> None:
        self._end("session" if self._got == self._ask.size else "cut")

    def on_reset(self) -> None:
        self._end("cut")

    def _leave(self, result: Result) -> None:
        if result.ended is None and self._wire is not None:
            self._world.happened("session_left")
            self._wire.reset()
            self._end("left")

    def _end(self, how: str) -> None:
        result = self._result
        if result.ended is not None:
            return
        result.ended, result.how = self._world.clock.seconds(), how
        self._world.tell("session ends", result.ask.number, how)
        self._close()
        self._world.clock.callLater(0.01 + result.ask.think, self.begin)
