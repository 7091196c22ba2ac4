"""What comes of scenarios: each kind of event, and each number."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.mutations import mutated
from lbproxy.testing.scenario.report import document
from lbproxy.testing.scenario.result import Result
from tests.testing.scenario.plays import played

BLIND = "health = false\nejection = false\n"
"""A pool that learns of nothing."""


def ends(result: Result) -> dict[str, int]:
    """How often requests failed for each reason."""
    return dict(Counter(request.reason for request in result.failures))


class EventTests(SynchronousTestCase):
    """What befalls a backend is what it says."""

    def events(self, event: str, pool: str = "", load: str = "", more: str = "") -> Result:
        """Play one event."""
        result = played(self, f"events = [{{ {event} }}]\n{more}", load, pool)
        self.assertEqual(result.wrongs, ())
        self.assertGreater(len(result.requests), 300)
        return result

    def served(self, result: Result, start: float, end: float) -> set[str]:
        """Who answered what was sent in some time."""
        return {
            request.backend
            for request in result.requests
            if start <= request.sent < end and not request.failed
        }

    def test_nothing(self) -> None:
        """Without any, all is answered, by both alike."""
        result = played(self)
        self.assertEqual((result.failed, result.retries, result.doubled), (0, 0, 0))
        self.assertEqual(result.answered, len(result.requests))
        self.assertAlmostEqual(result.share("klein"), 0.5, 1)
        self.assertEqual(result.share("api/klein"), result.share("klein"))
        self.assertRaises(ValueError, result.share, "kleim")
        self.assertTrue(result.ok)

    def test_kill(self) -> None:
        """Nobody listens until it is back; what it worked at goes elsewhere."""
        result = self.events("at = 2.0, kill = 'klein', seconds = 3.0")
        self.assertEqual(result.failed, 0)
        self.assertGreater(result.retries, 0)
        self.assertEqual(self.served(result, 2.0, 5.0), {"flask"})
        self.assertEqual(self.served(result, 8.0, 10.0), {"klein", "flask"})

    def test_kill_at_work(self) -> None:
        """An unsafe request that it worked at fails; one with a key goes elsewhere."""
        slow = "[backends.'*']\nlatency = { median = 0.5 }\n"
        load = "methods = { POST = 1 }\nkeyed = 0.5\nclients = 0"
        result = self.events("at = 2.0, kill = 'klein'", "", load + "\n" + slow)
        self.assertLessEqual(set(ends(result)), {"upstream_closed", "reused_connection_closed"})
        self.assertGreater(result.failed, 0)
        self.assertTrue(all(not request.keyed for request in result.failures))
        again = [request for request in result.requests if len(request.worked) > 1]
        self.assertTrue(again and all(request.keyed for request in again))
        self.assertEqual(result.doubled, 0)

    def test_stop(self) -> None:
        """What runs is finished."""
        slow = "[backends.'*']\nlatency = { median = 0.2 }\n"
        result = self.events("at = 2.0, stop = 'klein'", "", "methods = { POST = 1 }\n" + slow)
        self.assertEqual(result.failed, 0)
        self.assertIn("klein", self.served(result, 1.8, 2.0))
        self.assertEqual(self.served(result, 2.1, 10.0), {"flask"})

    def test_restart(self) -> None:
        """One after another."""
        result = self.events("at = 1.0, restart = '*', every = 4.0", "ejection = false")
        said = [(act.at, act.text) for act in result.acts]
        self.assertEqual(
            said,
            [
                (1.0, "stop klein"),
                (2.0, "back klein"),
                (5.0, "stop flask"),
                (6.0, "back flask"),
            ],
        )
        self.assertEqual(result.failed, 0)

    def test_hang(self) -> None:
        """A process that stands still: connections stand, and nothing comes of them."""
        result = self.events(
            "at = 2.0, hang = 'klein', seconds = 2.0", "timeouts = { first_byte = 0.5 }\n" + BLIND
        )
        self.assertEqual(result.failed, 0)  # GET goes elsewhere.
        self.assertGreater(result.retries, 10)
        self.assertEqual(self.served(result, 2.05, 3.0), {"flask"})

    def test_refuse(self) -> None:
        """Connections that stand are used on."""
        result = self.events("at = 2.0, refuse = 'klein'", BLIND, "clients = 1\narrivals = 'even'")
        self.assertEqual(self.served(result, 3.0, 10.0), {"klein", "flask"})
        result = self.events(
            "at = 2.0, refuse = 'klein'",
            BLIND,
            "clients = 1\narrivals = 'even'\n[backends.klein]\nkeep_alive = 0.0\n",
        )
        self.assertEqual(self.served(result, 3.0, 10.0), {"flask"})

    def test_unplug(self) -> None:
        """Nothing comes through, either way, until it does."""
        result = self.events(
            "at = 2.0, unplug = 'klein', seconds = 2.0",
            "timeouts = { connect = 0.3, first_byte = 0.5 }\n" + BLIND,
        )
        self.assertEqual(self.served(result, 2.05, 3.0), {"flask"})
        self.assertIn("klein", self.served(result, 4.5, 10.0))

    def test_slow(self) -> None:
        """Each answer is late."""
        result = self.events("at = 2.0, slow = 'klein', by = 0.3, seconds = 2.0")
        late = [each for each in result.requests if each.backend == "klein" and each.seconds > 0.3]
        self.assertTrue(late)
        self.assertTrue(all(1.9 < each.sent < 4.1 for each in late))

    def test_errors(self) -> None:
        """A part of the answers, but to probes, is an error."""
        result = self.events(
            "at = 0.0, errors = 'klein', share = 0.5, status = 500", "ejection = false"
        )
        klein = [each for each in result.requests if each.backend == "klein"]
        self.assertAlmostEqual(sum(each.failed for each in klein) / len(klein), 0.5, 1)
        self.assertEqual(ends(result), {"status_500": result.failed})
        self.assertEqual([turn.state for turn in result.turns], ["up", "up"])

    def test_drain(self) -> None:
        """Probes find it ill, so it gets nothing any more, and nothing fails."""
        pool = "health = { interval = 1.0, fall = 1 }"
        result = self.events("at = 2.0, drain = 'klein'", pool)
        self.assertEqual((result.failed, result.retries), (0, 0))
        self.assertEqual(self.served(result, 4.0, 10.0), {"flask"})

    def test_flap(self) -> None:
        """It goes and comes, and is back in the end."""
        result = self.events("at = 1.0, flap = 'klein', every = 1.0, seconds = 3.0")
        said = [(act.at, act.verb) for act in result.acts]
        self.assertEqual(said, [(1.0, "kill"), (2.0, "back"), (3.0, "kill"), (4.0, "back")])

    def test_back(self) -> None:
        """All that befell it is over."""
        result = played(
            self,
            """events = [
                { at = 1.0, slow = "klein", by = 0.2 },
                { at = 1.0, errors = "klein", status = 500 },
                { at = 1.0, drain = "klein" },
                { at = 1.0, hang = "klein" },
                { at = 3.0, back = "*" },
            ]""",
            pool=BLIND,
        )
        after = [each for each in result.requests if each.sent > 3.5]
        self.assertTrue(all(not each.failed and each.seconds < 0.1 for each in after))
        self.assertEqual(self.served(result, 3.5, 10.0), {"klein", "flask"})


class LoadTests(SynchronousTestCase):
    """The requests that come."""

    def test_mix(self) -> None:
        """Methods, paths, bodies and keys, each in its share."""
        result = played(
            self,
            load='methods = { GET = 3, POST = 1 }\npaths = ["/a", "/b"]\nbody = [10, 20]\n'
            "keyed = 0.5\n",
        )
        requests = result.requests
        posts = [each for each in requests if each.method == "POST"]
        self.assertAlmostEqual(len(posts) / len(requests), 0.25, 1)
        self.assertEqual({each.target for each in requests}, {"/a", "/b"})
        self.assertTrue(all(10 <= each.body <= 20 for each in posts))
        self.assertEqual({each.keyed for each in posts}, {True, False})
        self.assertFalse(any(each.keyed or each.body for each in requests if each not in posts))

    def test_even(self) -> None:
        """In equal distances, from the start to the end."""
        result = played(self, load='arrivals = "even"\nstart = 2.0\nend = 4.0\n')
        self.assertEqual(len(result.requests), 100)
        self.assertAlmostEqual(result.requests[50].sent, 3.0)

    def test_open(self) -> None:
        """Requests come although those before them wait, in the backend and then in the queue."""
        result = played(
            self,
            load="end = 1.0\npatience = 5.0\n[backends.'*']\nlatency = { median = 1.0 }\n"
            "capacity = 5\n",
            pool="health = false\nejection = false",
        )
        self.assertGreater(len(result.requests), 30)
        self.assertGreater(result.p99 or 0.0, 3.0)

    def test_capacity(self) -> None:
        """A backend works at so many at once."""
        result = played(
            self,
            'expect = ["p50 < 0.2", "p99 > 1"]',
            "end = 2.0\n[backends.'*']\nlatency = { median = 0.1 }\ncapacity = 1\n",
            BLIND,
        )
        self.assertEqual([each.holds for each in result.judged], [False, True])

    def test_patience(self) -> None:
        """A client gives up."""
        result = played(
            self, "events = [{ at = 2.0, hang = '*' }]", "patience = 1.0\nend = 3.0", BLIND
        )
        self.assertEqual(ends(result), {"gave_up": result.failed})
        self.assertTrue(all(each.seconds == 1.0 or not each.failed for each in result.requests))
        self.assertEqual(result.failures[0].attempts[0].outcome, "client_gone")

    def test_no_route(self) -> None:
        """What the balancer refuses has failed, with its reason."""
        config = '[listeners.web]\nendpoint = "tcp:3000"\n[[routes]]\npath = "/api/"\npool = "p"\n'
        config += '[pools.p]\nbackends = [{ name = "b", address = "h:1" }]\n'
        result = played(self, load='paths = ["/other"]', config=config)
        self.assertEqual(ends(result), {"no_route": len(result.requests)})
        self.assertEqual({each.status for each in result.requests}, {404})


class VerdictTests(SynchronousTestCase):
    """The judgement is right, and can be repeated."""

    EVENTS = 'events = [{ at = 2.0, flap = "klein", every = 0.5, seconds = 4.0 }]'
    LOAD = "methods = { GET = 1, POST = 1 }\n"

    def test_repeats(self) -> None:
        """The same seed gives the same; another one does not."""
        first, second = (document(played(self, self.EVENTS, self.LOAD)) for _ in range(2))
        for each in (first, second):
            del each["scenario"], each["config"]
        self.assertEqual(first, second)
        other = document(played(self, "seed = 2\n" + self.EVENTS, self.LOAD))
        self.assertNotEqual(first["requests"], other["requests"])

    def test_doubled_is_found(self) -> None:
        """A balancer that sends what is unsafe again is found out."""
        load = "methods = { POST = 1 }\n[backends.'*']\nlatency = { median = 0.2 }\n"
        events = 'events = [{ at = 2.0, kill = "klein" }]'
        self.assertEqual(played(self, events, load).doubled, 0)
        with mutated("a_post_is_sent_again"):
            result = played(self, events, load)
        self.assertGreater(result.doubled, 0)
        self.assertFalse(result.ok)

    def test_crossed_is_found(self) -> None:
        """A balancer that gives a client another one's answer is found out."""
        with mutated("requests_are_crossed"):
            result = played(self)
        self.assertFalse(result.ok)
        self.flushLoggedErrors()

    def test_ranges(self) -> None:
        """An expectation is about what was sent in its time."""
        result = played(
            self,
            'events = [{ at = 2.0, errors = "*", status = 500, seconds = 3.0 }]\n'
            'expect = ["failed == 0 to 1.9", "failed == 0 from 5", "failed == 0 from 2 to 5",\n'
            '"failure_rate == 100 % from 2 to 4.9", "answered.klein == 0 from 2 to 4.9",\n'
            '"share.klein >= 0 from 2 to 4.9", "requests > 100 from 2 to 5"]',
        )
        self.assertEqual(
            [each.holds for each in result.judged], [True, True, False, True, True, False, True]
        )
        self.assertIsNone(result.judged[5].value)

    def test_attempts(self) -> None:
        """Each request knows what was tried for it."""
        result = played(self, "events = [{ at = 2.0, kill = 'klein' }]")
        retried = next(each for each in result.requests if each.retries)
        tried = [(each.backend, each.outcome) for each in retried.attempts]
        self.assertEqual(tried[-1], ("flask", "answered"))
        self.assertEqual(tried[0][0], "klein")
        self.assertEqual(retried.backend, "flask")
