"""Tests of `lbproxy status`, `drain`, `undrain` and `weight`."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError, ConnectionRefusedError, DNSLookupError
from twisted.web.resource import Resource

from lbproxy.cli.arguments import duration
from lbproxy.cli.client import PATIENCE
from lbproxy.cli.words import notes
from lbproxy.control.link import Load
from lbproxy.health.said import Said
from tests.cli.story import StoryCase


class StatusTests(StoryCase):
    def test_text(self) -> None:
        """Columns, and whatever is special."""
        self.run_to_end("drain", "a", "--reason", "disk")
        self.run_to_end("weight", "b", "7", "--for", "1h")
        self.assertEqual(self.run_to_end("status"), 0)
        told = self.output.getvalue()
        self.assertIn("\nlistener  mode  address\nweb       http  http://x/\n", told)
        self.assertIn("\n1       1000  serving  0\n", told)
        self.assertIn("\npool api (round_robin)\nbackend  address      state  weight", told)
        self.assertRegex(
            told, r"\na +127.0.0.1:1 +up +0 \(config: 1\) +0 .* drained by ann: disk\n"
        )
        self.assertRegex(told, r"\nb +127.0.0.1:2 +up +7 \(config: 1\) +0 .* weight 7 by ann until")

    def test_breaker(self) -> None:
        """A breaker that refuses is told with its pool; one that is closed is nothing special."""
        for state, told in (("closed", ""), ("half_open", "half-open"), ("open", "open")):
            self.setUp()
            self.staff.hands[1].load = Load(breakers={"api": state})
            self.assertEqual(self.run_to_end("status"), 0)
            said = told and f"; its breaker is {told}"
            self.assertIn(f"\npool api (round_robin){said}\n", self.output.getvalue())

    def test_starting(self) -> None:
        """Only who takes requests starts slowly."""
        backend: dict[str, Any] = dict.fromkeys(("drain", "override"))
        backend |= {"draining": False, "says": {}, "backup": False, "starting": True}
        for available, told in ((True, "starts slowly"), (False, "")):
            self.assertEqual(notes({**backend, "available": available}), told)

    def test_json(self) -> None:
        """All of it, for programs."""
        self.assertEqual(self.run_to_end("status", "--json"), 0)
        document = json.loads(self.output.getvalue())
        self.assertEqual(document["pools"][0]["backends"][1]["name"], "b")


class ChangeTests(StoryCase):
    def test_drain(self) -> None:
        """It is drained at once, and what it still has is told."""
        for hand in self.staff.hands:
            hand.load = Load({("api", "a"): 2}, {"api": 0}, 2)
        self.assertEqual(self.run_to_end("drain", "a"), 0)
        self.assertEqual(self.output.getvalue(), "api/a gets nothing new; 4 in flight\n")
        self.assertEqual(self.weights, [0, 1])

    def test_replaced(self) -> None:
        """A change that takes the place of another one says of which: it may be somebody else's."""
        self.run_to_end("drain", "a", "--reason", "disk swap")
        self.run_to_end("weight", "a", "5", "--reason", "canary")
        self.run_to_end("drain", "a", "--for", "10m")
        self.run_to_end("weight", "a", "7")
        begun = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        told = self.output.getvalue()
        self.assertRegex(told, rf"canary\nin place of the drain by ann {begun}: disk swap\n")
        self.assertRegex(told, r"in flight\napi/a has the weight 7")
        self.assertRegex(
            told, rf"the drain by ann {begun}\nin place of the weight 5 by ann {begun}: canary\n$"
        )

    def test_wait(self) -> None:
        """It waits until nothing is in flight in any worker."""
        first, second = self.staff.hands
        first.load = second.load = Load({("api", "a"): 1}, {"api": 0}, 1)
        ended = self.begin("drain", "a", "--wait")
        first.load = Load({}, {"api": 0}, 1)
        self.pass_time(5.0)
        self.assertNoResult(ended)
        second.load = Load({("api", "b"): 3}, {"api": 0}, 1)
        self.pass_time(0.25)
        self.assertEqual(self.successResultOf(ended), 0)
        self.assertTrue(self.output.getvalue().endswith("api/a has finished\n"))

    def test_hung_worker(self) -> None:
        """A worker that does not tell may have something: it is not taken to be idle."""
        self.staff.hands[1].counting = Deferred()
        words = ("drain", "a", "--wait", "--timeout", "3s")
        self.assertEqual(self.run_to_end(*words, seconds=8.0), 1)
        told = "lbproxy: after 3 s there is still a worker that does not tell what api/a has"
        self.assertTrue(self.errors.getvalue().startswith(told), self.errors.getvalue())

    def test_long_wait(self) -> None:
        """Whoever waits for long hears now and then how much is left."""
        self.staff.hands[0].load = Load({("api", "a"): 3}, {"api": 0}, 3)
        ended = self.begin("drain", "a", "--wait")
        self.pass_time(25.0)
        self.assertEqual(self.errors.getvalue(), "api/a: still 3 in flight\n" * 2)
        self.staff.hands[0].load = Load({}, {"api": 0}, 3)
        self.pass_time(0.5)
        self.assertEqual(self.successResultOf(ended), 0)

    def test_until(self) -> None:
        """A drain for a while is told with its end."""
        self.assertEqual(self.run_to_end("drain", "a", "--for", "10m"), 0)
        said = r"api/a gets nothing new until [-0-9]{10} [:0-9]{8}; 0 in flight\n"
        self.assertRegex(self.output.getvalue(), said)

    def test_timeout(self) -> None:
        """What has not finished in time is told, and stays drained."""
        self.staff.hands[0].load = Load({("api", "a"): 3}, {"api": 0}, 3)
        words = ("drain", "a", "--wait", "--timeout", "2")
        self.assertEqual(self.run_to_end(*words, seconds=3.0), 1)
        told = "lbproxy: after 2 s there is still 3 in flight at api/a; it stays drained\n"
        self.assertEqual(self.errors.getvalue(), told)
        self.assertEqual(self.weights, [0, 1])

    def test_undrained_meanwhile(self) -> None:
        """Whoever waits hears that somebody else has ended the drain."""
        self.staff.hands[0].load = Load({("api", "a"): 3}, {"api": 0}, 3)
        ended = self.begin("drain", "a", "--wait", "--for", "2s")
        self.pass_time(2.0)
        self.staff.hands[0].load = Load({}, {"api": 0}, 3)
        self.pass_time(0.5)
        self.assertEqual(self.successResultOf(ended), 1)
        self.assertIn("its drain was ended meanwhile", self.errors.getvalue())

    def test_json(self) -> None:
        """The last answer, and nothing else."""
        self.assertEqual(self.run_to_end("drain", "a", "--wait", "--json"), 0)
        told = json.loads(self.output.getvalue())
        self.assertEqual((told["pool"], told["backend"]["draining"]), ("api", True))

    def test_undrain(self) -> None:
        """It takes requests again, or did so all the time."""
        self.run_to_end("drain", "a")
        self.assertEqual(self.run_to_end("undrain", "a"), 0)
        self.assertEqual(self.run_to_end("undrain", "a", "--pool", "api"), 0)
        lines = self.output.getvalue().splitlines()[1:]
        self.assertEqual(lines, ["api/a takes requests again", "api/a was not drained"])
        self.assertEqual(self.weights, [1, 1])

    def test_wants_none(self) -> None:
        """Whoever asks for no requests itself is not given any by the end of a drain."""
        pool = self.staff.parent.pools[0]
        self.run_to_end("drain", "a")
        pool.hear(pool.backends[0], Said(drain=True), self.staff.clock.seconds())
        self.assertEqual(self.run_to_end("undrain", "a"), 1)
        told = "lbproxy: api/a wants no requests itself: says drain\n"
        self.assertEqual(self.errors.getvalue(), told)

    def test_weight(self) -> None:
        """The weight is told, with that of the config."""
        for word in ("5", "0", "config"):
            self.assertEqual(self.run_to_end("weight", "b", word), 0)
        self.assertEqual(
            self.output.getvalue().splitlines(),
            [
                "api/b has the weight 5 (config: 1); weight 5 by ann",
                "api/b has the weight 0 (config: 1); drained by ann; weight 5 by ann",
                "api/b has the weight 0 (config: 1); drained by ann",
            ],
        )

    def in_flight(self, **counts: int) -> None:
        """Have so much under way at members, by their numbers behind an underscore."""
        load = {("api", f"a@{number[1:]}"): count for number, count in counts.items()}
        self.staff.hands[0].load = Load(load, {"api": 0}, 1)

    def test_members(self) -> None:
        """All members of a name are drained, waited for and given back, later ones too."""
        self.stand_for(1, 2)
        self.in_flight(_1=1, _2=3)
        ended = self.begin("drain", "a", "--wait", "--reason", "disk")
        self.stand_for(1, 2, 3)
        self.in_flight(_2=1)
        self.pass_time(5.0)
        self.assertNoResult(ended)
        self.in_flight()
        self.pass_time(0.25)
        self.assertEqual(self.successResultOf(ended), 0)
        self.run_to_end("status")
        self.assertEqual(self.run_to_end("undrain", "a"), 0)
        told = self.output.getvalue()
        self.assertEqual(told.count("drained with all of a by ann: disk\n"), 3)
        lines = told.splitlines()
        self.assertEqual(lines[0], "api/a, 2 members, gets nothing new; 4 in flight")
        self.assertEqual(lines[1], "api/a, 3 members, has finished")
        back = [f"api/a@{number} takes requests again" for number in (1, 2, 3)]
        self.assertEqual(lines[-3:], back)

    def test_member_leaves(self) -> None:
        """Of a member that leaves DNS with something to do nobody knows when it has finished."""
        self.stand_for(1, 2)
        self.in_flight(_1=2, _2=1)
        ended = self.begin("drain", "a", "--wait")
        self.stand_for(2)
        self.pass_time(1.0)
        self.assertNoResult(ended)
        self.in_flight()
        self.pass_time(0.25)
        self.assertEqual(self.successResultOf(ended), 1)
        told = "lbproxy: nobody tells any more of who has left meanwhile: a@1 with 2 in flight\n"
        self.assertEqual(self.errors.getvalue(), told)

    def test_undrained_as_drained(self) -> None:
        """A drain is ended by the name that it was made by; what keeps another is told."""
        self.stand_for(1, 2)
        self.run_to_end("drain", "a", "--reason", "disk")
        self.run_to_end("drain", "a@2")
        self.assertEqual(self.run_to_end("undrain", "a@1"), 1)
        self.assertEqual(self.run_to_end("undrain", "a"), 1)
        self.assertEqual(
            self.errors.getvalue().splitlines(),
            [
                "lbproxy: api/a@1 stays drained with all of a by ann: disk; to end that: lbproxy"
                " undrain a --pool api",
                "lbproxy: api/a@2 stays drained by ann; to end that: lbproxy undrain a@2"
                " --pool api",
            ],
        )
        self.assertEqual(self.output.getvalue().splitlines()[2:], ["api/a@1 takes requests again"])
        self.assertEqual(self.run_to_end("undrain", "a@2"), 0)

    def test_members_weight(self) -> None:
        """Each member is told with what holds for it."""
        self.stand_for(1, 2)
        self.run_to_end("weight", "a@2", "7")
        self.assertEqual(self.run_to_end("weight", "a", "5"), 0)
        self.assertEqual(
            self.output.getvalue().splitlines()[1:],
            [
                "api/a@1 has the weight 5 (config: 1); weight 5 with all of a by ann",
                "api/a@2 has the weight 7 (config: 1); weight 7 by ann",
            ],
        )

    def test_unknown(self) -> None:
        """What the balancer does not do is one line, and status 1."""
        for words in (("drain", "c"), ("undrain", "c"), ("weight", "c", "1")):
            self.assertEqual(self.run_to_end(*words), 1)
        told = 'lbproxy: there is no backend "c"; there are a, b\n'
        self.assertEqual(self.errors.getvalue(), told * 3)

    def test_command_line(self) -> None:
        """A wrong command line is status 2."""
        for words in (
            ("weight", "a", "x"),
            ("weight", "a", "1001"),
            ("drain", "a", "--for", "soon"),
            ("drain",),
            ("roll", "a"),
        ):
            with self.heard():
                ended = self.assertRaises(SystemExit, self.begin, *words)
            self.assertEqual(ended.code, 2, words)

    def test_durations(self) -> None:
        """Seconds, or another unit."""
        for word, seconds in (("90", 90.0), ("1.5s", 1.5), ("10m", 600.0), ("2h", 7200.0)):
            self.assertEqual(duration(word), seconds)


