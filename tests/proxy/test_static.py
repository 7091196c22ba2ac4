"""Answers from files over real sockets: sent by the kernel, and read and written."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Any

from lbproxy.config import model
from lbproxy.http1.cache import HeadCache
from lbproxy.observe.metrics import Metrics
from lbproxy.proxy import static
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.site import Site
from lbproxy.static.cache import FILE_LIMIT
from lbproxy.transport.connection import HIGH_WATER, FileSpan
from lbproxy.transport.timer import CoarseTimer
from tests.proxy.wires import Log
from tests.transport.turning import TransportCase

#: More than what is given in one turn, without a pattern that repeats.
LARGE = random.Random(1).randbytes(static.TURN + static.SPAN + 12345)

#: How many bytes of pieces that were not sent may lie in memory.
HELD = HIGH_WATER + static.PIECE


class StaticCase(TransportCase):
    """Has a folder behind a listener.

    Attributes:
        sends: Whether the transport may be asked to send files.
    """

    sends = True

    def setUp(self) -> None:
        super().setUp()
        self.patch(Downstream, "sends_files", self.sends)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        self.root.joinpath("large.bin").write_bytes(LARGE)
        self.root.joinpath("small.txt").write_bytes(b"small")
        self.listener = model.Listener("web", "tcp:0")
        config = model.Config((self.listener,), (model.Route("/", static=str(self.root)),))
        timer = CoarseTimer(self.reactor)
        self.log = Log(timer)
        self.site = Site(
            self.reactor,
            timer,
            config,
            {},
            self.log,
            Metrics(),
            lambda: (200, b"{}\n"),
            random.Random(1),
        )
        timer.startService()
        self.addCleanup(timer.stopService)
        self.open = self.descriptors()

    def descriptors(self) -> set[str]:
        """What files in the folder are open."""
        targets = set()
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                targets.add(os.readlink(f"/proc/self/fd/{descriptor}"))
            except OSError:
                continue
        return {target for target in targets if target.startswith(str(self.root))}

    def ask(self, path: str, *fields: str, method: str = "GET") -> tuple[Any, socket.socket]:
        """A client asks for a path; its connection, and its end of it."""
        connection, theirs = self.connect(Downstream(self.site, self.listener, HeadCache()))
        self.give(theirs, path, *fields, method=method)
        return connection, theirs

    def fast(self) -> tuple[Any, socket.socket]:
        """A client whose socket takes what a turn gives, which is little."""
        connection, theirs = self.connect(Downstream(self.site, self.listener, HeadCache()))
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        for name, size in (("PIECE", 5_000), ("SPAN", 10_000), ("TURN", 20_000)):
            self.patch(static, name, size)
        return connection, theirs

    def give(self, theirs: socket.socket, path: str, *fields: str, method: str = "GET") -> None:
        """Ask on a connection."""
        lines = [f"{method} {path} HTTP/1.1", "Host: shop", *fields, "", ""]
        theirs.sendall("\r\n".join(lines).encode())
        self.reactor.turn()

    def got(self, theirs: socket.socket) -> tuple[bytes, bytes]:
        """All that comes, head and body."""
        head, _, body = self.drain(theirs).partition(b"\r\n\r\n")
        return head, body

    def assert_closed(self) -> None:
        """No file of the folder is open any more."""
        self.assertEqual(self.descriptors(), set())

    def reason(self) -> str | None:
        """The reason in the only line of the log."""
        (line,) = self.log.lines
        reason: str | None = line.get("reason")
        return reason


class SendingTests(StaticCase):
    """Files of which the kernel sends the large ones by itself."""

    def test_large(self) -> None:
        """A large file arrives whole, and is closed when it is sent, not before."""
        connection, theirs = self.ask("/large.bin")
        self.assertEqual(self.descriptors(), {str(self.root / "large.bin")})
        self.assertEqual(self.log.lines, [])
        head, body = self.got(theirs)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b"\r\nContent-Length: %d\r\n" % len(LARGE), head + b"\r\n")
        self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(LARGE).digest())
        self.assert_closed()
        (line,) = self.log.lines
        self.assertEqual((line["status"], line["bytes_out"]), (200, len(LARGE)))
        self.assertFalse(connection.disconnected)

    def test_head_fields(self) -> None:
        """Each answer has its date and id, however often the same is asked for."""
        _, theirs = self.ask("/small.txt")
        heads = [self.got(theirs)[0]]
        for _ in range(2):
            self.give(theirs, "/small.txt")
            heads.append(self.got(theirs)[0])
        for head in heads:
            for name in (b"Date", b"X-Request-Id", b"ETag", b"Content-Length", b"Content-Type"):
                self.assertEqual(head.count(b"\r\n%b: " % name), 1, head)
        ids = {head.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0] for head in heads}
        self.assertEqual(len(ids), 3)

    def test_changed(self) -> None:
        """What the same head asks for may change at any time."""
        _, theirs = self.ask("/small.txt")
        self.assertEqual(self.got(theirs)[1], b"small")
        for content in (b"other", b"again", b"longer than before"):
            new = self.root / "new"
            new.write_bytes(content)
            os.replace(new, self.root / "small.txt")
            self.give(theirs, "/small.txt")
            self.assertEqual(self.got(theirs)[1], content)
        self.root.joinpath("small.txt").unlink()
        self.give(theirs, "/small.txt")
        self.assertTrue(self.got(theirs)[0].startswith(b"HTTP/1.1 404 "))

    def test_ranges(self) -> None:
        """Parts of a large file arrive as they are, one or several."""
        for first, last in ((0, 0), (1, static.SPAN), (len(LARGE) - 200_000, len(LARGE) - 1)):
            _, theirs = self.ask("/large.bin", f"Range: bytes={first}-{last}")
            head, body = self.got(theirs)
            self.assertTrue(head.startswith(b"HTTP/1.1 206 "))
            self.assertTrue(body == LARGE[first : last + 1])
        spans = ((5, 200_000), (0, 4), (300_000, 1_500_000))
        value = ",".join(f"{first}-{last}" for first, last in spans)
        _, theirs = self.ask("/large.bin", f"Range: bytes={value}")
        head, body = self.got(theirs)
        self.assertIn(b"\r\nContent-Length: %d" % len(body), head)
        for first, last in spans:
            announced = b"bytes %d-%d/%d\r\n\r\n" % (first, last, len(LARGE))
            part = body.partition(announced)[2]
            self.assertTrue(part.startswith(LARGE[first : last + 1] + b"\r\n--part-"))
        self.assert_closed()

    def test_head(self) -> None:
        """HEAD opens nothing."""
        _, theirs = self.ask("/large.bin", method="HEAD")
        self.assert_closed()
        head, body = self.got(theirs)
        self.assertIn(b"\r\nContent-Length: %d" % len(LARGE), head)
        self.assertEqual(body, b"")

    def test_sizes(self) -> None:
        """All sizes around each limit arrive whole, and the next request after them."""
        _, theirs = self.ask("/small.txt")
        self.drain(theirs)
        for limit in (1, FILE_LIMIT, static.PIECE, static.SPAN, static.TURN):
            for size in (limit - 1, limit, limit + 1):
                self.root.joinpath("sized.bin").write_bytes(LARGE[:size])
                for _ in range(2):
                    self.give(theirs, "/sized.bin")
                    self.assertTrue(self.got(theirs)[1] == LARGE[:size], size)
        self.assert_closed()

    def test_pipelined(self) -> None:
        """The next request is answered behind the file."""
        _, theirs = self.ask("/large.bin")
        self.give(theirs, "/small.txt")
        answers = self.drain(theirs)
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 2)
        self.assertTrue(answers.endswith(b"\r\n\r\nsmall"))
        self.assertTrue(LARGE in answers)

    def test_close_behind(self) -> None:
        """A connection that is to end does so behind the file."""
        connection, theirs = self.ask("/large.bin", "Connection: close")
        self.assertTrue(self.got(theirs)[1] == LARGE)
        self.assertTrue(self.ended(theirs))
        self.assertTrue(connection.disconnected)
        self.assert_closed()

    def test_slow_reader(self) -> None:
        """Who reads slowly gets all of it, holds next to nothing in memory, and is waited for."""
        connection, theirs = self.ask("/large.bin")
        received = b""
        while len(received) < len(LARGE) // 2:
            received += self.read(theirs, 50_000)
            self.reactor.advance(70.0)
            held = sum(len(piece) for piece in connection._queue if type(piece) is not FileSpan)
            self.assertLessEqual(held, HELD)
            self.assertFalse(connection.disconnected)
        received += self.drain(theirs)
        self.assertTrue(received.endswith(LARGE[-100_000:]))
        self.assertEqual(len(received.partition(b"\r\n\r\n")[2]), len(LARGE))
        self.assert_closed()

    def test_no_reader(self) -> None:
        """Who reads nothing is cut off in time, and the file closed."""
        connection, _ = self.ask("/large.bin")
        self.reactor.advance(74.0)
        self.assertFalse(connection.disconnected)
        for _ in range(3):
            self.reactor.advance(1.0)
        self.assertTrue(connection.disconnected)
        self.reactor.turn()
        self.assert_closed()
        self.assertEqual(self.reason(), "client_gone")

    def test_client_gone(self) -> None:
        """The file is closed when the client goes in the middle."""
        _, theirs = self.ask("/large.bin")
        self.read(theirs, 100_000)
        self.reactor.turn()
        theirs.close()
        self.reactor.turn(3)
        self.assert_closed()
        self.assertEqual(self.reason(), "client_gone")

    def test_shortened(self) -> None:
        """A file that becomes shorter while it is sent cuts the connection, and the log says so."""
        connection, theirs = self.ask("/large.bin")
        self.read(theirs, 100_000)
        os.truncate(self.root / "large.bin", static.SPAN + 100_000)
        self.assertRaises(ConnectionResetError, self.drain, theirs)
        self.assertTrue(connection.disconnected)
        self.assert_closed()
        self.assertEqual(self.reason(), "answer_cut")

    def test_shortened_at_once(self) -> None:
        """So does one that becomes shorter than what the transport is at."""
        connection, theirs = self.ask("/large.bin")
        os.truncate(self.root / "large.bin", 0)
        try:
            received = self.drain(theirs)
        except ConnectionResetError:
            received = b""
        self.assertLess(len(received), len(LARGE))
        self.assertTrue(connection.disconnected)
        self.assert_closed()

    def test_hard_stop(self) -> None:
        """A balancer that stops now closes the file."""
        connection, _ = self.ask("/large.bin")
        self.site.abort()
        self.reactor.turn()
        self.assertTrue(connection.disconnected)
        self.assert_closed()

    def test_broken_request(self) -> None:
        """A body that breaks its framing meanwhile ends it too."""
        connection, theirs = self.fast()
        self.give(theirs, "/large.bin", "Transfer-Encoding: chunked")
        self.assertNotEqual(self.descriptors(), set())
        theirs.sendall(b"zz\r\n")
        self.reactor.turn(2)
        self.assertTrue(connection.disconnected)
        self.assert_closed()
        self.assertEqual(self.reason(), "malformed")

    def test_turns(self) -> None:
        """A client that reads as fast as it is sent to does not keep others waiting."""
        connection, theirs = self.fast()
        self.give(theirs, "/large.bin")
        began = connection.protocol.record.bytes_out
        self.assertLess(began, 40_000)
        self.reactor.turn()
        self.assertLess(connection.protocol.record.bytes_out, 80_000)
        self.assertTrue(self.got(theirs)[1] == LARGE)
        self.assert_closed()

    def test_in_memory(self) -> None:
        """What is queued of a large file is no copy of it, as long as the kernel sends it."""
        connection, _ = self.ask("/large.bin")
        spans = [piece for piece in connection._queue if type(piece) is FileSpan]
        self.assertEqual(bool(spans), self.sends)

    def test_log(self) -> None:
        """The log tells what was sent, for a small file too."""
        _, theirs = self.ask("/small.txt")
        self.got(theirs)
        (line,) = self.log.lines
        self.assertEqual((line["status"], line["bytes_out"], line["route"]), (200, 5, "/"))
        json.dumps(line)


class ReadingTests(SendingTests):
    """Files that are read and written, as where the transport is not a plain socket."""

    sends = False
