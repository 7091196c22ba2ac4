"""What changes in the fields of a message on its way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.forward import fields
from lbproxy.forward.fields import Peer
from lbproxy.http1.message import Fields, RequestHead, ResponseHead, split_block
from tests.forward.heads import request, response

STRANGER = Peer(b"192.0.2.7", b"http", trusted=False)
SECURE = Peer(b"192.0.2.7", b"https", False, subject=b"CN=alice", tls="TLSv1.3/X")
FRIEND = Peer(b"192.0.2.7", b"http", trusted=True)


def sent(
    lines: bytes = b"",
    start: bytes = b"GET / HTTP/1.1",
    peer: Peer = STRANGER,
    upgrade: bytes | None = None,
) -> dict[bytes, list[bytes]]:
    """What a backend gets of a request, by lower-case name."""
    head = request(lines, start)
    return by_name(to_backend(head, b"shop", peer, upgrade))


def given_back(
    lines: bytes = b"", start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET"
) -> dict[bytes, list[bytes]]:
    """What a client gets of an answer, by lower-case name."""
    head = response(lines, start, method)
    return by_name(to_client(head))


def to_backend(
    head: RequestHead, host: bytes, peer: Peer = STRANGER, upgrade: bytes | None = None
) -> Fields:
    """The field lines of the request that a backend gets."""
    start, _, rest = (
        fields.RequestTemplate(head, b"/", host, upgrade).message(peer, b"id-1").partition(b"\n")
    )
    assert start == head.method + b" / HTTP/1.1\r"
    assert rest.endswith(b"\r\n\r\n")
    return read(rest[:-2])


def to_client(head: ResponseHead) -> Fields:
    """The field lines of the answer that a client gets, whatever its connection."""
    start, _, rest = fields.ResponseTemplate(head).begin(b"id-1", b"now").partition(b"\n")
    assert start == b"HTTP/1.1 %d %b\r" % (head.status, head.reason)
    return read(rest)


def read(lines: bytes) -> Fields:
    """Lines that were written, taken apart."""
    return split_block(b"\n" + lines)


def by_name(lines: Fields) -> dict[bytes, list[bytes]]:
    """The values of all lines by lower-case name."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        values.setdefault(name.lower(), []).append(value)
    return values


