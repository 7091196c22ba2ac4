"""Tests of `lbproxy roll`."""

from __future__ import annotations

import shlex
from typing import Any, ClassVar
from unittest import mock

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli.client import Failed
from lbproxy.cli.restart import Restart
from lbproxy.cli.steps import Step, steps_of
from lbproxy.config import model
from lbproxy.control.link import Load
from lbproxy.errors import NotPossible
from lbproxy.health.said import Said
from tests.cli.story import StoryCase

#: Seconds in which a backend of the test is probed and has its whole share again.
WARM = 20.0


class RollTests(StoryCase):
    """Rolls of supervised backends."""

    def setUp(self) -> None:
        super().setUp()
        self.pass_time(WARM)  # All are warm.
        self.during: list[list[int]] = []

    def restart(self, backend: model.Backend) -> Deferred[None]:
        """Note the weights meanwhile."""
        self.during.append(self.weights)
        return super().restart(backend)

    def lines(self) -> list[str]:
        """What was printed."""
        return self.output.getvalue().splitlines()

    def test_all(self) -> None:
        """One after another is drained, restarted, and warm before it is the next one's turn."""
        status = self.begin("roll")
        self.assertEqual((self.restarted, self.weights), (["a"], [0, 1]))
        self.pass_time(6.0)
        self.assertEqual((self.restarted, self.weights), (["a"], [1, 1]))
        self.pass_time(3 * WARM)
        self.assertEqual(self.successResultOf(status), 0)
        self.assertEqual((self.restarted, self.during), (["a", "b"], [[0, 1], [1, 0]]))
        self.assertEqual(self.weights, [1, 1])
        self.assertEqual(self.lines()[-1], "rolled 2: api/a, api/b")

    def test_waits(self) -> None:
        """Nothing is restarted that has still something to do."""
        self.staff.hands[1].load = Load({("api", "a"): 1}, {"api": 0}, 1)
        self.begin("roll")
        self.pass_time(10.0)
        self.assertEqual((self.restarted, self.weights), ([], [0, 1]))
        self.staff.hands[1].load = Load({}, {"api": 0}, 1)
        self.pass_time(0.25)
        self.assertEqual(self.restarted, ["a"])

    def test_never_finishes(self) -> None:
        """One that does not finish in time is left as it was, and it stops there."""
        self.staff.hands[1].load = Load({("api", "a"): 1}, {"api": 0}, 1)
        self.assertEqual(self.run_to_end("roll", "--timeout", "5", seconds=6.0), 1)
        self.assertEqual((self.restarted, self.weights), ([], [1, 1]))
        self.assertEqual(
            self.errors.getvalue(),
            "not rolled: api/b\n"
            "lbproxy: api/a has not finished after 5 s; it was not restarted, and takes requests as"
            " before\n",
        )

    def test_does_not_come_back(self) -> None:
        """One that does not come back stays drained, and it stops there."""
        self.ill.add("a")
        self.assertEqual(self.run_to_end("roll", "--timeout", "10", seconds=11.0), 1)
        self.assertEqual((self.restarted, self.weights), (["a"], [0, 1]))
        told = self.errors.getvalue()
        self.assertIn("not rolled: api/b\nlbproxy: api/a: did not come back within 10 s", told)
        self.assertIn("it stays drained, until: lbproxy undrain a --pool api\n", told)

    def test_old_verdict(self) -> None:
        """That it was up before the restart does not count: a probe must have passed since."""
        self.begin("roll")
        self.assertEqual(self.staff.parent.pools[0].backends[0].state.value, "up")
        self.pass_time(0.25)
        self.assertEqual(self.weights, [0, 1])

    def test_down_while_warming(self) -> None:
        """One that breaks under its first requests ends the roll."""
        status = self.begin("roll")
        self.pass_time(1.0)
        self.ill.add("a")
        self.pass_time(WARM)
        self.assertEqual(self.successResultOf(status), 1)
        self.assertEqual(self.restarted, ["a"])
        self.assertIn(
            "api/a takes no requests any more while it is warming up", self.errors.getvalue()
        )

    def test_needed_meanwhile(self) -> None:
        """One that became the last one while it was drained is not restarted."""
        self.staff.hands[1].load = Load({("api", "b"): 1}, {"api": 0}, 1)
        status = self.begin("roll")
        self.pass_time(15.0)
        self.assertEqual((self.restarted, self.weights), (["a"], [1, 0]))
        self.ill.add("a")
        self.pass_time(10.0)
        self.assertEqual(self.successResultOf(status), 1)
        self.assertEqual((self.restarted, self.weights), (["a"], [1, 1]))
        self.assertIn("api/b is needed: no other backend", self.errors.getvalue())

    def test_taken_back_meanwhile(self) -> None:
        """One whose drain somebody else ends, or is over, takes requests, and is not restarted."""
        for begin, end in (([], ["undrain", "a"]), (["drain", "a", "--for", "2"], [])):
            self.staff.hands[1].load = Load({("api", "a"): 1}, {"api": 0}, 1)
            if begin:
                self.begin(*begin)
            status = self.begin("roll")
            self.pass_time(1.0)
            if end:
                self.begin(*end)
            self.pass_time(1.5)
            self.staff.hands[1].load = Load({}, {"api": 0}, 1)
            self.pass_time(1.0)
            self.assertEqual(self.successResultOf(status), 1)
            self.assertEqual((self.restarted, self.weights), ([], [1, 1]))
            self.assertIn(
                "api/a takes requests again: its drain was ended meanwhile; it was not restarted",
                self.errors.getvalue(),
            )
            self.errors.truncate(0)

    def test_pause(self) -> None:
        """The next one's turn comes after a pause, if one is given."""
        self.begin("roll", "--pause", "60")
        self.pass_time(60.0)
        self.assertEqual(self.restarted, ["a"])
        self.pass_time(10.0)
        self.assertEqual(self.restarted, ["a", "b"])

    def test_leaves_one_of_two_pools(self) -> None:
        """What is left drained of a program that one pool has no more is told."""
        pool = self.staff.written.pools[0]
        self.staff.written = attrs.evolve(
            self.staff.written, pools=(pool, attrs.evolve(pool, name="other"))
        )
        self.staff.reloader.reload()
        self.pass_time(WARM)
        ended = self.begin("roll")
        self.staff.written = attrs.evolve(
            self.staff.written,
            pools=(attrs.evolve(pool, backends=pool.backends[1:]), self.staff.written.pools[1]),
        )
        self.staff.reloader.reload()
        self.pass_time(1.0)
        self.assertEqual(self.successResultOf(ended), 1)
        told = "now; it stays drained, until: lbproxy undrain a --pool other\n"
        self.assertIn(told, self.errors.getvalue())

    def test_drained_before(self) -> None:
        """What somebody has drained before is restarted, and stays drained."""
        self.run_to_end("drain", "b", "--reason", "disk")
        self.assertEqual(self.run_to_end("roll", "--force", seconds=3 * WARM), 0)
        self.assertEqual((self.restarted, self.weights), (["a", "b"], [1, 0]))
        self.assertIn("api/b: drained by ann: disk; it stays so", self.lines())

    def test_left_by_another_roll(self) -> None:
        """What a roll like it has left drained is taken back, once it has been restarted."""
        self.run_to_end("drain", "a", "--reason", "roll")
        self.assertEqual(self.run_to_end("roll", seconds=4 * WARM), 0)
        self.assertEqual((self.restarted, self.weights), (["a", "b"], [1, 1]))
        for others in (("--reason", "disk"), ("--reason", "roll", "--for", "1h")):
            self.run_to_end("drain", "a", *others)
            self.run_to_end("roll", "--force", seconds=4 * WARM)
            self.assertEqual(self.weights, [0, 1])

    def test_drains_itself(self) -> None:
        """A drain that a backend has asked for itself is over with its restart."""
        pool = self.staff.parent.pools[0]
        pool.hear(pool.backends[0], Said(drain=True), self.staff.clock.seconds())
        self.assertEqual(self.run_to_end("roll", seconds=4 * WARM), 0)
        self.assertEqual((self.restarted, self.weights), (["a", "b"], [1, 1]))
        self.assertEqual(self.during, [[0, 1], [1, 0]])

    def test_alone(self) -> None:
        """Without another backend that takes requests nothing is done, unless it is forced."""
        self.run_to_end("drain", "b")
        self.assertEqual(self.run_to_end("roll"), 1)
        self.assertEqual((self.restarted, self.weights), ([], [1, 0]))
        self.assertIn("no other backend takes requests now", self.errors.getvalue())

    def test_down_before(self) -> None:
        """One that is down takes nothing from anybody: it is restarted, alone or not."""
        self.run_to_end("drain", "b")
        self.ill.add("a")
        self.pass_time(WARM)
        self.ill.clear()
        status = self.begin("roll", "--timeout", "30")
        self.assertEqual(self.restarted, ["a"])
        self.pass_time(4 * WARM)
        self.assertEqual(self.successResultOf(status), 0)
        self.assertEqual((self.restarted, self.weights), (["a", "b"], [1, 0]))

    def test_not_supervised(self) -> None:
        """Where the balancer cannot restart, it says how else that goes, and drains nobody."""
        self.supervise(None)
        self.assertEqual(self.run_to_end("roll"), 1)
        self.assertEqual((self.restarted, self.weights), ([], [1, 1]))
        told = "(--with-backends), which api/a, api/b is not; nothing was done, say with --command"
        self.assertIn(told, self.errors.getvalue())

    def test_one_not_supervised(self) -> None:
        """The last one is looked at before the first is drained."""
        pool = self.staff.written.pools[0]
        other = attrs.evolve(pool.backends[1], address="127.0.0.1:9")
        pools = (attrs.evolve(pool, backends=(pool.backends[0], other)),)
        self.staff.written = attrs.evolve(self.staff.written, pools=pools)
        self.staff.reloader.reload()
        self.pass_time(WARM)
        self.assertEqual(self.run_to_end("roll"), 1)
        self.assertEqual((self.restarted, self.weights), ([], [1, 1]))
        self.assertIn("which api/b is not; nothing was done", self.errors.getvalue())

    def test_no_program(self) -> None:
        """A mistyped command is known before anybody is drained, for each backend."""
        for command, program in (
            ("systemctll restart {name}", "systemctll"),
            ("/x/{name}", "/x/a"),
        ):
            self.errors.truncate(0)
            self.errors.seek(0)
            self.assertEqual(self.run_to_end("roll", "--command", command), 1)
            self.assertEqual(self.weights, [1, 1])
            told = f"lbproxy: --command: there is no program {program}\n"
            self.assertEqual(self.errors.getvalue(), told)

    def test_undrain_fails(self) -> None:
        """If its drain cannot be ended, it is told who is left drained, and how to end that."""
        status = self.begin("roll")
        refuses = mock.Mock(side_effect=NotPossible("not now"))
        self.patch(self.staff.parent.overrides, "undrain", refuses)
        self.pass_time(6.0)
        self.assertEqual(self.successResultOf(status), 1)
        self.assertEqual((self.restarted, self.weights), (["a"], [0, 1]))
        told = "lbproxy: api/a: not now; it stays drained, until: lbproxy undrain a --pool api\n"
        self.assertEqual(self.errors.getvalue(), f"not rolled: api/b\n{told}")

    def test_interrupted_while_warming(self) -> None:
        """Ctrl-C says that nobody is left drained."""
        status = self.begin("roll")
        self.pass_time(6.0)
        with self.heard():
            status.cancel()
        self.assertEqual(self.successResultOf(status), 1)
        told = "not rolled: api/b\nlbproxy: interrupted; api/a takes requests again\n"
        self.assertEqual(self.errors.getvalue(), told)

    def test_interrupted(self) -> None:
        """Ctrl-C says what is left undone."""
        self.ill.add("a")
        status = self.begin("roll")
        with self.heard():
            status.cancel()
        self.assertEqual(self.successResultOf(status), 1)
        told = self.errors.getvalue()
        self.assertIn("not rolled: api/b\nlbproxy: interrupted; it stays drained", told)

    def test_no_pool(self) -> None:
        """A pool that there is not."""
        self.assertEqual(self.run_to_end("roll", "--pool", "x"), 1)
        self.assertEqual(self.errors.getvalue(), 'lbproxy: there is no pool "x"\n')