class Strange(Resource):
    """Something else that speaks HTTP."""

    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    def render(self, request: Any) -> bytes:
        return self._body


class ReachTests(StoryCase):
    """An admin listener that cannot be asked."""

    def failing(self, error: Exception) -> None:
        """All that is asked ends so."""

        class Failing:
            def request(self, *_: Any, **__: Any) -> Deferred[Any]:
                return fail(error)

        self.treq = Failing()

    def test_refused(self) -> None:
        """Who is not there is told, with where was asked and what to do."""
        for error, reason in (
            (ConnectionRefusedError(osError=111), "Connection refused"),
            (ConnectError(osError=13), "Permission denied"),
            (DNSLookupError("no results"), "DNS lookup failed: no results"),
        ):
            self.failing(error)
            self.assertEqual(self.run_to_end("status"), 1)
            told = self.errors.getvalue().splitlines()[-1]
            begin = f"lbproxy: no lbproxy answers at localhost:0: {reason}; is it running"
            self.assertTrue(told.startswith(begin), told)
            self.assertIn("[admin]", told)

    def test_silent(self) -> None:
        """Who does not answer is not waited for without end."""

        class Silent:
            def request(self, *_: Any, **__: Any) -> Deferred[Any]:
                return Deferred()

        self.treq = Silent()
        ended = self.begin("status")
        with self.heard():
            self.staff.clock.advance(PATIENCE)
        self.assertEqual(self.successResultOf(ended), 1)
        self.assertIn("does not answer within", self.errors.getvalue())

    def test_strangers(self) -> None:
        """What is no admin listener is named as such."""
        for body in (b"<html>", b"[]", b"{}", b'{"status": 404, "reason": "no_route"}', b"\xff"):
            self.treq = StubTreq(Strange(body))
            self.assertEqual(self.run_to_end("status"), 1, body)
            told = self.errors.getvalue().splitlines()[-1]
            self.assertIn("is no admin listener of lbproxy", told)

    def test_interrupted(self) -> None:
        """Ctrl-C is one line, and status 1."""
        self.staff.hands[0].load = Load({("api", "a"): 3}, {"api": 0}, 3)
        ended = self.begin("drain", "a", "--wait")
        with self.heard():
            ended.cancel()
        self.assertEqual(self.successResultOf(ended), 1)
        self.assertEqual(self.errors.getvalue(), "lbproxy: interrupted\n")
