"""One set of tests for a connection without TLS and with each version of it."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import ssl
from pathlib import Path
from typing import Any, cast

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from lbproxy.transport.certificates import ServerSettings, client_context, server_context
from lbproxy.transport.connection import HIGH_WATER, READ_SIZE, Connection
from lbproxy.transport.handshake import Handshake
from lbproxy.transport.tls import RECORD, SecureConnection
from tests.certificates import Authority
from tests.config.folder import temporary_folder
from tests.transport.turning import TurningReactor

#: More than the kernel holds for one connection, and no multiple of anything.
LARGE = random.Random(1).randbytes(6_000_003)


@implementer(IPushProducer)
class End(Protocol):
    """Keeps what comes, and what is said."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self.pauses = 0
        self.resumes = 0
        self.lost: type[BaseException] | None = None

    @property
    def connection(self) -> Connection:
        return cast(Connection, self.transport)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        self.size += len(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        assert self.lost is None
        self.lost = reason.type

    def pauseProducing(self) -> None:
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.resumes += 1

    def stopProducing(self) -> None:
        pass


class Listening(End):
    """One that reads on when it sends nothing more, and hears when the other side does not."""

    def __init__(self) -> None:
        super().__init__()
        self.half = 0

    def readConnectionLost(self) -> None:
        self.half += 1


def sockets() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets over TCP, which do not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    for one in (ours, theirs):
        one.setblocking(False)
    return ours, theirs


class ConnectionCase(SynchronousTestCase):
    """Two ends of one connection."""

    def setUp(self) -> None:
        self.turns = TurningReactor()
        self.addCleanup(self.turns.close)

    def connections(self) -> tuple[Connection, Connection]:
        """Two connected ends, not yet started."""
        ours, theirs = sockets()
        host = ours.getpeername()
        return Connection(self.turns, ours, host), Connection(self.turns, theirs, host)

    def join(self, here: End | None = None, there: End | None = None) -> tuple[End, End]:
        """Start both ends."""
        ends = here or End(), there or End()
        for end, connection in zip(ends, self.connections(), strict=True):
            connection.registerProducer(end, True)
            connection.start(end)
            self.addCleanup(connection.socket.close)
        return ends


class PlainTests(ConnectionCase):
    """Without TLS."""

    plain = True

    def test_both_ways(self) -> None:
        """What is written at one end comes out at the other, in order."""
        here, there = self.join()
        for number in range(100):
            here.connection.write(b"%d," % number)
            there.connection.write(b"%d;" % number)
        self.turns.until(lambda: here.size == there.size == 290)
        self.assertEqual(there.data, b"".join(b"%d," % number for number in range(100)))
        self.assertEqual(here.data, b"".join(b"%d;" % number for number in range(100)))
        self.assertEqual((here.pauses, here.connection.queued), (0, 0))

    def test_at_once(self) -> None:
        """What the kernel takes is sent without a turn of the reactor."""
        here, _ = self.join()
        here.connection.write(b"now")
        self.assertEqual(self.turns.getWriters(), [])

    def test_sequence(self) -> None:
        """Several pieces are one."""
        here, there = self.join()
        here.connection.writeSequence([b"a", b"b", b""])
        here.connection.write(b"")
        here.connection.write(b"c")
        self.turns.until(lambda: there.size == 3)
        self.assertEqual(there.data, b"abc")
        for _ in range(2):  # At once, and behind what is queued.
            here.connection.writeSequence([b"he", b"ad", LARGE, b"tail"])
        self.turns.until(lambda: there.size == 3 + 2 * (len(LARGE) + 8))
        self.assertEqual(digest(there.data[3:]), digest((b"head" + LARGE + b"tail") * 2))

    def test_borrowed(self) -> None:
        """What is given as a memoryview may be overwritten at once."""
        here, there = self.join()
        buffer = bytearray(LARGE)
        here.connection.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
        self.turns.until(lambda: there.size == len(LARGE))
        self.assertEqual(digest(there.data), digest(LARGE))

    def test_slow_reader(self) -> None:
        """Who writes too much is told to pause, and to go on when all is sent; nothing is lost."""
        here, there = self.join()
        there.connection.pauseProducing()
        here.connection.write(LARGE)
        here.connection.write(b"tail")
        self.turns.settle()
        self.assertEqual((there.size, here.pauses, here.resumes), (0, 1, 0))
        self.assertGreater(here.connection.queued, HIGH_WATER)
        there.connection.resumeProducing()
        self.turns.until(lambda: there.size == len(LARGE) + 4)
        self.turns.settle()
        self.assertEqual(digest(there.data), digest(LARGE + b"tail"))
        self.assertEqual((here.pauses, here.resumes, here.connection.queued), (1, 1, 0))
        self.assertEqual(self.turns.getWriters(), [])

    def test_both_ways_at_once(self) -> None:
        """Much each way at the same time, read in bits."""
        here, there = self.join()
        here.connection.write(LARGE)
        there.connection.write(LARGE[::-1])
        for end in (here, there) * 20:
            end.connection.pauseProducing()
            self.turns.turn()
            end.connection.resumeProducing()
            self.turns.turn()
        self.turns.until(lambda: here.size == there.size == len(LARGE))
        self.assertEqual(digest(there.data), digest(LARGE))
        self.assertEqual(digest(here.data), digest(LARGE[::-1]))

    def test_paused_in_a_read(self) -> None:
        """Paused from inside a read, nothing more comes until it is resumed; then all of it."""
        here, there = self.join()

        def pause(data: bytes) -> None:
            End.dataReceived(there, data)
            there.connection.pauseProducing()

        there.dataReceived = pause  # type: ignore[method-assign]
        here.connection.write(LARGE[:300_000])
        here.connection.write(b"tail")
        reads = 0
        while there.size < 300_004:
            self.turns.settle()
            reads += 1
            self.assertEqual(len(there.pieces), reads)
            there.connection.resumeProducing()
        self.assertEqual(digest(there.data), digest(LARGE[:300_000] + b"tail"))

    def test_close_behind(self) -> None:
        """Closing comes after what is queued, and is an orderly end at both ends."""
        here, there = self.join()
        here.connection.write(LARGE)
        here.connection.loseConnection()
        here.connection.write(b"too late")
        self.turns.until(lambda: here.lost and there.lost)
        self.assertEqual((here.lost, there.lost), (ConnectionDone, ConnectionDone))
        self.assertEqual(digest(there.data), digest(LARGE))
        self.assertEqual(self.turns.watched, [])

    def test_close_with_nothing_queued(self) -> None:
        """The protocol hears of its own close in another turn."""
        here, there = self.join()
        here.connection.loseConnection()
        self.assertIsNone(here.lost)
        self.turns.until(lambda: here.lost and there.lost)
        self.assertEqual((here.lost, there.lost), (ConnectionDone, ConnectionDone))

    def test_data_and_end(self) -> None:
        """The last bytes come before the end, though both are there at once."""
        here, there = self.join()
        here.connection.write(LARGE[: 2 * RECORD])
        here.connection.loseConnection()
        self.turns.until(lambda: here.lost)
        self.turns.until(lambda: there.lost)
        self.assertEqual((there.size, there.lost), (2 * RECORD, ConnectionDone))

    def test_half_close(self) -> None:
        """Who sends nothing more reads on, what waited to be read included."""
        here, there = Listening(), Listening()
        self.join(here, there)
        there.connection.write(b"before")
        here.connection.write(b"all")
        here.connection.loseWriteConnection()
        here.connection.write(b"too late")
        self.turns.until(lambda: there.half)
        self.assertEqual((there.data, there.lost), (b"all", None))
        there.connection.write(LARGE)
        there.connection.loseConnection()
        self.turns.until(lambda: here.half or here.lost)
        self.assertEqual(digest(here.data), digest(b"before" + LARGE))
        here.connection.loseConnection()
        self.turns.until(lambda: here.lost and there.lost)
        self.assertEqual((here.half, there.half), (1, 1))

    def test_half_close_while_much_comes(self) -> None:
        """A half-close amid what comes loses nothing of it."""
        here, there = Listening(), Listening()
        self.join(here, there)
        there.connection.write(LARGE)
        self.turns.until(lambda: here.size > 100_000)
        here.connection.loseWriteConnection()
        self.turns.until(lambda: here.size == len(LARGE) and there.half)
        self.assertEqual(digest(here.data), digest(LARGE))
        self.assertIsNone(here.lost)

    def test_half_close_while_paused(self) -> None:
        """A half-close of one who does not read now comes when it does, and costs no turns."""
        here, there = Listening(), Listening()
        self.join(here, there)
        here.connection.pauseProducing()
        there.connection.write(b"data")
        self.turns.settle()
        here.connection.loseWriteConnection()
        self.turns.settle()
        here.connection.resumeProducing()
        self.turns.until(lambda: here.size == 4 and there.half)

    def test_early_answer(self) -> None:
        """An answer followed by a half-close arrives, though the other side still sends a lot."""
        here, there = self.join()
        there.connection.write(LARGE)
        self.turns.until(lambda: here.size > 0)
        here.connection.write(b"enough")
        here.connection.loseWriteConnection()
        self.turns.until(lambda: there.lost)
        self.assertEqual((there.data, there.lost), (b"enough", ConnectionDone))
        self.turns.until(lambda: here.lost)

    def test_abort(self) -> None:
        """Aborting drops what is queued, and the other end sees that it is no orderly end."""
        here, there = self.join()
        there.connection.pauseProducing()
        here.connection.write(LARGE)
        here.connection.abortConnection()
        self.assertIsNone(here.lost)
        there.connection.resumeProducing()
        self.turns.until(lambda: here.lost and there.lost)
        self.assertEqual((here.lost, there.lost), (ConnectionAborted, ConnectionLost))
        self.assertLess(there.size, len(LARGE))

    def test_end_in_a_write(self) -> None:
        """A write to one who has gone tells the protocol in another turn, once."""
        here, there = self.join()
        here.connection.pauseProducing()
        there.connection.abortConnection()
        self.turns.settle()
        here.connection.write(b"a")
        here.connection.write(b"b")
        self.assertIsNone(here.lost)
        self.turns.until(lambda: here.lost)

    def test_quiet(self) -> None:
        """Whether something waits, be it the end, is known without reading it."""
        here, there = self.join()
        self.assertTrue(here.connection.is_quiet())
        there.connection.write(b"data")
        self.assertFalse(here.connection.is_quiet())
        self.turns.until(lambda: here.size == 4)
        self.assertTrue(here.connection.is_quiet())
        there.connection.loseConnection()
        self.turns.until(lambda: there.lost)
        self.assertFalse(here.connection.is_quiet())

    def test_file(self) -> None:
        """A part of a file goes out in its place among what is written."""
        here, there = self.join()
        file = self.file(LARGE)
        here.connection.write(b"head")
        here.connection.send_file(file, 1, len(LARGE) - 2)
        here.connection.write(b"tail")
        self.turns.until(lambda: there.size == len(LARGE) + 6)
        self.assertEqual(digest(there.data), digest(b"head" + LARGE[1:-1] + b"tail"))
        self.turns.settle()
        self.assertEqual((here.pauses, here.resumes, here.connection.queued), (1, 1, 0))

    def test_file_that_shrank(self) -> None:
        """A file that is shorter than was said ends the connection: it must not look whole."""
        here, there = self.join()
        here.connection.send_file(self.file(b"short"), 0, 100)
        self.turns.until(lambda: here.lost and there.lost)
        # Without TLS there is no other way to say that something is missing.
        said = ConnectionDone if self.plain else ConnectionLost
        self.assertEqual((there.data, here.lost, there.lost), (b"short", ConnectionLost, said))

    def test_addresses(self) -> None:
        """Both ends are known, and whether bytes go out as they are."""
        here, _ = self.join()
        peer: Any = here.connection.getPeer()
        self.assertEqual((peer.type, peer.host), ("TCP", "127.0.0.1"))
        host: Any = here.connection.getHost()
        self.assertEqual(host.port, here.connection.socket.getsockname()[1])
        self.assertEqual(here.connection.plain, self.plain)

    def file(self, content: bytes) -> int:
        """An open file."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        file = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, file)
        return file


def digest(data: bytes) -> str:
    """For comparisons whose failure is readable."""
    return hashlib.sha256(data).hexdigest()


class SecureTests(PlainTests):
    """The same under TLS 1.3, and what only TLS has."""

    plain = False
    version = ssl.TLSVersion.TLSv1_3

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(temporary_folder(self))
        site = self.authority.issue("site.pem", "shop.example")
        self.server = server_context(str(site), ServerSettings((str(site),)))
        self.client = client_context(str(self.authority.file))
        self.client.maximum_version = self.version

    def shaken(self) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        """Two sockets after their handshake."""
        ours, theirs = sockets()
        host = "shop.example"
        secure = (
            self.server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False),
            self.client.wrap_socket(theirs, server_hostname=host, do_handshake_on_connect=False),
        )
        ended: list[OSError | None] = []
        for one in secure:
            Handshake(self.turns, one, ended.append).step()
        self.turns.until(lambda: len(ended) == 2)
        self.assertEqual(ended, [None, None])
        return secure

    def connections(self) -> tuple[Connection, Connection]:
        ours, theirs = self.shaken()
        host = ours.getpeername()
        return SecureConnection(self.turns, ours, host), SecureConnection(self.turns, theirs, host)

    def test_version(self) -> None:
        """The version and the cipher are told."""
        here, _ = self.join()
        connection = cast(SecureConnection, here.connection)
        version = self.version.name.replace("_", ".")
        self.assertTrue(connection.cipher().startswith(f"{version}/"), connection.cipher())
        self.assertEqual(connection.client_subject(), b"")

    def test_cut(self) -> None:
        """A connection that ends without TLS' farewell has been cut."""
        here, there = self.join()
        there.connection.write(b"half")
        self.turns.until(lambda: here.size == 4)
        there.connection.socket.shutdown(socket.SHUT_WR)
        self.turns.until(lambda: here.lost)
        self.assertEqual(here.lost, ConnectionLost)

    def test_records_at_once(self) -> None:
        """Records that are there already come as one piece, up to the size of a plain read."""
        here, there = self.join()
        there.connection.pauseProducing()
        here.connection.write(LARGE[:READ_SIZE] + LARGE[: 2 * RECORD])
        there.connection.resumeProducing()
        self.turns.until(lambda: there.size == READ_SIZE + 2 * RECORD)
        self.assertEqual([len(piece) for piece in there.pieces], [READ_SIZE, 2 * RECORD])

    def test_garbage(self) -> None:
        """What is no TLS ends the connection."""
        here, there = self.join()
        socket.socket.send(there.connection.socket, b"GET / HTTP/1.1\r\n\r\n")
        self.turns.until(lambda: here.lost)
        self.assertEqual((here.data, here.lost), (b"", ConnectionLost))

    def test_read_waits_for_write(self) -> None:
        """A read that has to write first goes on when that is possible."""
        here, there = self.join()
        connection = cast(Any, here.connection)
        read, connection._recv = connection._recv, failing(ssl.SSLWantWriteError())
        there.connection.write(b"data")
        self.turns.until(lambda: connection in self.turns.getWriters())
        self.assertEqual(here.data, b"")
        connection._recv = read
        self.turns.until(lambda: here.size == 4)
        self.turns.settle()
        self.assertNotIn(connection, self.turns.getWriters())

    def test_write_waits_for_read(self) -> None:
        """A write that has to read first does not spin, and goes on when something has come."""
        here, there = self.join()
        connection = cast(Any, here.connection)
        here.connection.pauseProducing()
        write, connection._send = connection._send, failing(ssl.SSLWantReadError())
        here.connection.write(b"data")
        self.turns.settle()
        self.assertEqual((there.data, connection in self.turns.getWriters()), (b"", False))
        here.connection.pauseProducing()
        connection._send = write
        there.connection.write(b"news")
        self.turns.until(lambda: there.size == 4)
        self.turns.settle()
        self.assertEqual((here.data, connection in self.turns.watched), (b"", False))
        here.connection.resumeProducing()
        self.turns.until(lambda: here.size == 4)

    def test_lost_while_a_write_waits(self) -> None:
        """A write that has to read first ends with the connection."""
        here, there = self.join()
        connection = cast(Any, here.connection)
        connection._send = failing(ssl.SSLWantReadError())
        here.connection.write(b"data")
        self.turns.settle()
        there.connection.abortConnection()
        self.turns.until(lambda: here.lost)
        self.assertEqual(self.turns.watched, [])


class SecureOldTests(SecureTests):
    """The same under TLS 1.2."""

    version = ssl.TLSVersion.TLSv1_2


def failing(error: Exception) -> Any:
    """What always fails."""

    def fail(*arguments: object) -> None:
        raise error

    return fail