class MembersTests(StoryCase):
    """Rolls of the members of a name."""

    def setUp(self) -> None:
        super().setUp()
        self.stand_for(1, 2)
        self.pass_time(WARM)

    @property
    def draining(self) -> list[bool]:
        """Whether each member, and the other backend, is drained."""
        return [each.draining for each in self.staff.parent.pools[0].backends]

    def test_members(self) -> None:
        """Each member of a name is a step; a drain of all of them outlives that, and is told."""
        self.run_to_end("drain", "a", "--reason", "disk")
        self.assertEqual(self.run_to_end("roll", "--force", seconds=4 * WARM), 0)
        self.assertEqual(self.restarted, ["a@1", "a@2", "b"])
        told = "api/a@1: drained with all of a by ann: disk; it stays so\n"
        self.assertIn(told, self.output.getvalue())
        self.assertEqual(self.draining, [True, True, False])

    def test_drained_with_all_meanwhile(self) -> None:
        """Who is drained with all others while it is restarted is left with that drain only."""
        ended = self.begin("roll")
        self.run_to_end("drain", "a")
        self.pass_time(WARM)
        self.assertEqual(self.successResultOf(ended), 1)
        self.assertIn("api/a@1 takes no requests any more", self.errors.getvalue())
        self.run_to_end("undrain", "a")
        self.assertEqual(self.draining, [False] * 3)

    def test_leaves(self) -> None:
        """One that is at another address after its restart is gone, and so is its drain."""
        ended = self.begin("roll")
        self.stand_for(2, 3)
        self.pass_time(1.0)
        self.assertEqual(self.successResultOf(ended), 1)
        self.assertEqual(
            self.errors.getvalue(),
            "not rolled: api/a@2, api/b\n"
            "lbproxy: api/a@1 is not there any more, nor is its drain, unless 10.0.0.1:1 has"
            " another name now\n",
        )