class HopByHopTests(SynchronousTestCase):
    def test_of_requests(self) -> None:
        """Fields of one connection stay on it, named by `Connection` or not."""
        lines = (
            b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n"
            b"TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        )
        self.assertEqual(
            set(sent(lines)),
            set(sent()),
        )

    def test_of_answers(self) -> None:
        """The same for answers."""
        lines = b"Connection: close\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nX-A: 1\r\n"
        self.assertEqual(set(given_back(lines)), {b"date", b"x-request-id", b"via", b"x-a"})

    def test_nominated(self) -> None:
        """What `Connection` names goes, in any case, on whichever of its lines it stands."""
        lines = (
            b"Connection:\r\nConnection: close, X-One\r\nX-One: 1\r\nx-two: 2\r\n"
            b"X-Three: 3\r\nCONNECTION: ,X-TWO ,\r\n"
        )
        kept = sent(lines)
        self.assertEqual(kept.get(b"x-three"), [b"3"])
        self.assertNotIn(b"x-one", kept)
        self.assertNotIn(b"x-two", kept)
        self.assertEqual(set(given_back(b"Connection: X-One\r\nX-One: 1\r\n")), set(given_back()))

    def test_ours_cannot_be_nominated(self) -> None:
        """A peer cannot take away what we set by naming it in `Connection`."""
        named = (
            b"Connection: host, via, x-request-id, x-forwarded-for, x-forwarded-proto, "
            b"x-forwarded-host, content-length\r\nContent-Length: 3\r\n"
        )
        kept = sent(named, b"POST / HTTP/1.1")
        self.assertEqual(kept, sent(b"Content-Length: 3\r\n", b"POST / HTTP/1.1"))
        self.assertEqual(kept[b"content-length"], [b"3"])
        answer = given_back(b"Connection: date, via, x-request-id\r\nDate: then\r\n")
        self.assertEqual(answer[b"date"], [b"now"])
        self.assertEqual(answer[b"x-request-id"], [b"id-1"])
        self.assertEqual(answer[b"via"], [b"1.1 lbproxy"])

    def test_trailers(self) -> None:
        """Trailers can bring nothing that the head could not, nor anything of the framing."""
        trailers = [
            (b"X-Sum", b"1"),
            (b"Content-Length", b"3"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Connection", b"close"),
            (b"Host", b"evil"),
            (b"X-Forwarded-For", b"6.6.6.6"),
            (b"X_Real_IP", b"6.6.6.6"),
            (b"Via", b"1.1 other"),
        ]
        self.assertEqual(fields.trailer_fields(trailers), [(b"X-Sum", b"1")])

    @given(st.lists(st.sampled_from([b"close", b"X-A", b"x-b", b"keep-alive", b""])))
    def test_lines_or_list(self, options: list[bytes]) -> None:
        """Options on several lines mean what one list of them means."""
        carried = b"X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"
        lines = b"".join(b"Connection: %b\r\n" % option for option in options)
        one = b"Connection: %b\r\n" % b" , ".join(options)
        self.assertEqual(sent(lines + carried), sent(one + carried))


class ControlTests(SynchronousTestCase):
    def test_all_that_is_dropped(self) -> None:
        """What never goes on is among what the parser sets aside, however it is written."""
        for drops, head_of in (
            (fields._REQUEST_DROPS, request),
            (fields._REQUEST_DROPS_OF_TRUSTED, request),
            (fields._RESPONSE_DROPS, response),
        ):
            for name in drops - {b"host", b"content-length", b"transfer-encoding"}:
                for spelt in (name, name.upper(), name.title(), name.replace(b"-", b"_")):
                    control = head_of(b"X-A: 1\r\n%b: x\r\nX-B: 2\r\n" % spelt).control
                    self.assertEqual(control.get(spelt.lower()), [b"x"], spelt)


class EndToEndTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """Fields that we do not know go on, as they came and in their order."""
        lines = b"X-B: 2\r\nx-a: 1\r\nX-B: 3, 4\r\nX_C: 5\r\nTrailer: X-Sum\r\n"
        head = request(lines)
        passed = to_backend(head, b"shop")
        self.assertEqual(passed[1:6], head.fields[1:])
        passed = to_client(response(lines))
        self.assertEqual(passed[:5], head.fields[1:])

    def test_host(self) -> None:
        """`Host` is the first field, and what the client asked for."""
        passed = to_backend(request(), b"shop:8080")
        self.assertEqual(passed[0], (b"Host", b"shop:8080"))
        self.assertEqual(by_name(passed)[b"host"], [b"shop:8080"])

    def test_via(self) -> None:
        """`Via` gets the version that was received and our name, behind what is there."""
        self.assertEqual(sent()[b"via"], [b"1.1 lbproxy"])
        self.assertEqual(sent(start=b"GET / HTTP/1.0")[b"via"], [b"1.0 lbproxy"])
        self.assertEqual(sent(b"Via: 1.0 a\r\n")[b"via"], [b"1.0 a", b"1.1 lbproxy"])
        self.assertEqual(given_back()[b"via"], [b"1.1 lbproxy"])
        self.assertEqual(given_back(start=b"HTTP/1.0 200 OK")[b"via"], [b"1.0 lbproxy"])

    def test_date(self) -> None:
        """`Date` is added where it misses, and else is the origin's."""
        self.assertEqual(given_back()[b"date"], [b"now"])
        self.assertEqual(given_back(b"Date: then\r\n")[b"date"], [b"then"])

    def test_lengths_without_body(self) -> None:
        """The answer to HEAD and 304 keep the length that GET would have; 204 has none."""
        length = b"Content-Length: 5\r\n"
        self.assertEqual(given_back(length, method=b"HEAD")[b"content-length"], [b"5"])
        not_modified = b"HTTP/1.1 304 Not Modified"
        self.assertEqual(given_back(length, not_modified)[b"content-length"], [b"5"])
        self.assertNotIn(b"content-length", given_back(start=b"HTTP/1.1 204 No Content"))

    def test_informational(self) -> None:
        """1xx answers go on without what is of the connection, and get nothing of ours."""
        head = response(b"Link: </a>\r\nConnection: X-A\r\nX-A: 1\r\n", b"HTTP/1.1 103 Hints")
        self.assertEqual(read(fields.informational_lines(head)), [(b"Link", b"</a>")])

    def test_max_forwards(self) -> None:
        """`Max-Forwards` counts down for OPTIONS and TRACE, and for no other method."""
        line = b"Max-Forwards: 5\r\n"
        for method, after in ((b"OPTIONS", b"4"), (b"TRACE", b"4"), (b"GET", b"5")):
            kept = sent(line, method + b" / HTTP/1.1")
            self.assertEqual(kept[b"max-forwards"], [after], method)
        for odd in (b"-1", b"five", b"9" * 40):
            kept = sent(b"Max-Forwards: %b\r\n" % odd, b"TRACE / HTTP/1.1")
            self.assertEqual(kept[b"max-forwards"], [odd])

    def test_expect(self) -> None:
        """`Expect` goes on, but not from a client of HTTP/1.0, which cannot mean it."""
        line = b"Expect: 100-continue\r\n"
        self.assertEqual(sent(line)[b"expect"], [b"100-continue"])
        self.assertNotIn(b"expect", sent(line, b"GET / HTTP/1.0"))


class ForwardedTests(SynchronousTestCase):
    def test_strangers_are_not_believed(self) -> None:
        """All that tells who the client is comes from us, however it was written."""
        lines = b"".join(
            b"%b: 6.6.6.6\r\n" % spelt
            for name in fields.FORWARDED
            for spelt in (name, name.upper(), name.replace(b"-", b"_"))
        )
        self.assertEqual(sent(lines), sent())
        kept = sent()
        self.assertEqual(kept[b"x-forwarded-for"], [b"192.0.2.7"])
        self.assertEqual(kept[b"x-forwarded-proto"], [b"http"])
        self.assertEqual(kept[b"x-forwarded-host"], [b"shop"])

    def test_friends_are_believed(self) -> None:
        """A trusted peer's list goes on with its own address behind; so does its scheme."""
        lines = (
            b"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 198.51.100.2\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: www\r\nX-Real-IP: 198.51.100.1\r\n"
        )
        kept = sent(lines, peer=FRIEND)
        chain = b"198.51.100.1, 198.51.100.2, 192.0.2.7"
        self.assertEqual(kept[b"x-forwarded-for"], [chain])
        self.assertEqual(kept[b"x-forwarded-proto"], [b"https"])
        self.assertEqual(kept[b"x-forwarded-host"], [b"www"])
        self.assertEqual(kept[b"x-real-ip"], [b"198.51.100.1"])

    def test_silent_friend(self) -> None:
        """A trusted peer that says nothing is told of as a stranger is."""
        self.assertEqual(sent(peer=FRIEND), sent())

    def test_secure(self) -> None:
        """Who came by TLS is told of so, and so is the subject of its certificate."""
        kept = sent(peer=SECURE)
        self.assertEqual(kept[b"x-forwarded-proto"], [b"https"])
        self.assertEqual(kept[b"x-client-cert-subject"], [b"CN=alice"])

    def test_subject_is_ours(self) -> None:
        """Nobody brings the subject of a certificate along, not even a friend, nor takes ours."""
        lines = (
            b"X-Client-Cert-Subject: evil\r\nx_client_cert_subject: evil\r\n"
            b"X-Client_Cert-Subject: evil\r\nConnection: x-client-cert-subject\r\n"
        )
        for peer in (STRANGER, FRIEND, SECURE):
            self.assertEqual(sent(lines, peer=peer), sent(peer=peer))
        self.assertEqual(fields.trailer_fields([(b"X-Client-Cert-Subject", b"evil")]), [])

    def test_request_id(self) -> None:
        """There is one request id, and it is the one that we decided on."""
        kept = sent(b"X-Request-Id: theirs\r\nX_Request_Id: theirs\r\n")
        self.assertEqual(kept[b"x-request-id"], [b"id-1"])
        self.assertNotIn(b"x_request_id", kept)
        self.assertEqual(given_back(b"X-Request-Id: theirs\r\n")[b"x-request-id"], [b"id-1"])

    def test_underscores(self) -> None:
        """A name with an underscore goes only where one that we remove would be read."""
        kept = sent(b"Content_Length: 9\r\nTransfer_Encoding: chunked\r\nHo_st: 1\r\n")
        self.assertEqual(set(kept) - set(sent()), {b"ho_st"})


class FramingTests(SynchronousTestCase):
    def test_written_anew(self) -> None:
        """The framing that the parser decided is written, once, in its plain form."""
        chunked = sent(b"Transfer-Encoding: CHUNKED\r\n", b"POST / HTTP/1.1")
        self.assertEqual(chunked[b"transfer-encoding"], [b"chunked"])
        self.assertNotIn(b"content-length", chunked)
        length = sent(b"Content-Length: 3\r\n", b"POST / HTTP/1.1")
        self.assertEqual(length[b"content-length"], [b"3"])
        self.assertNotIn(b"transfer-encoding", length)
        self.assertFalse({b"content-length", b"transfer-encoding"} & set(sent()))


class PersistenceTests(SynchronousTestCase):
    def test_wants_close(self) -> None:
        """HTTP/1.1 stays open unless told otherwise, HTTP/1.0 the other way round."""
        for minor, lines, closes in (
            (1, b"", False),
            (1, b"Connection: close\r\n", True),
            (1, b"Connection: X-A\r\nConnection: foo, CLOSE\r\n", True),
            (1, b"Connection: keep-alive, close\r\n", True),
            (0, b"", True),
            (0, b"Connection: Keep-Alive\r\n", False),
            (0, b"Connection: keep-alive, close\r\n", True),
        ):
            head = request(lines, b"GET / HTTP/1.%d" % minor)
            self.assertEqual(head.closes, closes, (minor, lines))


class UpgradeTests(SynchronousTestCase):
    def test_websocket(self) -> None:
        """A WebSocket's handshake is offered on, with fields of our own connection."""
        lines = b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
        self.assertEqual(fields.upgrade_to(request(lines)), b"websocket")
        kept = sent(lines, upgrade=b"websocket")
        self.assertEqual((kept[b"connection"], kept[b"upgrade"]), ([b"upgrade"], [b"websocket"]))

    def test_others(self) -> None:
        """Other protocols, and what is no handshake, are not offered on."""
        for lines, start in (
            (b"Upgrade: websocket\r\n", b"GET / HTTP/1.1"),
            (b"Connection: Upgrade\r\n", b"GET / HTTP/1.1"),
            (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"GET / HTTP/1.1"),
            (b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", b"GET / HTTP/1.1"),
            (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"GET / HTTP/1.0"),
            (
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
                b"POST / HTTP/1.1",
            ),
        ):
            head = request(lines, start)
            self.assertIsNone(fields.upgrade_to(head), lines)
            self.assertFalse({b"connection", b"upgrade"} & set(sent(lines, start)))
