"""What wrk is told and what it tells."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro import wrk
from benchmarks.macro.workloads import QUICK, WORKLOADS, Workload

BY_NAME = {workload.name: workload for workload in WORKLOADS}

OUTPUT = """\
Running 1s test @ http://127.0.0.1:8080/small
  1 threads and 64 connections
Requests/sec:  40130.17

{"requests":40130,"microseconds":1000500,"bytes":8026000,"p50":1490,"p99":3000,\
"errors":{"connect":1,"read":2,"write":0,"timeout":3,"status":4}}
"""


class OutputTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """All kinds of errors are errors, and times are in seconds."""
        self.assertEqual(wrk.parse(OUTPUT), wrk.Load(40130, 8026000, 1.0005, 0.00149, 0.003, 10))

    def test_refusal(self) -> None:
        """What wrk says instead is what is told."""
        with self.assertRaisesRegex(ValueError, "unable to connect"):
            wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")
        with self.assertRaisesRegex(ValueError, "nothing"):
            wrk.parse("")


class ScriptTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Nothing of it runs for each request, unless heads vary."""
        for workload in WORKLOADS:
            script = wrk.script(workload, 1)
            self.assertEqual("request = function" in script, workload.varied, workload.name)

    def test_varied(self) -> None:
        """The seed is in it, and as many values as the head has places for them."""
        script = wrk.script(BY_NAME["varied"], 4711)
        self.assertIn("math.randomseed(4711)", script)
        head, _, values = script.partition("string.format(head,")
        values = values.partition("end")[0]
        given = values.count("random(") + values.count("version") + values.count("wrk.headers")
        self.assertEqual(head.count("%"), given)

    def test_upload(self) -> None:
        """A body makes it a POST."""
        script = wrk.script(BY_NAME["upload"], 1)
        self.assertIn('wrk.method = "POST"', script)
        self.assertIn(str(10 * 1024 * 1024), script)

    def test_churn(self) -> None:
        """Each request asks for the end of its connection."""
        self.assertIn('wrk.headers["Connection"] = "close"', wrk.script(BY_NAME["churn"], 1))


class WorkloadTests(SynchronousTestCase):
    def test_names(self) -> None:
        """They are names of their own, and the quick form has some of them."""
        self.assertEqual(len(BY_NAME), len(WORKLOADS))
        self.assertEqual(set(QUICK) - set(BY_NAME), set())

    def test_units(self) -> None:
        """Idle clients cost memory, all others time."""
        units = {workload.unit for workload in WORKLOADS if not workload.idle}
        self.assertEqual(units, {"µs/request"})
        self.assertEqual(Workload("x", "x", "/", 1, idle=True).unit, "KiB/connection")
