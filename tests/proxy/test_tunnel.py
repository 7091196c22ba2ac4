"""WebSockets that are closed because we stop."""

from __future__ import annotations

from lbproxy.config.model import UpstreamTimeouts
from lbproxy.proxy.tunnel import CLOSE_WAIT
from lbproxy.proxy.websocket import GOING_AWAY, SERVICE_RESTART
from tests.proxy.test_websocket import CLOSE, frame
from tests.proxy.wires import BalancerCase, Wire

SHAKE = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: shop\r\n" + SHAKE
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n" + SHAKE
FROM_BACKEND, FROM_CLIENT = frame(300), frame(300, masked=True)
ANSWER = frame(2, masked=True, opcode=CLOSE)


class TunnelTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a")

    def join(self, from_client: bytes = b"", from_backend: bytes = b"") -> tuple[Wire, Wire]:
        """A client and its backend, which have sent each other something."""
        client = self.client(ASK)
        backend = self.accept()
        backend.give(SWITCH + from_backend)
        if from_client:
            client.give(from_client)
        client.take()
        backend.take()
        return client, backend

    def check(self, client: Wire, backend: Wire) -> None:
        """Both are closed in order, and the log says why."""
        self.reactor.advance(0)
        self.assertEqual((client.open, backend.open), (False, False))
        self.assertEqual((client.disconnected, backend.disconnected), (False, False))
        (line,) = self.log.lines
        self.assertEqual((line["status"], line["reason"]), (101, "stopped"))
        self.assertIn("1012", line["detail"])
        self.assertEqual(len(self.site.spread), 0)
        self.assert_nothing_left()

    def test_between_frames(self) -> None:
        """The client is told at once; when it has answered, the backend is told, and all ends."""
        for sent in (b"", FROM_CLIENT):
            self.start("a")
            client, backend = self.join(sent, FROM_BACKEND)
            drained = self.site.drain()
            self.assertEqual((client.take(), backend.take()), (SERVICE_RESTART, b""))
            self.reactor.advance(0)
            self.assertTrue(client.open and backend.open)
            client.give(ANSWER)
            self.assertEqual((client.take(), backend.take()), (b"", GOING_AWAY))
            self.check(client, backend)
            self.successResultOf(drained)

    def test_within_a_frame(self) -> None:
        """Else the backend's frame is given to its end first, and nothing that follows."""
        for begun in range(1, len(FROM_BACKEND)):
            self.start("a")
            client, backend = self.join(from_backend=FROM_BACKEND[:begun])
            self.site.drain()
            self.assertEqual(client.take(), b"")
            backend.give(FROM_BACKEND[begun:] + frame(5))
            self.assertEqual(client.take(), FROM_BACKEND[begun:] + SERVICE_RESTART)
            backend.give(frame(7))
            self.assertEqual(client.take(), b"")
            client.give(ANSWER)
            self.check(client, backend)

    def test_last_words(self) -> None:
        """What the client has sent before it knows goes to the backend, and its answer does not."""
        client, backend = self.join(FROM_CLIENT[:100])
        self.site.drain()
        client.take()
        client.give(FROM_CLIENT[100:])
        self.assertEqual(backend.take(), FROM_CLIENT[100:])
        client.give(frame(3, masked=True) + ANSWER)  # Whether they come together is chance.
        self.assertEqual(backend.take(), frame(3, masked=True) + GOING_AWAY)
        self.check(client, backend)

    def test_backend_takes_its_time(self) -> None:
        """The end waits until the backend has its word, unless it is told not to wait any more."""
        for aborted in (False, True):
            self.start("a")
            client, backend = self.join()
            self.patch(backend, "loseConnection", lambda: None)  # Its queue is full.
            drained = self.site.drain()
            client.give(ANSWER)
            self.reactor.advance(0)
            self.assertEqual((client.open, backend.open), (False, True))
            self.assertNoResult(drained)
            if aborted:
                self.site.abort()
            else:
                backend.close()
            self.reactor.advance(0)
            self.assertFalse(backend.open)
            self.successResultOf(drained)
            self.assert_nothing_left()

    def test_own_close_under_way(self) -> None:
        """A close frame of its own that had begun goes on whole, and nothing is added to it."""
        own = frame(2, masked=True, opcode=CLOSE)
        client, backend = self.join(own[:1])
        self.site.drain()
        client.give(own[1:])
        self.assertEqual((client.take(), backend.take()), (SERVICE_RESTART, own[1:]))
        self.check(client, backend)

    def test_no_answer(self) -> None:
        """A client that does not answer is not waited for, and the backend is told all the same."""
        client, backend = self.join(FROM_CLIENT)
        self.site.drain()
        self.reactor.advance(CLOSE_WAIT - 0.1)
        self.assertTrue(client.open and backend.open)
        self.reactor.advance(0.1)
        self.assertEqual((client.take(), backend.take()), (SERVICE_RESTART, GOING_AWAY))
        self.check(client, backend)

    def test_second_signal(self) -> None:
        """Nor is it after a second signal."""
        client, _ = self.join()
        self.site.drain()
        self.site.abort()
        self.reactor.advance(0)
        self.assertFalse(client.open)
        self.assertEqual(self.reactor.getDelayedCalls(), [self.timer._loop.call])
        self.assertEqual(self.log.lines[0]["reason"], "stopped")
        self.assert_nothing_left()

    def test_no_answer_within_a_frame(self) -> None:
        """The backend is told nothing in the middle of a frame."""
        client, backend = self.join(FROM_CLIENT[:9])
        self.site.drain()
        self.reactor.advance(CLOSE_WAIT)
        self.assertEqual((client.take(), backend.take()), (SERVICE_RESTART, b""))
        self.check(client, backend)

    def test_client_closes(self) -> None:
        """A client that only ends its connection is an answer too."""
        client, backend = self.join()
        self.site.drain()
        client.take()
        client.close()
        self.assertEqual(backend.take(), GOING_AWAY)
        self.check(client, backend)

    def test_backend_closes(self) -> None:
        """So is a backend that does."""
        client, backend = self.join()
        self.site.drain()
        backend.close()
        self.assertEqual(client.take(), SERVICE_RESTART)
        self.check(client, backend)

    def test_closing_already(self) -> None:
        """Where one side has said that it closes, nothing is added."""
        for which in ("client", "backend"):
            self.start("a")
            client, backend = self.join()
            said = frame(2, masked=which == "client", opcode=CLOSE)
            side, other = (client, backend) if which == "client" else (backend, client)
            side.give(said)
            self.assertEqual(other.take(), said)
            drained = self.site.drain()
            self.reactor.advance(0)
            self.assertEqual((client.take(), backend.take()), (b"", b""))
            self.assertTrue(client.open and backend.open)
            backend.close()
            self.reactor.advance(0)
            self.successResultOf(drained)
            self.assertEqual(self.log.lines[0]["reason"], "answered")
            self.assert_nothing_left()

    def test_closing_with_the_frame_under_way(self) -> None:
        """The same where the frame that was to end first is the backend's close frame."""
        client, backend = self.join()
        said = frame(2, opcode=CLOSE)
        backend.give(said[:1])
        client.take()
        self.site.drain()
        backend.give(said[1:])
        self.assertEqual(client.take(), said[1:])
        client.give(ANSWER)
        self.assertEqual(backend.take(), ANSWER)
        backend.close()
        self.reactor.advance(0)
        self.assertFalse(client.open)
        self.assert_nothing_left()

    def test_never_between_frames(self) -> None:
        """One that is never between two frames is cut in the end, as all else is."""
        client, backend = self.join(from_backend=FROM_BACKEND[:100])
        self.site.drain()
        self.site.abort()
        self.assertEqual(client.take(), b"")
        self.reactor.advance(0)
        self.assertEqual((client.open, backend.open), (False, False))
        self.assertEqual(self.log.lines[0]["reason"], "stopped")
        self.assertIn("cut", self.log.lines[0]["detail"])
        self.assert_nothing_left()

    def test_begins_late(self) -> None:
        """One that begins while we stop is told in the next turn."""
        client = self.client(ASK)
        backend = self.accept()
        self.site.drain()
        backend.give(SWITCH)
        self.assertTrue(client.take().endswith(b"\r\n\r\n"))
        self.reactor.advance(0)
        self.assertEqual(client.take(), SERVICE_RESTART)
        client.give(ANSWER)
        self.check(client, backend)

    def test_silent_after_a_pause(self) -> None:
        """One that was held up by a slow client may be silent for as long as any other one."""
        for paused in (False, True):
            self.start("a", timeouts=UpstreamTimeouts(read=2.0, stream=20.0))
            client, backend = self.join(from_backend=FROM_BACKEND)
            if paused:
                client.protocol.pauseProducing()
                client.protocol.resumeProducing()
            self.pass_time(18.0)
            self.assertTrue(client.open and backend.open)
            self.pass_time(2.5)
            self.assertFalse(client.open or backend.open)
            self.assert_nothing_left()
