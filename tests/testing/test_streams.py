"""Streams of the simulated clients and backends: what they say, and where that may be ended."""

from __future__ import annotations

import random
from math import inf

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.proxy import websocket
from lbproxy.testing.draw import plan_of
from lbproxy.testing.streams import events, frames
from lbproxy.testing.streams.course import Course, Piece, Speaker
from lbproxy.testing.streams.draw import EVERY, FIRST
from lbproxy.testing.streams.talk import KEY, Talk


class SpeakerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.said: list[bytes] = []
        pieces = (Piece(1.0, b"ab"), Piece(1.0, b"c", whole=False), Piece(2.0, b"d"))
        self.course = Course(pieces, "ends")
        self.finished: list[float] = []
        self.speaker = Speaker(
            self.course,
            self.clock,
            lambda act: act(),
            self.said.append,
            lambda: self.finished.append(self.clock.seconds()),
        )
        self.speaker.begin()

    def test_course(self) -> None:
        """All is said at its time, and what is whole is known."""
        self.assertEqual((self.course.units, self.course.seconds), ([b"ab", b"cd"], 4.0))
        self.clock.pump([1.0] * 4)
        self.assertEqual((self.said, self.speaker.said), ([b"ab", b"c", b"d"], 4))
        self.assertEqual(self.finished, [4.0])

    def test_borders(self) -> None:
        """A border is there at once, or when the present one has been said to its end."""
        self.clock.pump([1.0] * 4)
        borders = [self.speaker.border_since(at) for at in (0.0, 1.5, 2.5, 3.9, 4.0)]
        self.assertEqual(borders, [0.0, 1.5, 4.0, 4.0, 4.0])
        self.assertTrue(self.speaker.whole_between(0.0, 1.9))
        self.assertFalse(self.speaker.whole_between(0.0, 2.0))

    def test_no_border(self) -> None:
        """There is none while nothing more is said of what has begun."""
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.speaker.border_since(3.0), inf)

    def test_owed(self) -> None:
        """What is owed comes behind the present one, and nothing comes behind the last word."""
        self.clock.pump([1.0] * 2)
        self.speaker.owe(b"x")
        self.speaker.owe(b"y", last=True)
        self.speaker.owe(b"z")
        self.assertEqual(self.said, [b"ab", b"c"])
        self.clock.pump([1.0] * 4)
        self.assertEqual(self.said, [b"ab", b"c", b"d", b"x", b"y"])
        self.assertEqual(self.finished, [4.0])


class EventsTests(SynchronousTestCase):
    def test_drawn(self) -> None:
        """Each event has an empty line at its end, and nowhere else."""
        for seed in range(50):
            units = events.drawn(random.Random(seed), 7).units
            for unit in units[:-1]:
                lines = unit.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
                self.assertEqual(lines[-2:], [b"", b""])
                self.assertNotIn(b"", lines[:-2])


class FramesTests(SynchronousTestCase):
    def test_as_the_balancer_reads(self) -> None:
        """Both readings see the same borders, and what was masked comes out."""
        for way in ("up", "down"):
            units = frames.drawn(random.Random(3), 7, way).units
            ours, theirs = frames.FrameReader(), websocket.Frames()
            self.assertEqual(list(ours.feed(b"".join(units))), units)
            for unit in units:
                theirs.follow(unit)
                self.assertTrue(theirs.at_border)
        for size in (0, 1, 125, 126, 65535, 65536):
            for key in (b"", KEY):
                raw = frames.frame(frames.BINARY, bytes(size), key)
                self.assertEqual(frames.payload_of(raw), bytes(size))
                self.assertEqual(KEY in raw, bool(key))

    def test_words(self) -> None:
        """What the balancer says is what is looked for."""
        for words, code in (
            (websocket.SERVICE_RESTART, frames.SERVICE_RESTART),
            (websocket.GOING_AWAY, frames.GOING_AWAY),
        ):
            self.assertEqual(int.from_bytes(frames.payload_of(words), "big"), code)


class TalkTests(SynchronousTestCase):
    def talk(self, *units: bytes) -> Talk:
        """A client's end, whose backend is to say so much."""
        self.sent: list[bytes] = []
        self.wrong: list[str] = []
        ping = frames.frame(frames.PING, b"up", KEY)
        return Talk(
            Course((Piece(9.0, ping),)),
            Course(tuple(Piece(0.0, unit) for unit in units)),
            KEY,
            Clock(),
            lambda act: act(),
            self.sent.append,
            lambda: None,
            self.wrong.append,
        )

    def test_in_order(self) -> None:
        """What the other one says is counted, pings are answered, and pongs are awaited."""
        units = (frames.frame(frames.BINARY, b"a"), frames.frame(frames.PING, b"b"))
        talk = self.talk(*units)
        pong = frames.frame(frames.PONG, b"up")
        talk.feed(b"".join(units) + pong + websocket.SERVICE_RESTART)
        self.assertEqual((talk.got, talk.pongs, talk.heard, talk.inside), (2, 1, 1012, False))
        self.assertEqual(self.sent, [frames.frame(frames.PONG, b"b", KEY)])
        self.assertEqual(self.wrong, [])

    def test_wrong(self) -> None:
        """What nobody sent is told: in the middle of a frame, behind the end, or in its place."""
        unit = frames.frame(frames.BINARY, bytes(20))
        close = websocket.SERVICE_RESTART
        for data in (
            unit[:9] + close + unit[9:],
            unit + close + close,
            unit + unit,
            unit + frames.frame(frames.PONG, b"other"),
            unit + frames.frame(frames.CLOSE, b"\3\xe8", KEY),
        ):
            talk = self.talk(unit)
            talk.feed(data)
            talk.judge_rest()
            self.assertNotEqual(self.wrong, [], data)


class DrawTests(SynchronousTestCase):
    def test_every_so_many(self) -> None:
        """Some lives have streams, each with a stop of its own; the others have none."""
        stops = set()
        for seed in range(1, 101):
            plan = plan_of(seed)
            has = any(ask.stream for visit in plan.visits for ask in visit.asks)
            self.assertEqual(has, seed % EVERY == FIRST, seed)
            if has:
                stops.add(plan.config.stop)
                self.assertEqual({each.stop for each in plan.configs}, {plan.config.stop})
        self.assertGreater(len(stops), 8)
