"""Connections over real sockets, a turn of the reactor at a time."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadWriteDescriptor, ITransport
from zope.interface.verify import verifyObject

from lbproxy.transport.connection import HIGH_WATER, READ_SIZE, Connection
from tests.transport.turning import HalfCloser, Recorder, TransportCase

#: More than two small socket buffers take, without a pattern that repeats.
LONG = random.Random(1).randbytes(1 << 20)


class Acting(Recorder):
    """Does something when data comes."""

    def __init__(self, act: Callable[[Any], object]) -> None:
        super().__init__()
        self._act = act

    def dataReceived(self, data: bytes) -> None:
        """Remember it, and act."""
        super().dataReceived(data)
        self._act(self.transport)


class ConnectionCase(TransportCase):
    """Has a connection of a `Recorder`."""

    def setUp(self) -> None:
        super().setUp()
        self.protocol = Recorder()
        self.connection, self.theirs = self.connect(self.protocol)

    def file(self, content: bytes) -> int:
        """A descriptor of a file, which nobody closes before the test's end."""
        file = tempfile.TemporaryFile()  # noqa: SIM115
        self.addCleanup(file.close)
        file.write(content)
        file.flush()
        return file.fileno()

    def assert_lost(self, reason: type[Exception]) -> None:
        """The protocol was told of the loss once, and nothing is watched or held any more."""
        self.assertEqual(self.protocol.told.count("lost"), 1, self.protocol.told)
        assert self.protocol.reason is not None
        self.assertIsInstance(self.protocol.reason.value, reason)
        self.assertNotIn(self.connection, self.watched())
        self.assertEqual((self.connection.queued, self.connection.fileno()), (0, -1))
        self.reactor.turn(2)
        self.assertEqual(self.protocol.told.count("lost"), 1)

    def watched(self) -> list[Any]:
        """What the reactor watches."""
        return [*self.reactor.getReaders(), *self.reactor.getWriters()]


