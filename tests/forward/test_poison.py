"""Requests that break backends, over made-up times."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.forward.poison import CROWD, MOMENT, REFUSED, REMEMBERED, WITHIN, Suspects, identity
from tests.forward.heads import request


class SuspectsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.suspects = Suspects()

    def test_two_backends(self) -> None:
        """Who has broken two backends is refused, and after its time no more."""
        self.assertFalse(self.suspects.broke("GET /bad", "a", 0.0))
        self.assertEqual(self.suspects.refuses("GET /bad", 0.0), 0.0)
        self.assertTrue(self.suspects.broke("GET /bad", "b", 1.0))
        self.assertEqual(self.suspects.refuses("GET /bad", 2.0), REFUSED - 1.0)
        self.assertEqual(self.suspects.refuses("GET /good", 2.0), 0.0)
        self.assertEqual(self.suspects.refuses("GET /bad", 1.0 + REFUSED), 0.0)
        self.suspects.forget(1.0 + REFUSED)
        self.assertEqual(self.suspects.refused, {})

    def test_one_backend(self) -> None:
        """One backend that breaks again and again is to blame itself."""
        for second in range(9):
            self.assertFalse(self.suspects.broke("GET /", "a", float(second)))

    def test_long_ago(self) -> None:
        """Two breaks far apart are two chances."""
        self.suspects.broke("GET /", "a", 0.0)
        self.assertFalse(self.suspects.broke("GET /", "b", WITHIN + 0.1))

    def test_answered(self) -> None:
        """Who was answered in between has been there by chance when the two broke."""
        self.suspects.broke("GET /", "a", 0.0)
        self.suspects.broke("GET /bad", "a", 0.0)
        self.suspects.answered("GET /")
        self.assertFalse(self.suspects.broke("GET /", "b", 0.1))
        self.assertTrue(self.suspects.broke("GET /bad", "b", 0.1))
        self.assertTrue(self.suspects.broke("GET /", "c", 0.2))

    def test_answered_though_refused(self) -> None:
        """A good answer ends a refusal, and nothing is left to be looked at."""
        for backend in "ab":
            self.suspects.broke("GET /", backend, 0.0)
        self.suspects.answered("GET /")
        self.assertEqual(self.suspects.refuses("GET /", 0.1), 0.0)
        self.assertFalse(self.suspects)

    def test_forgotten(self) -> None:
        """Who broke one backend, and does not come again, is looked for as long as that counts."""
        self.suspects.broke("GET /", "a", 0.0)
        self.suspects.broke("GET /other", "a", 1.0)
        self.suspects.broke("GET /", "a", 5.0)
        self.suspects.forget(1.0 + WITHIN)
        self.assertEqual(list(self.suspects.suspected), ["GET /other", "GET /"])
        self.suspects.forget(5.1 + WITHIN)
        self.assertFalse(self.suspects)

    def test_crowd(self) -> None:
        """Backends that are killed take all with them; none of these is to blame."""
        for backend in "ab":
            for number in range(CROWD):
                self.suspects.broke(f"GET /{number}", backend, 0.1)
        self.assertFalse(self.suspects.broke("GET /0", "b", 0.2))
        self.assertFalse(self.suspects.broke("GET /9", "a", 0.3 + MOMENT))
        self.assertTrue(self.suspects.broke("GET /9", "b", 0.3 + 2 * MOMENT))

    def test_crowd_of_one_kind(self) -> None:
        """So it is where many wait for the same, as in long polling."""
        for backend in "ab":
            for _ in range(CROWD):
                blamed = self.suspects.broke("GET /events", backend, 0.1)
        self.assertFalse(blamed)

    def test_first_of_a_crowd(self) -> None:
        """The first of a crowd is judged when the others have not been heard of: not for long."""
        self.suspects.broke("GET /events", "a", 0.0)
        said = [self.suspects.broke(who, "b", 5.0) for who in ("GET /events", "GET /1", "GET /2")]
        self.assertEqual(said, [True, False, False])
        self.assertEqual(self.suspects.refuses("GET /events", 5.0), 0.0)

    def test_bounded(self) -> None:
        """However many there are, only so many are remembered."""
        for number in range(3 * REMEMBERED):
            for backend in "ab":
                self.suspects.broke(f"GET /{number}", backend, 2.0 * number)
        self.assertLessEqual(len(self.suspects.refused), REMEMBERED)
        for number in range(3 * REMEMBERED):
            self.suspects.broke(f"GET /{number}", "a", 9999.0)
        self.assertEqual(len(self.suspects.suspected), REMEMBERED)


class IdentityTests(SynchronousTestCase):
    def test_same(self) -> None:
        """Without a body it is what is asked for, whoever asks; a key tells two apart."""
        head = request()
        self.assertEqual(identity("GET /", head, b"1"), identity("GET /", head, b"2"))
        keyed = request(b"Idempotency-Key: 7\r\n")
        self.assertNotEqual(identity("GET /", head, b"1"), identity("GET /", keyed, b"1"))

    def test_body(self) -> None:
        """With a body it is one client's, and of one length."""
        ten, two = (request(b"Content-Length: %b\r\n" % size) for size in (b"10", b"2"))
        said = {identity("POST /", head, peer) for head in (ten, two) for peer in (b"1", b"2")}
        self.assertEqual(len(said), 4)
