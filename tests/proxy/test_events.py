"""Event streams that end because we stop."""

from __future__ import annotations

from lbproxy.config import model
from tests.proxy.wires import BalancerCase, Wire

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = EVENTS + b"Transfer-Encoding: chunked\r\n\r\n"

#: A whole event, with each of the ends that a line may have.
WHOLE = (
    b"id: 1\ndata: one\n\n",
    b"id: 1\r\ndata: one\r\n\r\n",
    b"id: 1\rdata: one\r\r",
    b"id: 1\r\ndata: one\n\r\n",
    b"id: 1\ndata: one\r\n\n",
)


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class EventStreamTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a")

    def stream(self, *events: bytes, request: bytes = GET, head: bytes = CHUNKED) -> Wire:
        """A stream, and what has come of it; its client, who has read that."""
        client = self.client(request)
        self.backend = self.accept()
        self.backend.give(head)
        for each in events:
            self.backend.give(chunk(each) if head is CHUNKED else each)
        client.take()
        return client

    def check(self, client: Wire, rest: bytes) -> None:
        """The client got the rest, whole; the backend is let go; the log says why."""
        self.reactor.advance(0)
        self.assertEqual(client.take(), rest)
        self.assertEqual((client.open, self.backend.open), (False, False))
        self.assertFalse(client.disconnected)
        (line,) = self.log.lines
        self.assertEqual((line["status"], line["reason"]), (200, "stopped"))
        self.assertEqual(line["attempts"][0]["outcome"], "answered")
        self.assertTrue(self.pool.backends[0].available)
        self.assert_nothing_left()

    def test_between_events(self) -> None:
        """Behind a whole event it ends at once, in whatever pieces that came."""
        for event in WHOLE:
            for pieces in ((event,), (event[:-1], event[-1:]), tuple(map(bytes, zip(event)))):
                self.start("a")
                client = self.stream(*pieces)
                drained = self.site.drain()
                self.check(client, b"0\r\n\r\n")
                self.successResultOf(drained)

    def test_no_event_yet(self) -> None:
        """A stream of which nothing has come can end too."""
        client = self.stream()
        self.site.drain()
        self.check(client, b"0\r\n\r\n")

    def test_within_an_event(self) -> None:
        """Else the event under way is given to its end, and nothing that follows."""
        following = b"id: 2\ndata: two\n\n"
        for event in WHOLE:
            for begun in range(1, len(event)):
                self.start("a")
                client = self.stream(event[:begun])
                drained = self.site.drain()
                self.reactor.advance(0)
                self.assertTrue(client.open and self.backend.open)
                self.assertNoResult(drained)
                self.backend.give(chunk(event[begun:] + following))
                self.check(client, chunk(event[begun:]) + b"0\r\n\r\n")

    def test_within_an_event_in_pieces(self) -> None:
        """The same where its end comes byte by byte."""
        for event in WHOLE:
            self.start("a")
            client = self.stream(event[:1])
            self.site.drain()
            for at in range(1, len(event)):
                self.assertTrue(client.open)
                self.backend.give(chunk(event[at : at + 1]))
            given = b"".join(chunk(event[at : at + 1]) for at in range(1, len(event)))
            self.check(client, given + b"0\r\n\r\n")

    def test_http10(self) -> None:
        """For a client of HTTP/1.0 the end of the connection is that of the stream."""
        client = self.stream(WHOLE[0], request=GET.replace(b"1.1", b"1.0"))
        self.site.drain()
        self.check(client, b"")

    def test_ended_by_closing(self) -> None:
        """A backend's stream that would end with its connection is no other one."""
        client = self.stream(WHOLE[0][:-1], head=EVENTS + b"\r\n")
        self.site.drain()
        self.backend.give(b"\nid: 2\n")
        self.check(client, chunk(b"\n") + b"0\r\n\r\n")

    def test_left_alone(self) -> None:
        """Where no event's end can be seen, or the end would not look whole, it goes on."""
        for more in (
            b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"Content-Length: 100\r\n\r\n",
        ):
            self.start("a")
            body = chunk(WHOLE[0]) if b"chunked" in more else WHOLE[0]
            client = self.stream(head=EVENTS + more + body)
            self.site.drain()
            self.reactor.advance(0)
            self.assertTrue(client.open and self.backend.open)
            self.site.abort()
            self.reactor.advance(0)
            self.assertEqual(self.log.lines[0]["reason"], "stopped")
            self.assertIn("cut", self.log.lines[0]["detail"])
            self.assert_nothing_left()

    def test_spread(self) -> None:
        """Several end one after another, the first one at once."""
        streams = []
        for _ in range(4):
            client = self.client(GET)
            self.accept().give(CHUNKED + chunk(WHOLE[0]))
            streams.append(client)
        drained = self.site.drain(spread=4.0)
        for ended in range(1, 5):
            self.reactor.advance(0)
            self.assertEqual(
                [each.open for each in streams], [False] * ended + [True] * (4 - ended)
            )
            self.reactor.advance(1.0)
        self.successResultOf(drained)
        self.assert_nothing_left()

    def test_second_signal(self) -> None:
        """What waits for its time is cut when there is no more, and leaves nothing on the clock."""
        for _ in range(3):
            self.stream(WHOLE[0])
        drained = self.site.drain(spread=4.0)
        self.site.abort()
        self.reactor.advance(0)
        self.successResultOf(drained)
        self.assertEqual(self.reactor.getDelayedCalls(), [self.timer._loop.call])
        details = [line["detail"] for line in self.log.lines]
        self.assertEqual([detail[:3] for detail in details], ["end", "cut", "cut"])
        self.assert_nothing_left()

    def test_begins_late(self) -> None:
        """A stream whose head comes while we stop ends as the others do."""
        client = self.client(GET)
        self.backend = self.accept()
        self.site.drain()
        self.backend.give(CHUNKED + chunk(WHOLE[0]))
        given = client.take()
        self.assertIn(b"\r\nConnection: close\r\n", given)
        self.assertTrue(given.endswith(chunk(WHOLE[0])))
        self.check(client, b"0\r\n\r\n")

    def test_ends_by_itself(self) -> None:
        """Streams that have ended before, however, are not ended again."""
        cut = self.stream(WHOLE[0])
        self.backend.reset()
        self.stream(WHOLE[0]).reset()
        ended = self.stream(WHOLE[0])
        self.backend.give(b"0\r\n\r\n")
        self.reactor.advance(0)
        self.assertEqual(len(self.site.spread), 0)
        self.assertEqual(ended.take(), b"0\r\n\r\n")
        self.assertFalse(cut.open)
        told = [line["reason"] for line in self.log.lines]
        self.assertEqual(told, ["answer_cut", "client_gone", "answered"])
        self.site.drain()
        self.assertEqual(len(self.log.lines), 3)
        self.assert_nothing_left()

    def test_goes_on_with_the_request(self) -> None:
        """The answer to a request whose body is still coming is one too."""
        post = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nab"
        client = self.stream(WHOLE[0], request=post)
        self.assertTrue(self.backend.take().endswith(b"ab"))
        client.give(b"c")
        self.assertEqual(self.backend.take(), b"c")
        self.site.drain()
        self.reactor.advance(0)
        self.check(client, b"0\r\n\r\n")

    def test_client_behind(self) -> None:
        """Back-pressure goes through a stream both ways."""
        client = self.stream(WHOLE[0])
        client.protocol.pauseProducing()
        self.assertEqual(self.backend.producerState, "paused")
        client.protocol.resumeProducing()
        self.assertEqual(self.backend.producerState, "producing")
        self.assert_nothing_left()

    def test_of_a_hedge(self) -> None:
        """The stream of a backend that was asked second, since the first was slow, is one too."""
        self.start("a", "b", hedge=model.Hedge(after=0.2, budget=1.0))
        client = self.client(GET)
        self.accept()
        self.pass_time(0.5)
        self.backend = self.accept()
        self.backend.give(CHUNKED + chunk(WHOLE[0]))
        client.take()
        self.site.drain()
        self.reactor.advance(0)
        self.assertEqual((client.take(), client.open), (b"0\r\n\r\n", False))
        self.assertEqual(self.log.lines[0]["reason"], "stopped")
        self.assert_nothing_left()
