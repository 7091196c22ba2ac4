"""What RFC 9110 and 9112 ask of a gateway, seen from both of its sides over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Queue

import pytest

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer
from tests.processes import PATIENCE

Act = Callable[[Wire], None]

HOST = b"Host: shop.example\r\n"
LAST = HOST + b"Connection: close\r\n\r\n"


class Scripted:
    """An origin that answers each path as a test says, and what it has not been told of with `OK`.

    Attributes:
        acts: What to do once a head has been read.
        ended: Paths of the requests in whose course the balancer closed the connection.
    """

    def __init__(self) -> None:
        self.acts: dict[bytes, Act] = {}
        self.origin = Origin(self)

    def __call__(self, origin: Origin, wire: Wire) -> None:
        """Serve one connection."""
        while head := origin.request(wire):
            act = self.acts.get(head.split(b" ")[1])
            if act is None:
                wire.send(OK)
            else:
                act(wire)

    def says(self, path: bytes, answer: bytes) -> None:
        """Answer a path so."""
        self.acts[path] = lambda wire: wire.send(answer)

    def seen(self, path: bytes) -> list[bytes]:
        """The heads of the requests for a path, in order."""
        return [head for head in self.origin.heads if head.split(b" ")[1] == path]


@pytest.fixture(scope="module")
def scripted() -> Scripted:
    """The one backend."""
    return Scripted()


@pytest.fixture(scope="module")
def proxy(scripted: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    """The balancer of all tests here; what one of them breaks another one would notice."""
    folder = tmp_path_factory.mktemp("conformance")
    with balancer(folder, scripted.origin, pool="ejection = false") as started:
        yield started


def get(path: bytes) -> bytes:
    """A request, after which the connection ends."""
    return b"GET " + path + b" HTTP/1.1\r\n" + LAST


# What is refused.


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /refused HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /refused HTTP/1.1\r\n" + HOST + HOST + b"\r\n", b"400"),
        (b"GET /refused HTTP/1.1\r\nHost: user@shop\r\n\r\n", b"400"),
        (b"GET http://user@shop/refused HTTP/1.1\r\nHost: shop\r\n\r\n", b"400"),
        (b"GET /refused HTTP/1.1\r\n" + HOST + b"X : 1\r\n\r\n", b"400"),
        (b"GET /refused HTTP/1.1\r\n" + HOST + b"X: 1\r\n folded\r\n\r\n", b"400"),
        (b"GET /refused HTTP/1.1\n" + HOST + b"\r\n", b"400"),
        (b"POST /refused HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc", b"400"),
        (b"POST /refused HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (
            b"POST /refused HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
            b"501",
        ),
        (b"GET /refused HTTP/2.0\r\n" + HOST + b"\r\n", b"505"),
        (b"GET /refused" + b"d" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", b"414"),
        (b"GET /refused HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 100 + b"\r\n", b"431"),
        (b"CONNECT shop:443 HTTP/1.1\r\nHost: shop:443\r\n\r\n", b"501"),
    ],
)
def test_requests_refused(
    proxy: Balancer, scripted: Scripted, request_: bytes, status: bytes
) -> None:
    """One answer, nothing behind it is read, and the connection ends; no backend hears of it."""
    before = len(scripted.origin.heads)
    with (wire := proxy.connect()).socket:
        wire.send(request_ + get(b"/behind"))
        answer = wire.rest()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\nHTTP/1.1 " not in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert len(scripted.origin.heads) == before


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxyz",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nxyz",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
    ],
)
def test_answers_refused(proxy: Balancer, scripted: Scripted, answer: bytes) -> None:
    """502, and the connection to the backend is closed, not used again."""
    ends: Queue[bytes] = Queue()

    def act(wire: Wire) -> None:
        wire.send(answer)
        ends.put(wire.rest())
        scripted.acts.pop(b"/bad", None)

    scripted.acts[b"/bad"] = act
    told = proxy.ask(b"POST /bad HTTP/1.1\r\n" + LAST)
    assert told.startswith(b"HTTP/1.1 502 ")
    assert b"xyz" not in told
    # What the origin reads until the end would be the next request, if that came here.
    assert proxy.ask(get(b"/next")).startswith(b"HTTP/1.1 200 ")
    assert ends.get(timeout=PATIENCE) == b""


# Versions.


def test_our_version(proxy: Balancer, scripted: Scripted) -> None:
    """Both neighbours are spoken to in HTTP/1.1, whatever they speak (RFC 9110 section 2.5)."""
    scripted.says(b"/old", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    for version in (b"1.0", b"1.1", b"1.9"):
        answer = proxy.ask(b"GET /old HTTP/" + version + b"\r\n" + LAST)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nVia: 1.0 lbproxy\r\n" in answer
    lines = [head.partition(b"\r\n")[0] for head in scripted.seen(b"/old")]
    assert lines == [b"GET /old HTTP/1.1"] * 3


def test_old_client_keeps_alive(proxy: Balancer) -> None:
    """HTTP/1.0 stays open if it asks to, and is told so; else it is closed."""
    with (wire := proxy.connect()).socket:
        for _ in range(2):
            wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head = wire.head()
            assert b"\r\nConnection: keep-alive\r\n" in head
            assert wire.exactly(2) == b"ok"
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in wire.rest()


def test_old_client_without_host(proxy: Balancer, scripted: Scripted) -> None:
    """A backend gets a Host in any case: our own address, if the client named none."""
    proxy.ask(b"GET /hostless HTTP/1.0\r\n\r\n")
    port = proxy.process.port
    assert b"\r\nHost: 127.0.0.1:%d\r\n" % port in scripted.seen(b"/hostless")[0]


def test_old_client_gets_no_informational(proxy: Balancer, scripted: Scripted) -> None:
    """1xx is unknown to HTTP/1.0, and so is what it expects with `Expect`."""
    scripted.says(b"/hints", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    request = b"GET /hints HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"
    assert proxy.ask(request).startswith(b"HTTP/1.1 200 ")
    assert b"Expect" not in scripted.seen(b"/hints")[0]


# The connection.


def test_close(proxy: Balancer) -> None:
    """After `close` the answer says so too, and nothing behind the request is read."""
    answer = proxy.ask(get(b"/last") + get(b"/behind"))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_early_answer(proxy: Balancer, scripted: Scripted) -> None:
    """An answer before the request's end is seen whole, and then the connection ends."""
    scripted.says(b"/early", b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
    with (wire := proxy.connect()).socket:
        wire.send(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\nbegin")
        head = wire.head()
        assert head.startswith(b"HTTP/1.1 413 ") and b"\r\nConnection: close\r\n" in head
        wire.send(b"x" * 10_000)  # It is still sending; a reset would take the body away.
        assert wire.exactly(2) == b"no"


def test_backend_says_close(proxy: Balancer, scripted: Scripted) -> None:
    """`close` of a backend ends its connection, and not the client's."""
    scripted.says(b"/closing", OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    with (wire := proxy.connect()).socket:
        for _ in range(3):
            wire.send(b"GET /closing HTTP/1.1\r\n" + HOST + b"\r\n")
            assert b"Connection" not in wire.head()
            assert wire.exactly(2) == b"ok"


def test_bytes_behind_an_answer(proxy: Balancer, scripted: Scripted) -> None:
    """What no request asked for is no answer to the next one (RFC 9112 section 9.2)."""
    scripted.says(b"/more", OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    with (wire := proxy.connect()).socket:
        for path in (b"/more", b"/plain"):
            wire.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            wire.head()
            assert wire.exactly(2) == b"ok"


# Methods.


def test_trace_at_the_last_hop(proxy: Balancer, scripted: Scripted) -> None:
    """TRACE with `Max-Forwards: 0` is answered here, and shows no secrets."""
    request = b"TRACE /traced HTTP/1.1\r\nMax-Forwards: 0\r\nCookie: secret\r\nX-A: 1\r\n" + LAST
    head, _, body = proxy.ask(request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"\r\nContent-Type: message/http\r\n" in head
    assert body.startswith(b"TRACE /traced HTTP/1.1\r\n") and b"\r\nX-A: 1\r\n" in body
    assert b"secret" not in body
    assert scripted.seen(b"/traced") == []


def test_options_at_the_last_hop(proxy: Balancer, scripted: Scripted) -> None:
    """OPTIONS with `Max-Forwards: 0`, or of `*`, is answered here."""
    for request in (
        b"OPTIONS /counted HTTP/1.1\r\nMax-Forwards: 0\r\n" + LAST,
        b"OPTIONS * HTTP/1.1\r\n" + LAST,
    ):
        answer = proxy.ask(request)
        assert answer.startswith(b"HTTP/1.1 204 ") and b"\r\nAllow: GET, HEAD, " in answer
        assert b"Content-Length" not in answer
    assert scripted.seen(b"/counted") == scripted.seen(b"*") == []


def test_max_forwards_counts_down(proxy: Balancer, scripted: Scripted) -> None:
    """With hops left the request goes on with one fewer."""
    proxy.ask(b"OPTIONS /hops HTTP/1.1\r\nMax-Forwards: 3\r\n" + LAST)
    assert b"\r\nMax-Forwards: 2\r\n" in scripted.seen(b"/hops")[0]


def test_unknown_method(proxy: Balancer, scripted: Scripted) -> None:
    """A method that we do not know is for the origin to judge (RFC 9110 section 9.1)."""
    assert proxy.ask(b"BREW /pot HTTP/1.1\r\n" + LAST).startswith(b"HTTP/1.1 200 ")
    assert scripted.seen(b"/pot")[0].startswith(b"BREW /pot HTTP/1.1\r\n")


# Targets.


def test_absolute_target(proxy: Balancer, scripted: Scripted) -> None:
    """An absolute target goes on in origin form, its authority in Host, whatever Host was."""
    request = b"GET http://other.example/absolute?q HTTP/1.1\r\n" + LAST
    assert proxy.ask(request).startswith(b"HTTP/1.1 200 ")
    head = scripted.seen(b"/absolute?q")[0]
    assert head.count(b"\r\nHost: ") == 1
    assert b"\r\nHost: other.example\r\n" in head


def test_target_as_it_came(proxy: Balancer, scripted: Scripted) -> None:
    """Path and query go on byte for byte: nothing is decoded, resolved or sorted."""
    target = b"/a/../b//%41%2f;x=1?b=2&a=%zz"[:-4] + b"%7A&a"
    assert proxy.ask(get(target)).startswith(b"HTTP/1.1 200 ")
    assert len(scripted.seen(target)) == 1


# Upgrade.

HANDSHAKE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_upgrade_refused(proxy: Balancer, scripted: Scripted) -> None:
    """Without the backend's 101 there is no tunnel: what follows is the next request."""
    with (wire := proxy.connect()).socket:
        wire.send(b"GET /no-upgrade HTTP/1.1\r\n" + HOST + HANDSHAKE + get(b"/after-upgrade"))
        answers = wire.rest()
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert scripted.seen(b"/after-upgrade")[0].startswith(b"GET /after-upgrade HTTP/1.1\r\n")


def test_switched_unasked(proxy: Balancer, scripted: Scripted) -> None:
    """A 101 to a request that did not ask for it, or to another protocol, is a bad answer."""
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
    scripted.says(b"/unasked", switched + b"websocket\r\n\r\n")
    assert proxy.ask(b"POST /unasked HTTP/1.1\r\n" + LAST).startswith(b"HTTP/1.1 502 ")
    scripted.says(b"/other", switched + b"h2c\r\n\r\n")
    with (wire := proxy.connect()).socket:
        wire.send(b"GET /other HTTP/1.1\r\n" + HOST + HANDSHAKE)
        assert wire.head().startswith(b"HTTP/1.1 502 ")
