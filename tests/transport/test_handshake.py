"""Clients at the door, and backends that are dialled under TLS; over real sockets, on no clock."""

from __future__ import annotations

import socket
import ssl
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import ConnectFailed, HandshakeFailed
from lbproxy.transport.accept import Acceptor
from lbproxy.transport.certificates import ServerSettings, client_context
from lbproxy.transport.connect import Dialled, connect
from lbproxy.transport.handshake import LINGER, Doorway
from lbproxy.transport.identities import Identities
from lbproxy.transport.timer import FIRST, RESOLUTION, CoarseTimer
from lbproxy.transport.tls import SecureConnection
from lbproxy.transport.trust import Trust
from tests.certificates import Authority
from tests.config.folder import temporary_folder
from tests.transport.turning import TurningReactor

#: A time at which the certificates of the tests are valid.
NOW = 1_790_000_000.0


class Echo(Protocol):
    """Gives back what comes."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Asking(Dialled):
    """A backend's connection; keeps what comes."""

    data = b""
    lost = False

    @property
    def secure(self) -> SecureConnection:
        return cast(SecureConnection, self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = True


def address_of(listening: socket.socket) -> str:
    """Where a socket listens, as the config writes it."""
    return f"127.0.0.1:{listening.getsockname()[1]}"


class DoorCase(SynchronousTestCase):
    """A door with a certificate for `shop.example` and 127.0.0.1."""

    def setUp(self) -> None:
        self.turns = TurningReactor()
        self.turns.now = NOW
        self.addCleanup(self.turns.close)
        self.timer = CoarseTimer(self.turns)
        self.timer.startService()
        self.addCleanup(self.timer.stopService)
        self.folder = temporary_folder(self)
        self.authority = Authority(self.folder)
        self.site = self.authority.issue("site.pem", "shop.example", "127.0.0.1")
        self.inside: list[Protocol] = []
        self.guests: list[Any] = []
        self.addCleanup(self.close_all)
        self.plain: list[socket.socket] = []
        self.open()

    def open(self, **settings: Any) -> None:
        """Listen, with more of the settings."""
        identities = Identities(ServerSettings((str(self.site),), **settings), NOW)
        self.door = Doorway(
            self.turns,
            self.join,
            self.leave,
            identities,
            self.build,
            self.refuse_plain,
            10.0,
            "secure",
        )
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.addCleanup(self.listening.close)
        self.acceptor = Acceptor(self.turns, self.listening, self.build, self.door.welcome)
        self.acceptor.startReading()

    def join(self, guest: Any) -> None:
        """A handshake has begun."""
        self.guests.append(guest)
        self.timer.add(guest)

    def leave(self, guest: Any) -> None:
        """It is over."""
        self.guests.remove(guest)
        self.timer.discard(guest)

    def build(self) -> Protocol:
        self.inside.append(Echo())
        return self.inside[-1]

    def close_all(self) -> None:
        """Close what still stands."""
        for protocol in self.inside:
            cast(SecureConnection, protocol.transport).socket.close()

    def refuse_plain(self, skt: socket.socket, peer: Any) -> None:
        self.plain.append(skt)
        self.addCleanup(skt.close)

    def knock(self, data: bytes = b"") -> socket.socket:
        """A client without TLS, and what it sends."""
        client = socket.create_connection(self.listening.getsockname())
        self.addCleanup(client.close)
        client.settimeout(0)
        client.sendall(data)
        self.turns.settle()
        return client

    def ended(self, client: socket.socket) -> bytes:
        """What a client still gets before its connection ends."""
        self.turns.settle()
        got = b""
        while data := client.recv(65536):
            got += data
        return got

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the timer notice it."""
        for _ in range(round(seconds / RESOLUTION) + 1):
            self.turns.advance(RESOLUTION)

    def assert_empty(self) -> None:
        """Nobody is at the door, and nothing but the door is watched."""
        self.assertEqual(set(self.timer._timed), set())
        self.assertEqual(self.turns.watched, [self.acceptor])


class DoorTests(DoorCase):
    def test_plain(self) -> None:
        """HTTP without TLS is passed on, none of it read."""
        self.knock(b"GET / HTTP/1.1\r\n")
        self.assertEqual(self.plain[0].recv(100), b"GET / HTTP/1.1\r\n")
        self.assertEqual(self.inside, [])
        self.assert_empty()

    def test_garbage(self) -> None:
        """What is neither gets an alert (RFC 8446 section 6.2) or nothing, and is gone."""
        for data in (b"\x00\x01\x02\x03\x04\x05", b"\x16\x03\x01\x00\x05hello", b"\xff" * 100):
            client = self.knock(data)
            self.assertIn(self.ended(client)[:1], (b"", b"\x15"))
            client.close()
            self.turns.settle()
            self.assert_empty()
        self.assertEqual((self.inside, self.plain), ([], []))

    def test_gone(self) -> None:
        """Clients that go before their first byte, or amid their handshake, leave nothing."""
        for data in (b"", b"\x16\x03\x01"):
            client = self.knock(data)
            client.close()
            self.turns.settle()
            self.assert_empty()

    def test_silent(self) -> None:
        """Who does not end its handshake in time is closed, however far it came."""
        for data in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"):
            client = self.knock(data)
            self.pass_time(9.0)
            self.turns.settle()
            with self.assertRaises(BlockingIOError):
                client.recv(1)
            self.pass_time(1.0)
            self.assertEqual(self.ended(client), b"")
            self.assert_empty()

    def test_lingers_briefly(self) -> None:
        """After a failure the client may see why, but not for long."""
        client = self.knock(b"\x16\x03\x01\x00\x05hello")
        self.assertEqual(self.ended(client)[:1], b"\x15")
        self.pass_time(LINGER)
        self.turns.settle()
        self.assert_empty()

    def test_drain(self) -> None:
        """Who is in the door when we stop gets a moment for what it came for."""
        waiting, shaking = self.knock(), self.knock(b"\x16\x03")
        for guest in self.guests:
            guest.drain()
        self.turns.advance(FIRST - RESOLUTION)
        self.assertEqual(len(self.guests), 2)
        self.turns.advance(RESOLUTION)
        self.assertEqual((self.ended(waiting), self.ended(shaking)), (b"", b""))
        self.assert_empty()

    def test_abort(self) -> None:
        """Or none."""
        waiting, shaking = self.knock(), self.knock(b"\x16\x03")
        for guest in list(self.guests):
            guest.abort("cut")
        self.assertEqual((self.ended(waiting), self.ended(shaking)), (b"", b""))
        self.assert_empty()


class DialCase(DoorCase):
    """Who dials the door."""

    def setUp(self) -> None:
        super().setUp()
        self.asking: list[Asking] = []

    def dial(self, trust: Trust, address: str = "", timeout: float = 2.0) -> Deferred[Asking]:
        """Begin to connect."""
        address = address or address_of(self.listening)
        return connect(self.turns, address, self.build_asking, timeout, trust)

    def build_asking(self) -> Asking:
        self.asking.append(Asking())
        return self.asking[-1]

    def close_all(self) -> None:
        super().close_all()
        for asking in self.asking:
            asking.secure.socket.close()

    def trust(self, name: str = "shop.example", verify: bool | str | None = None) -> Trust:
        """The door's authority, for a name."""
        verify = str(self.authority.file) if verify is None else verify
        return Trust(client_context(verify), name)

    def stands(self, trust: Trust) -> Asking:
        """A connection that stands, and has been answered once."""
        dialled = self.dial(trust)
        self.turns.until(lambda: dialled.called)
        asking = self.successResultOf(dialled)
        asking.secure.write(b"ping")
        self.turns.until(lambda: asking.data == b"ping")
        return asking

    def fails(self, dialled: Deferred[Asking]) -> str:
        """How a connection fails, in words; and nothing is left of it."""
        self.turns.until(lambda: dialled.called)
        detail: str = self.failureResultOf(dialled, HandshakeFailed).value.detail
        self.turns.settle()
        self.assertEqual(self.turns.getDelayedCalls(), [self.timer._loop.call])
        return detail

    def hang_up(self, asking: Asking) -> None:
        """Close, and let it be noticed."""
        asking.secure.loseConnection()
        self.turns.until(lambda: asking.lost)
        self.turns.settle()


class DialTests(DialCase):
    def test_verified(self) -> None:
        """A certificate of the authority for the name, or for the address."""
        for name in ("shop.example", "127.0.0.1"):
            self.assertFalse(self.stands(self.trust(name)).secure.plain)

    def test_unverified(self) -> None:
        """Without verification any certificate will do, and no name is needed."""
        self.stands(self.trust("other.example", False))
        self.stands(self.trust("", False))

    def test_refused(self) -> None:
        """What is wrong with the certificate is said."""
        foreign = Authority(self.folder, "foreign.pem")
        for trust, words in (
            (self.trust(verify=str(foreign.file)), "certificate refused: unable to get local"),
            (self.trust(verify=True), "certificate refused: "),
            (self.trust("other.example"), "certificate refused: Hostname mismatch"),
            (self.trust("127.0.0.2"), "certificate refused: IP address mismatch"),
        ):
            self.assertIn(words, self.fails(self.dial(trust)))

    def test_no_tls(self) -> None:
        """A port that speaks something else, or nothing."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = address_of(other)
            dialled = self.dial(self.trust(), address)
            self.turns.settle()
            server, _ = other.accept()
            server.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.assertEqual(self.fails(dialled), "TLS: wrong version number")
            server.close()
            dialled = self.dial(self.trust(), address)
            self.turns.settle()
            server, _ = other.accept()
            server.recv(65536)
            server.close()
            self.assertEqual(self.fails(dialled), "TLS: closed by the other side")

    def test_too_late(self) -> None:
        """The connect timeout is for the handshake too; cancelling ends it as well."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = address_of(other)
            dialled = self.dial(self.trust(), address)
            self.turns.settle()
            self.turns.advance(2.0)
            self.assertEqual(self.fails(dialled), "TLS: no connection within 2.0 s")
            dialled = self.dial(self.trust(), address)
            self.turns.settle()
            dialled.cancel()
            self.failureResultOf(dialled, CancelledError)
        self.turns.settle()
        self.assertEqual(self.turns.watched, [self.acceptor])

    def test_nobody(self) -> None:
        """A port that refuses is told as it is without TLS."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = address_of(other)
        dialled = self.dial(self.trust(), address)
        self.turns.until(lambda: dialled.called)
        error = self.failureResultOf(dialled, ConnectFailed).value
        self.assertEqual((error.refused, type(error)), (True, ConnectFailed))
        self.turns.settle()

    def test_session(self) -> None:
        """The next connection goes on with the session of an earlier one, open or closed."""
        trust = self.trust()
        first = self.stands(trust)
        second = self.stands(trust)
        self.hang_up(first)
        self.hang_up(second)
        third = self.stands(trust)
        fresh = self.stands(trust.afresh())
        reused = [asking.secure.socket.session_reused for asking in (third, fresh)]
        self.assertEqual(reused, [True, False])
        self.assertFalse(self.stands(self.trust()).secure.socket.session_reused)

    def test_session_of_one_that_is_open(self) -> None:
        """TLS 1.3 gives sessions with the first answer: from then on they are taken."""
        trust = self.trust()
        self.stands(trust)
        self.assertTrue(self.stands(trust).secure.socket.session_reused)


class ClientCertificateTests(DialCase):
    def open(self, **settings: Any) -> None:
        """Listen for clients with a certificate."""
        super().open(client_ca=str(self.authority.file), **settings)

    def client(self, authority: Authority) -> Trust:
        """A client with a certificate."""
        file = authority.issue("client.pem", "alice@shop.example", common_name="alice")
        context = client_context(str(self.authority.file))
        context.load_cert_chain(file)
        return Trust(context, "shop.example")

    def subject(self) -> bytes:
        """Whom the last client's certificate is for."""
        return cast(SecureConnection, self.inside[-1].transport).client_subject()

    def refused(self, trust: Trust) -> None:
        """A client is not let in."""
        dialled = self.dial(trust)
        self.turns.until(lambda: dialled.called)
        asking = self.successResultOf(dialled)
        self.turns.until(lambda: asking.lost)
        self.turns.settle()

    def test_accepted(self) -> None:
        """One of the authority comes in, and it is known who that is; with a session too."""
        trust = self.client(self.authority)
        for _ in range(2):
            asking = self.stands(trust)
            self.assertTrue(self.subject().startswith(b"CN=alice,"), self.subject())
        self.assertTrue(asking.secure.socket.session_reused)

    def test_required(self) -> None:
        """None, and one of another authority, do not come in; with TLS 1.3 they hear it later."""
        self.refused(self.trust())
        self.refused(self.client(Authority(self.folder, "foreign.pem")))
        self.assertEqual(self.inside, [])


class OptionalCertificateTests(ClientCertificateTests):
    def open(self, **settings: Any) -> None:
        super().open(required=False)

    def test_required(self) -> None:
        """None is nobody; one of another authority is refused all the same."""
        self.stands(self.trust())
        self.assertEqual(self.subject(), b"")
        self.refused(self.client(Authority(self.folder, "foreign.pem")))
        self.assertEqual(len(self.inside), 1)


class VersionTests(DialCase):
    def open(self, **settings: Any) -> None:
        super().open(min_version="1.3")

    def test_too_old(self) -> None:
        """A client that only speaks an older version is told so."""
        context = client_context(str(self.authority.file))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        detail = self.fails(self.dial(Trust(context, "shop.example")))
        self.assertEqual(detail, "TLS: tlsv1 alert protocol version")

    def test_protocol(self) -> None:
        """`http/1.1` is agreed on; a client that offers only others goes on without."""
        asking = self.stands(self.trust())
        self.assertEqual(asking.secure.socket.selected_alpn_protocol(), "http/1.1")
        context = client_context(str(self.authority.file))
        context.set_alpn_protocols(["h2"])
        asking = self.stands(Trust(context, "shop.example"))
        self.assertIsNone(asking.secure.socket.selected_alpn_protocol())