class StepTests(SynchronousTestCase):
    """What is a step of its own."""

    STATUS: ClassVar = {
        "pools": [
            {
                "name": pool,
                "backends": [
                    {"name": name, "address": address, "supervised": address == "h:3"}
                    for name, address in backends
                ],
            }
            for pool, backends in (
                ("api", (("a", "h:1"), ("b", "h:2"))),
                ("reports", (("slow", "h:2"), ("c", "h:3"))),
            )
        ]
    }

    def test_shared(self) -> None:
        """A program that is in two pools is one step, which takes it out of both."""
        steps = [Step("h:1", (("api", "a"),)), Step("h:2", (("api", "b"), ("reports", "slow")))]
        self.assertEqual(steps_of(self.STATUS, "api"), steps)
        steps.append(Step("h:3", (("reports", "c"),), supervised=True))
        self.assertEqual(steps_of(self.STATUS, None), steps)


class Processes(Clock):
    """Notes what is to be run, and ends it as the test says."""

    def __init__(self, reason: Exception | None, *, hangs: bool = False) -> None:
        super().__init__()
        self.commands: list[list[str]] = []
        self.signals: list[str] = []
        self._reason = reason
        self._hangs = hangs

    def spawnProcess(self, protocol: Any, program: str, command: list[str], **more: Any) -> None:
        """Run one."""
        protocol.makeConnection(self)
        self._protocol = protocol
        if self._hangs:
            return
        if self._reason is None:
            raise FileNotFoundError(2, "No such file or directory")
        self.commands.append(command)
        protocol.processEnded(Failure(self._reason))

    def signalProcess(self, name: str) -> None:
        """End one."""
        self.signals.append(name)
        self.callLater(1.0, self._protocol.processEnded, Failure(ProcessTerminated(None, 15)))