class ReadTests(ConnectionCase):
    """What comes in, and when."""

    def test_interfaces(self) -> None:
        """A reactor and a protocol find what they ask for."""
        verifyObject(IReadWriteDescriptor, self.connection)
        verifyObject(ITransport, self.connection)
        self.assertEqual(self.connection.logPrefix(), "Recorder")

    def test_read(self) -> None:
        """Bytes come at once and in order, `READ_SIZE` at most in a turn."""
        self.theirs.sendall(b"abc")
        self.reactor.turn()
        self.assertEqual(self.protocol.received, b"abc")
        sent = self.theirs.send(LONG)
        self.reactor.turn()
        self.assertLessEqual(len(self.protocol.received), 3 + READ_SIZE)
        self.reactor.turn(sent // 1024)
        self.assertEqual(self.protocol.received, b"abc" + LONG[:sent])

    def test_pause(self) -> None:
        """While paused nothing is read, however often that is said; then all of it."""
        for _ in range(2):
            self.connection.pauseProducing()
        self.theirs.sendall(b"abc")
        self.reactor.turn(2)
        self.assertEqual(self.protocol.received, b"")
        for _ in range(2):
            self.connection.resumeProducing()
        self.reactor.turn()
        self.assertEqual(self.protocol.received, b"abc")

    def test_pause_in_the_same_turn(self) -> None:
        """An event that the kernel had told of before the pause is not acted on."""
        self.connection.pauseProducing()
        self.theirs.sendall(b"abc")
        self.connection.doRead()
        self.assertEqual(self.protocol.received, b"")

    def test_pause_when_made(self) -> None:
        """A protocol that does not want to read yet may say so when it is connected."""

        class Reluctant(Recorder):
            def connectionMade(self) -> None:
                transport: Any = self.transport
                transport.pauseProducing()

        protocol = Reluctant()
        connection, theirs = self.connect(protocol)
        theirs.sendall(b"abc")
        self.reactor.turn(2)
        self.assertEqual(protocol.received, b"")
        connection.resumeProducing()
        self.reactor.turn()
        self.assertEqual(protocol.received, b"abc")

    def test_pause_inside(self) -> None:
        """A protocol that pauses when it gets data gets no more until it resumes."""
        protocol = Acting(lambda transport: transport.pauseProducing())
        connection, theirs = self.connect(protocol)
        for _ in range(3):
            theirs.sendall(b"a")
            self.reactor.turn(2)
        self.assertEqual(protocol.received, b"a")
        connection.resumeProducing()
        self.reactor.turn()
        self.assertEqual(protocol.received, b"aaa")

    def test_quiet(self) -> None:
        """Quiet is where neither bytes wait nor the end."""
        self.assertTrue(self.connection.is_quiet())
        self.theirs.sendall(b"a")
        self.assertFalse(self.connection.is_quiet())
        self.reactor.turn()
        self.assertEqual(self.protocol.received, b"a")
        self.assertTrue(self.connection.is_quiet())
        self.theirs.close()
        self.assertFalse(self.connection.is_quiet())
        self.reactor.turn()
        self.assertFalse(self.connection.is_quiet())

    def test_intake(self) -> None:
        """What takes over the reading is called instead, and its word ends the connection."""

        class Intake:
            def __init__(self) -> None:
                self.answers: list[Exception | None] = [None, ConnectionLost()]

            def pull(self) -> Exception | None:
                return self.answers.pop(0)

            def stop(self) -> None:
                self.answers.append(None)

        self.connection.intake = intake = Intake()
        self.theirs.sendall(b"abc")
        self.reactor.turn()
        self.assertIsNone(self.protocol.reason)
        self.reactor.turn()
        self.assertEqual(self.protocol.received, b"")
        self.assert_lost(ConnectionLost)
        self.assertEqual(intake.answers, [None])

    def test_addresses(self) -> None:
        """Both ends tell their addresses."""
        host, port = self.theirs.getsockname()
        self.assertEqual(self.connection.getPeer(), IPv4Address("TCP", host, port))
        host, port = self.theirs.getpeername()
        self.assertEqual(self.connection.getHost(), IPv4Address("TCP", host, port))
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        connection = Connection(self.reactor, ours, "")
        self.assertEqual(connection.getPeer(), UNIXAddress(None))
        self.assertEqual(connection.getHost(), UNIXAddress(None))
        connection.setTcpNoDelay(True)
        connection.setTcpKeepAlive(True)


class WriteTests(ConnectionCase):
    """What goes out, and when."""

    def fill(self) -> bytes:
        """Write what the kernel takes and a little more; all that was written."""
        written = b""
        while not self.connection.queued:
            self.connection.write(LONG[:10000])
            written += LONG[:10000]
        return written

    def test_at_once(self) -> None:
        """What the kernel takes is sent inside the call, and nothing is watched for it."""
        self.connection.write(b"abc")
        self.connection.writeSequence([b"de", b"f"])
        self.connection.write(memoryview(b"ghi"))
        self.connection.write(b"")
        self.assertEqual(self.read(self.theirs), b"abcdefghi")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_queue(self) -> None:
        """What the kernel does not take waits, and what is written later waits behind it."""
        written = self.fill()
        for number in range(2000):
            self.connection.write(b"%d;" % number)
            written += b"%d;" % number
        self.assertEqual(self.drain(self.theirs), written)
        self.assertEqual((self.connection.queued, self.reactor.getWriters()), (0, []))

    def test_pressure(self) -> None:
        """The producer pauses above `HIGH_WATER`, not before, and resumes when all is sent."""
        written = self.fill()
        self.assertLess(self.connection.queued, HIGH_WATER)
        self.assertEqual(self.protocol.told, [])
        self.connection.write(LONG[:HIGH_WATER])
        self.connection.write(b"x")
        self.assertEqual(self.protocol.told, ["pause"])
        self.reactor.turn(3)
        self.assertEqual(self.protocol.told, ["pause"])
        self.assertEqual(self.drain(self.theirs), written + LONG[:HIGH_WATER] + b"x")
        self.assertEqual(self.protocol.told, ["pause", "resume"])

    def test_pieces(self) -> None:
        """Large pieces go out as they are, in order, wherever the kernel stops taking them."""
        for sizes in ((100, 20_000), (20_000, 100), (0, 40_000, 0, 40_000), (300_000, 300_000)):
            cuts = [LONG[:size] for size in sizes]
            self.connection.writeSequence(cuts)
            self.connection.writeSequence(iter(cuts))
            self.assertTrue(self.drain(self.theirs) == b"".join(cuts + cuts), sizes)
            self.assertEqual(self.connection.queued, 0)
        self.connection.loseConnection()
        self.connection.writeSequence([LONG, LONG])
        self.assertEqual(self.connection.queued, 0)

    def test_pieces_fail(self) -> None:
        """What fails with several pieces is told in another turn too."""
        self.reset()
        for _ in range(2):
            self.connection.writeSequence([LONG, LONG])
        self.assertNotIn("lost", self.protocol.told)
        self.reactor.turn()
        self.assert_lost(ConnectionLost)

    def test_unregistered(self) -> None:
        """A producer that is no more is not told; one that comes later is."""
        self.connection.write(LONG)
        self.connection.unregisterProducer()
        self.assertEqual(self.drain(self.theirs), LONG)
        self.assertEqual(self.protocol.told, ["pause"])
        other = Recorder()
        self.connection.registerProducer(other, True)
        self.connection.write(LONG)
        self.assertEqual(self.drain(self.theirs), LONG)
        self.assertEqual(other.told, ["pause", "resume"])
        self.assertEqual(self.protocol.told, ["pause"])

    def test_writing_on_when_resumed(self) -> None:
        """A producer that writes when it is resumed keeps the order, and is paused again."""
        pieces = [LONG[place : place + (1 << 18)] for place in range(0, len(LONG), 1 << 18)]

        class Producer(Recorder):
            def resumeProducing(self) -> None:
                super().resumeProducing()
                if pieces:
                    assert self.transport is not None
                    self.transport.write(pieces.pop(0))

        producer = Producer()
        _, theirs = self.connect(producer)
        producer.resumeProducing()
        self.assertEqual(self.drain(theirs), LONG)
        self.assertEqual(producer.told, ["resume"] + ["pause", "resume"] * 4)

    def test_write_fails(self) -> None:
        """Inside its own write the protocol does not hear of the loss: it does next turn."""
        self.reset()
        for _ in range(3):
            self.connection.write(b"abc")
        self.assertEqual(self.protocol.told, [])
        self.reactor.turn()
        self.assert_lost(ConnectionLost)

    def test_write_fails_while_paused(self) -> None:
        """The loss is told where reading is paused too."""
        self.connection.pauseProducing()
        self.reset()
        self.connection.write(b"abc")
        self.reactor.turn()
        self.assert_lost(ConnectionLost)

    def reset(self) -> None:
        """Let the other end reset the connection."""
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.theirs.close()

    def test_outlet(self) -> None:
        """What takes over the writing is called when all that was queued is sent."""
        outlet = Outlet()
        written = self.fill()
        self.connection.outlet = outlet
        self.connection.write(b"behind")
        self.assertEqual(self.drain(self.theirs), written + b"behind")
        self.assertGreater(outlet.pushed, 0)
        pushed = outlet.pushed
        self.connection.write(b"later")  # Not past what the outlet may have under way.
        self.assertEqual(self.read(self.theirs), b"")
        self.assertEqual(self.drain(self.theirs), b"later")
        self.assertGreater(outlet.pushed, pushed)

    def test_outlet_waits(self) -> None:
        """The producer is paused until the outlet is gone, which hears of a loss."""
        outlet = Outlet()
        self.connection.wait_for(outlet)
        self.assertEqual((self.protocol.told, self.connection.waiting), (["pause"], 5))
        self.reactor.turn()
        self.assertEqual((self.protocol.told, outlet.pushed), (["pause"], 1))
        self.connection.outlet = None
        self.reactor.turn()
        self.assertEqual((self.protocol.told, self.connection.waiting), (["pause", "resume"], 0))
        self.connection.wait_for(outlet)
        self.reset()
        self.reactor.until(lambda: self.protocol.reason)
        self.assertTrue(outlet.stopped)

    def test_outlet_and_pause(self) -> None:
        """Reading pauses and goes on whoever writes."""
        self.connection.outlet = Outlet()
        self.connection.pauseProducing()
        self.theirs.sendall(b"abc")
        self.reactor.turn(2)
        self.assertEqual(self.protocol.received, b"")
        self.connection.resumeProducing()
        self.reactor.turn()
        self.assertEqual(self.protocol.received, b"abc")


class Outlet:
    """Takes over the writing, and writes nothing."""

    held = 5

    def __init__(self) -> None:
        self.pushed = 0
        self.stopped = False

    def push(self) -> None:
        """Count."""
        self.pushed += 1

    def stop(self) -> None:
        """The connection is lost."""
        self.stopped = True


class FileTests(ConnectionCase):
    """Parts of files among what is sent."""

    def test_at_once(self) -> None:
        """A part that the kernel takes is sent inside the call."""
        self.connection.send_file(self.file(b"0123456789"), 2, 5)
        self.assertEqual(self.read(self.theirs), b"23456")
        self.assertEqual((self.protocol.told, self.connection.queued), ([], 0))

    def test_order(self) -> None:
        """Bytes and files go out in the order in which they were given."""
        file = self.file(LONG)
        expected = b""
        for start, end in ((0, 10), (5, 300_000), (0, len(LONG)), (7, 8)):
            self.connection.write(b"before")
            self.connection.write(b"!")
            self.connection.send_file(file, start, end - start)
            expected += b"before!" + LONG[start:end]
        self.connection.write(b"end")
        self.assertEqual(self.drain(self.theirs), expected + b"end")
        self.assertEqual(self.connection.queued, 0)

    def test_before(self) -> None:
        """What goes out before a file does so in the same packet, and is queued like the rest."""
        file = self.file(LONG)
        self.connection.send_file(file, 0, 10, b"head")
        self.assertEqual(self.theirs.recv(100), b"head" + LONG[:10])
        expected = b""
        for _ in range(3):
            self.connection.send_file(file, 0, 200_000, LONG[:50_000])
            expected += LONG[:50_000] + LONG[:200_000]
        self.assertTrue(self.drain(self.theirs) == expected)
        self.assertEqual(self.connection.queued, 0)

    def test_pressure(self) -> None:
        """Whatever is left of a file pauses the producer, who so hears when it is sent."""
        self.connection.send_file(self.file(LONG), 0, 30_000)
        while not self.connection.queued:
            self.connection.send_file(self.file(LONG), 0, 30_000)
        self.assertLess(self.connection.queued, HIGH_WATER)
        self.assertEqual(self.protocol.told, ["pause"])
        self.drain(self.theirs)
        self.assertEqual(self.protocol.told, ["pause", "resume"])

    def test_memory(self) -> None:
        """What is queued of a file is no copy of it."""
        self.connection.send_file(self.file(LONG), 0, len(LONG))
        self.assertGreater(self.connection.queued, 500_000)
        (span,) = self.connection._queue
        self.assertEqual(span.offset + span.length, len(LONG))
        self.assertEqual(span.length, self.connection.queued)

    def test_shortened(self) -> None:
        """A file that has become shorter ends the connection, so that the cut can be seen."""
        file = self.file(LONG)
        self.connection.send_file(file, 0, len(LONG))
        os.ftruncate(file, 500_000)
        self.assertEqual(self.drain(self.theirs), LONG[:500_000])
        self.assert_lost(ConnectionLost)

    def test_empty_at_once(self) -> None:
        """So does one that has nothing of what was asked for; it is told in another turn."""
        self.connection.send_file(self.file(b""), 0, 5)
        self.assertEqual(self.protocol.told, ["pause"])
        self.reactor.turn()
        self.assert_lost(ConnectionLost)

    def test_lost_with_a_file(self) -> None:
        """Where the connection ends, what was queued is forgotten; the file stays the caller's."""
        file = self.file(LONG)
        self.connection.send_file(file, 0, len(LONG))
        self.connection.abortConnection()
        self.reactor.turn()
        self.assert_lost(ConnectionAborted)
        self.assertEqual(os.pread(file, 3, 0), LONG[:3])

    def test_after_the_end(self) -> None:
        """Nothing is sent after the end, nor behind one that is asked for."""
        file = self.file(b"abc")
        for end in ("loseConnection", "loseWriteConnection", "abortConnection"):
            protocol = Recorder()
            connection, theirs = self.connect(protocol)
            getattr(connection, end)()
            connection.send_file(file, 0, 3)
            connection.write(b"abc")
            self.assertEqual(connection.queued, 0)
            self.assertEqual(self.read_all(theirs), b"")

    def read_all(self, theirs: socket.socket) -> bytes:
        """What comes until the end or a reset."""
        try:
            return self.drain(theirs)
        except ConnectionResetError:
            return b""


class EndTests(ConnectionCase):
    """How connections end."""

    def test_they_close(self) -> None:
        """The other side's end is the connection's."""
        self.theirs.sendall(b"abc")
        self.theirs.close()
        self.reactor.turn(2)
        self.assertEqual(self.protocol.received, b"abc")
        self.assert_lost(ConnectionDone)
        self.assertEqual(self.protocol.told, ["stop", "lost"])

    def test_they_reset(self) -> None:
        """A reset is no clean end."""
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.theirs.close()
        self.reactor.turn()
        self.assert_lost(ConnectionLost)

    def test_close(self) -> None:
        """We close in another turn, in order; nothing is read or written meanwhile."""
        self.connection.loseConnection()
        self.connection.loseConnection()
        self.connection.write(b"late")
        self.connection.resumeProducing()
        self.assertEqual(self.protocol.told, [])
        self.reactor.turn()
        self.assert_lost(ConnectionDone)
        self.assertTrue(self.ended(self.theirs))

    def test_close_behind_the_queue(self) -> None:
        """What was written before is sent before the end."""
        self.connection.write(LONG)
        self.connection.loseConnection()
        self.connection.write(b"late")
        self.reactor.turn(3)
        self.assertEqual(self.protocol.told, ["pause"])
        self.assertEqual(self.drain(self.theirs), LONG)
        self.assertTrue(self.ended(self.theirs))
        self.assert_lost(ConnectionDone)

    def test_close_when_the_kernel_is_full(self) -> None:
        """Where nothing is queued here, a side that does not read holds nothing up."""
        sent = 0
        while True:
            try:
                sent += self.connection.socket.send(LONG)
            except BlockingIOError:
                break
        self.connection.loseConnection()
        self.reactor.turn()
        self.assert_lost(ConnectionDone)
        self.assertEqual(len(self.drain(self.theirs)), sent)

    def test_abort_while_closing(self) -> None:
        """A queue that never drains is given up by an abort."""
        self.connection.write(LONG)
        self.connection.loseConnection()
        self.reactor.turn(5)
        self.assertEqual(self.protocol.told, ["pause"])
        self.connection.abortConnection()
        self.reactor.turn()
        self.assert_lost(ConnectionAborted)

    def test_reset_while_closing(self) -> None:
        """A reset from the other side ends it too."""
        self.connection.write(LONG)
        self.connection.loseConnection()
        self.theirs.close()  # With bytes unread this resets.
        self.reactor.turn(2)
        self.assert_lost(ConnectionLost)

    def test_close_inside(self) -> None:
        """A protocol that closes when it gets data hears of it after that, and gets no more."""
        protocol = Acting(lambda transport: (transport.write(b"bye"), transport.loseConnection()))
        _, theirs = self.connect(protocol)
        theirs.sendall(b"a")
        self.reactor.turn()
        self.assertEqual(protocol.told, [])
        theirs.sendall(b"b")
        self.reactor.turn()
        self.assertEqual((protocol.received, protocol.told), (b"a", ["stop", "lost"]))
        self.assertEqual(theirs.recv(9), b"bye")

    def test_abort(self) -> None:
        """An abort resets, forgets what was queued, and is told in another turn."""
        self.connection.write(LONG)
        self.protocol.told.clear()
        for _ in range(2):
            self.connection.abortConnection()
        self.assertEqual((self.protocol.told, self.connection.queued), ([], 0))
        self.connection.write(b"late")
        self.connection.resumeProducing()
        self.assertEqual(self.watched(), [self.reactor.waker])
        self.reactor.turn()
        self.assert_lost(ConnectionAborted)
        self.assertRaises(ConnectionResetError, self.drain, self.theirs)

    def test_abort_a_unix_socket(self) -> None:
        """A Unix socket knows no reset: it just ends."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        self.connection = Connection(self.reactor, ours, "")
        self.protocol = Recorder()
        self.connection.start(self.protocol)
        self.connection.abortConnection()
        self.reactor.turn()
        self.assert_lost(ConnectionAborted)
        self.assertTrue(self.ended(theirs))

    def test_abort_inside(self) -> None:
        """A protocol that aborts when it gets data hears of it after that."""
        protocol = Acting(lambda transport: transport.abortConnection())
        _, theirs = self.connect(protocol)
        theirs.sendall(b"a")
        self.reactor.turn()
        self.assertEqual(protocol.told, [])
        self.reactor.turn()
        self.assertEqual(protocol.told, ["stop", "lost"])

    def test_protocol_fails(self) -> None:
        """A fault of the protocol ends its connection, and is logged."""
        protocol = Acting(lambda transport: 1 // 0)
        _, theirs = self.connect(protocol)
        theirs.sendall(b"a")
        self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(protocol.told, ["stop", "lost"])
        self.assertTrue(self.ended(theirs))


class HalfCloseTests(ConnectionCase):
    """Connections of which one side ends before the other."""

    def setUp(self) -> None:
        super().setUp()
        self.protocol = HalfCloser()
        self.connection, self.theirs = self.connect(self.protocol)

    def test_ours_first(self) -> None:
        """Our end comes behind what is queued, and we read on."""
        self.connection.write(LONG)
        for _ in range(2):
            self.connection.loseWriteConnection()
        self.connection.write(b"late")
        self.assertEqual(self.drain(self.theirs), LONG)
        self.assertTrue(self.ended(self.theirs))
        self.theirs.sendall(b"abc")
        self.reactor.turn()
        self.assertEqual(self.protocol.received, b"abc")
        self.assertNotIn("lost", self.protocol.told)
        self.theirs.close()
        self.reactor.turn()
        self.assert_lost(ConnectionDone)

    def test_ours_at_once(self) -> None:
        """Where nothing is queued our end comes inside the call."""
        self.connection.loseWriteConnection()
        self.assertTrue(self.ended(self.theirs))

    def test_theirs_first(self) -> None:
        """The other side's end is told once; we write on until our own."""
        self.theirs.sendall(b"abc")
        self.theirs.shutdown(socket.SHUT_WR)
        self.reactor.turn(3)
        self.connection.resumeProducing()
        self.reactor.turn(2)
        self.assertEqual((self.protocol.received, self.protocol.told), (b"abc", ["end"]))
        self.connection.write(LONG)
        self.connection.loseWriteConnection()
        self.assertEqual(self.drain(self.theirs), LONG)
        self.assertTrue(self.ended(self.theirs))
        self.assert_lost(ConnectionDone)

    def test_theirs_while_closing(self) -> None:
        """Who has closed hears only of the loss."""
        self.connection.write(LONG)
        self.connection.loseConnection()
        self.theirs.shutdown(socket.SHUT_WR)
        self.drain(self.theirs)
        self.assert_lost(ConnectionDone)
        self.assertNotIn("end", self.protocol.told)

    def test_close_when_told(self) -> None:
        """The usual protocol closes when it hears of the other side's end."""

        class Closer(HalfCloser):
            def readConnectionLost(self) -> None:
                super().readConnectionLost()
                assert self.transport is not None
                self.transport.write(b"bye")
                self.transport.loseConnection()

        self.protocol = Closer()
        self.connection, self.theirs = self.connect(self.protocol)
        self.theirs.shutdown(socket.SHUT_WR)
        self.assertEqual(self.drain(self.theirs), b"bye")
        self.assert_lost(ConnectionDone)
        self.assertEqual(self.protocol.told, ["end", "stop", "lost"])

    def test_protocol_fails(self) -> None:
        """A protocol that fails when it is told loses its connection, which nobody watches."""

        class Faulty(HalfCloser):
            def readConnectionLost(self) -> None:
                raise ZeroDivisionError

        self.protocol = Faulty()
        self.connection, self.theirs = self.connect(self.protocol)
        self.theirs.shutdown(socket.SHUT_WR)
        self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_lost(ZeroDivisionError)
