"""A backend's connections, and answers as each request's plan says: well or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from lbproxy.testing.answers import UNASKED, health, message
from lbproxy.testing.backends import Backend, Delivery, Surroundings
from lbproxy.testing.link import Wire
from lbproxy.testing.orders.counter import Counter
from lbproxy.testing.parting import TO_BACKEND, parts
from lbproxy.testing.payload import body
from lbproxy.testing.plan import Ailment, Ask
from lbproxy.testing.reading import Head, MessageReader, Unreadable
from lbproxy.testing.streams.backend import take_over

#: Bytes of a body that are given at a time.
PIECE = 8192


class Service:
    """One connection at a backend."""

    def __init__(self, wire: Wire, backend: Backend, world: Surroundings) -> None:
        self._wire = wire
        self._backend = backend
        self._world = world
        self._reader = MessageReader(self, until_close=False)
        self._delivery: Delivery | None = None
        self._probe = False
        self._idle: Any = None
        self._acts: Iterator[float] | None = None
        self._tainted: float | None = None
        self._tunnel = False
        self._counter = Counter(wire, backend, world.desk, world.clock)
        wire.receiver = self
        self._await_request()

    # What the network tells.

    def on_data(self, data: bytes) -> None:
        self._backend.do(lambda: self._feed(data))

    def on_end(self) -> None:
        self._backend.do(self._ended)

    def on_reset(self) -> None:
        self._over()

    def _feed(self, data: bytes) -> None:
        if self._wire.closed:
            return
        self._stop_idling()
        if self._tunnel:
            self.on_body(data)
            self._end_tunnel()
            return
        try:
            self._reader.feed(data)
        except Unreadable as error:
            self._world.violation(f"{self._backend.name} was sent what is no request: {error}")
            self._wire.reset()

    def _ended(self) -> None:
        if self._delivery is None or self._delivery.answered is not None:
            self._wire.close()
            self._over()

    def _over(self) -> None:
        self._stop_idling()
        if self._delivery is not None and self._delivery.answered is None:
            self._delivery.answered = self._world.clock.seconds()

    # What is read.

    def on_head(self, head: Head) -> bool:
        target = head.start[1].decode()
        planned = target.startswith("/r/")
        if self._tainted is not None and not planned:  # An order, which has met what stands here.
            self._wire.reset()
            self._over()
            self._delivery = None  # What else of it comes in this piece is not of the last one.
            return True
        if self._counter.begin(head):
            return True
        self._probe = not planned
        if self._probe:
            return True
        if b"expect" in head.fields:
            self._world.happened("expected")
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        ask = self._world.asks[int(target.rpartition("/")[2])]
        now = self._world.clock.seconds()
        self._delivery = delivery = Delivery(ask, self._backend.name, now, self._wire)
        times = self._world.delivered(delivery)
        self._backend.deliveries.append(delivery)
        if ask.method == "BAD" or ask.local:
            self._world.violation(f"{ask.number} reached {self._backend.name}: it is for nobody")
        if b"x-request-id" not in head.fields:
            self._world.violation(f"{ask.number} came without a request id")
        if self._tainted is not None:
            self._meet_on_tainted(ask, now - self._tainted)
            return True
        ailment = ask.ailment
        if ailment is None or not ailment.strikes(times):
            return True
        delivery.ailment = ailment
        if ailment.kind == "reads_late":
            self._wire.pause()
            self._world.clock.callLater(0.7, self._read_on)
        elif ailment.kind in ("early", "early_close") and ask.upload:
            self._begin(delivery)
        elif ailment.kind == "close_half_read":
            self._happened(ailment)
            self._wire.close()
            self._over()
        return True

    def _read_on(self) -> None:
        """Enough was waited."""
        self._world.happened("reads_late")
        self._wire.resume()

    def _meet_on_tainted(self, ask: Ask, since: float) -> None:
        """A request comes where something stands that nobody asked for, and so may be its answer.

        Nobody can help that if the two have met on the way. Else what stands there should have
        been seen before the request was sent.
        """
        if since > 2.1 * self._wire.link.latency:
            self._world.violation(f"{ask.number} came on a connection with unread bytes")
        self._world.happened("met_on_tainted")
        self._wire.reset()
        self._over()

    def on_body(self, data: bytes) -> None:
        if self._counter.busy:
            self._counter.add(data)
            return
        delivery = self._delivery
        if delivery is None:
            return
        awaited = body("request", delivery.ask.number, delivery.received, len(data))
        ends = self._tunnel and self._world.ending
        if data != awaited and ends and parts(data, awaited, TO_BACKEND):
            self._close()
            return
        delivery.received += len(data)
        if data != awaited or delivery.received > delivery.ask.upload:
            self._world.violation(
                f"{delivery.ask.number} reached {delivery.backend} with a body that nobody sent"
            )

    def on_whole(self) -> None:
        if self._counter.busy:
            self._counter.end()
            return
        if self._probe:
            self._answer_probe()
            return
        delivery = self._delivery
        if delivery is None:
            return
        delivery.whole = True
        awaited = 0 if delivery.ask.method == "WS" else delivery.ask.upload
        if delivery.received != awaited:
            self._world.violation(f"{delivery.ask.number} came whole without being it")
        if not delivery.begun and self._wire.writable:
            self._begin(delivery)

    # What is answered.

    def _happened(self, ailment: Ailment) -> None:
        self._world.happened(ailment.kind)
        self._world.tell("ails", self._backend.name, ailment.kind)

    def _answer_probe(self) -> None:
        status, says = self._backend.probe_answer(), self._backend.says

        def answer() -> None:
            if self._wire.writable:
                now = self._world.clock.seconds()
                self._backend.probes.append((now, status))
                if status == 200:
                    self._backend.said.append((now, says))
                self._wire.write(health(status, says))
                self._wire.end()

        self._later(self._backend.slow, answer)

    def _begin(self, delivery: Delivery) -> None:
        delivery.begun = True
        self._acts = self._answer(delivery)
        self._act(self._acts)

    def _act(self, acts: Iterator[float]) -> None:
        """Do the next thing of an answer; what it gives are the seconds until the one after it."""
        if acts is not self._acts or self._wire.closed:
            return  # The next request was there before the end of this one.
        seconds = next(acts, None)
        if seconds is not None:
            if seconds < inf:
                self._later(seconds, lambda: self._act(acts))
        else:
            self._acts = None
            if self._delivery is not None and self._delivery.answered is None:
                self._delivery.answered = self._world.clock.seconds()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds <= 0.0:
            act()
        else:
            self._world.clock.callLater(seconds, self._backend.do, act)

    def _answer(self, delivery: Delivery) -> Iterator[float]:
        """The story of one answer: what is given are the seconds until it goes on."""
        ask, ailment = delivery.ask, delivery.ailment
        yield ask.delay + self._backend.slow
        wire = self._wire
        kind = "" if ailment is None else ailment.kind
        if self._backend.sour:
            self._world.happened("sour_answer")
            kind = "gateway"
        elif ailment is not None and kind != "reads_late":
            self._happened(ailment)
        if kind in ("close_unanswered", "reset_unanswered", "silent", "garbage_head"):
            yield from self._answer_nothing(kind)
            return
        for _ in range(ask.hints):
            self._world.happened("hints")
            wire.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            yield 0.001
        if ask.stream is not None and kind != "gateway":
            take_over(wire, delivery, self._backend, self._world)
            yield inf
        if ask.method == "WS" and kind != "gateway":
            self._change_over(ask)
            yield inf
        head, content, framing = message(ask, kind)
        if kind == "cut_head":
            wire.write(head[: len(head) // 2])
            self._close()
            return
        wire.ends_body = framing == "close"
        wire.write(head)
        if kind == "unasked_upgrade":
            return
        stop = len(content) if ailment is None or self._backend.sour else ailment.at
        if kind == "head_then_cut":
            if framing == "head" or (framing == "length" and not content):
                delivery.answered = self._world.clock.seconds()  # That was all of it.
            yield 0.0005
            self._break("truncate", framing)
            return
        broken = kind in ("truncate", "reset_body", "stall_body", "bad_chunk")
        yield from self._give(content[:stop] if broken else content, framing, kind == "trickle")
        if broken:
            self._break(kind, framing)
            return
        if framing == "chunked":
            wire.write(b"0\r\nX-Sum: 1\r\n\r\n" if ask.number % 2 else b"0\r\n\r\n")
        delivery.answered = self._world.clock.seconds()
        self._end(ask, kind, framing)

    def _change_over(self, ask: Ask) -> None:
        """From now on the bytes are WebSocket's, each side's as it comes."""
        self._world.happened("tunnel")
        self._tunnel = True
        lines = b"Upgrade: websocket\r\nConnection: upgrade\r\nX-Ask: %d" % ask.number
        self._wire.write(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n\r\n")
        self._wire.write(body("answer", ask.number, 0, ask.size))
        self._end_tunnel()

    def _end_tunnel(self) -> None:
        """Close when all has been said."""
        delivery = self._delivery
        if delivery is not None and delivery.received >= delivery.ask.upload:
            self._close()

    def _answer_nothing(self, kind: str) -> Iterator[float]:
        if kind == "reset_unanswered":
            self._wire.reset()
            self._over()
        elif kind == "close_unanswered":
            self._close()
        elif kind == "silent":
            yield inf
        else:
            self._wire.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            yield 0.5
            self._close()

    def _give(self, content: bytes, framing: str, trickle: bool) -> Iterator[float]:
        piece = 97 if trickle else PIECE
        for start in range(0, len(content), piece):
            data = content[start : start + piece]
            self._wire.write(b"%x\r\n%b\r\n" % (len(data), data) if framing == "chunked" else data)
            if trickle and start + piece < len(content):
                yield 0.02

    def _break(self, kind: str, framing: str) -> None:
        if kind == "stall_body":
            return
        if kind == "bad_chunk" and framing == "chunked":
            self._wire.write(b"\xff\x00 no chunk\r\n")
        elif kind == "reset_body" or framing == "close":
            self._wire.reset()  # An end in order would look whole.
            self._over()
        else:
            self._close()

    def _end(self, ask: Ask, kind: str, framing: str) -> None:
        if kind == "extra" and framing != "close":
            delivery = self._delivery
            assert delivery is not None and delivery.ailment is not None
            self._later(0.002 if delivery.ailment.at else 0.0, lambda: self._taint(delivery))
        if framing == "close" or ask.closes or kind == "early_close":
            self._close()
        elif kind == "late_close":
            self._later(0.004, self._close_late)
        else:
            self._await_request()

    def _taint(self, delivery: Delivery) -> None:
        """Say once more what nobody asked for, unless the next request is there already."""
        if self._delivery is not delivery:
            return
        self._tainted = self._world.clock.seconds()
        self._wire.write(UNASKED)

    def _close_late(self) -> None:
        """Close, whatever is being answered by now."""
        if self._wire.ends_body:
            self._wire.reset()  # An end in order would look whole.
            self._over()
        else:
            self._close()

    def _close(self) -> None:
        self._wire.close()
        self._over()

    def _await_request(self) -> None:
        if self._backend.keep_alive > 0.0:
            self._stop_idling()
            clock = self._world.clock
            self._idle = clock.callLater(self._backend.keep_alive, self._backend.do, self._idled)

    def _idled(self) -> None:
        self._idle = None
        if not self._reader.begun and (self._delivery is None or self._delivery.answered):
            self._world.happened("idle_closed")
            self._close()

    def _stop_idling(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None and idle.active():
            idle.cancel()