class RestartTests(SynchronousTestCase):
    """A command of the user's."""

    BACKEND = "klein; rm", "127.0.0.1:3001"

    def run_one(self, command: str, reason: Exception | None) -> list[list[str]]:
        """Run it; what was run."""
        processes = Processes(reason)
        run = Restart(command).run(processes, *self.BACKEND, 5.0)
        self.successResultOf(Deferred.fromCoroutine(run))
        return processes.commands

    def test_words(self) -> None:
        """Names and addresses are put into words, and no shell reads them."""
        ran = self.run_one("ssh {address} 'restart {name}' {other}", ProcessDone(None))
        self.assertEqual(ran, [["ssh", "127.0.0.1:3001", "restart klein; rm", "{other}"]])

    def test_failed(self) -> None:
        """A command that does not end well is told with how it ended."""
        for reason, how in (
            (ProcessTerminated(3), "x ended with exit status 3"),
            (ProcessTerminated(None, 9), "x was ended by signal 9"),
            (None, "cannot run x: No such file or directory"),
        ):
            run = Restart("x").run(Processes(reason), *self.BACKEND, 5.0)
            failure = self.failureResultOf(Deferred.fromCoroutine(run), Failed)
            self.assertEqual(str(failure.value), how)

    def test_hangs(self) -> None:
        """One that takes too long is ended, and so is one for which nobody waits any more."""
        for gives_up in (False, True):
            processes = Processes(None, hangs=True)
            run = Deferred.fromCoroutine(Restart("x y").run(processes, *self.BACKEND, 5.0))
            self.assertNoResult(run)
            if gives_up:
                run.cancel()
                self.failureResultOf(run, CancelledError)
            else:
                processes.advance(5.0)
                failure = self.failureResultOf(run, Failed)
                told = "x y has not ended within 5 s, and got SIGTERM"
                self.assertEqual(str(failure.value), told)
            self.assertEqual(processes.signals, ["TERM"])
            processes.advance(1.0)
            self.assertEqual(processes.getDelayedCalls(), [])

    def test_unreadable(self) -> None:
        """One that is empty, or has a quote too few."""
        for command in ("", "  ", "a 'b"):
            self.assertRaises(Failed, Restart, command)
        self.assertEqual(shlex.join(Restart("a 'b c'").words(*self.BACKEND)), "a 'b c'")
