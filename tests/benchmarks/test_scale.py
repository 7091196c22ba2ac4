"""The simulation of balancers: that it is right, repeatable, and shows what the docs say."""

from __future__ import annotations

from itertools import product
from math import factorial
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.page import filled
from benchmarks.scale.__main__ import BEGIN, END, PAGE
from benchmarks.scale.cases import CASES, Row, seconds, table
from benchmarks.scale.chart import chart
from benchmarks.scale.simulation import SERVERS, SERVICE, Result, Scenario, simulate
from lbproxy.config.model import BALANCERS

SVG = "{http://www.w3.org/2000/svg}"


def mean_latency(load: float) -> float:
    """Seconds that a request takes on average at one backend, by Erlang's C formula (M/M/c)."""
    offered = load * SERVERS
    waiting = offered**SERVERS / factorial(SERVERS) / (1.0 - load)
    idle = sum(offered**number / factorial(number) for number in range(SERVERS))
    return SERVICE + waiting / (idle + waiting) * SERVICE / (SERVERS * (1.0 - load))


class SimulationTests(SynchronousTestCase):
    def test_erlang(self) -> None:
        """One backend behaves as the theory of queues says."""
        for load in (0.2, 0.4, 0.7):
            found = simulate(Scenario("round_robin", 1, load=load), 1)
            expected = mean_latency(load)
            self.assertApproximates(found.mean / expected, 1.0, 0.05)

    def test_repeatable(self) -> None:
        """The same seed gives the same result, another one another."""
        for name in BALANCERS:
            scenario = Scenario(name, 3, slow=1)
            self.assertEqual(simulate(scenario, 7), simulate(scenario, 7))
            self.assertNotEqual(simulate(scenario, 7), simulate(scenario, 8))

    def test_slow(self) -> None:
        """With one of two slow p99 stays within 3 times that of two fast ones."""
        for name, load, seed in product(("peak_ewma", "least_loaded"), (0.1, 0.3, 0.4), range(2)):
            fast = simulate(Scenario(name, 2, load=load), seed).p99
            slow = simulate(Scenario(name, 2, slow=1, load=load), seed).p99
            self.assertLess(slow, 3.0 * fast, (name, load, seed))

    def test_order(self) -> None:
        """With one of ten slow those that look at the load keep p99, and round robin does not."""
        found = {name: simulate(Scenario(name, 10, slow=1), 1).p99 for name in BALANCERS}
        self.assertGreater(found.pop("round_robin"), 1.0)
        self.assertLess(max(found.values()), 0.25)
        two = sorted(found, key=lambda name: found[name])[:2]
        self.assertEqual(set(two), {"least_loaded", "peak_ewma"})

    def test_broken(self) -> None:
        """What fails at once draws requests to it, but not where it is seen that it fails."""
        for size in (2, 3, 10):
            found = {name: simulate(Scenario(name, size, broken=1), 1).failed for name in BALANCERS}
            self.assertLess(max(found["peak_ewma"], found["least_loaded"]), 0.05)
            self.assertGreater(found["two_choices"], 1.0 / size)


class ShownTests(SynchronousTestCase):
    def setUp(self) -> None:
        results = {
            name: Result(0.01, 0.05 * 10**number, 1.0 + number, 0.02, 0.1 * number)
            for number, name in enumerate(BALANCERS)
        }
        self.shown = [(case, [Row(size, results) for size in case.sizes]) for case in CASES]

    def test_sizes(self) -> None:
        """Each case runs each policy at each size up to the most."""
        asked: list[Scenario] = []

        def note(scenario: Scenario) -> Result:
            asked.append(scenario)
            return Result(0.0, 0.0, 1.0, 0.0, 0.0)

        rows = [row for case in CASES for row in case.run(note, 10)]
        self.assertEqual(len(asked), len(rows) * len(BALANCERS))
        self.assertLessEqual({scenario.backends for scenario in asked}, {1, 2, 3, 10})

    def test_table(self) -> None:
        """A line for each size, a column for each policy."""
        for case, rows in self.shown:
            lines = table(case, rows).splitlines()
            self.assertEqual(len(lines), 2 + len(case.sizes))
            self.assertEqual({line.count("|") for line in lines}, {2 + len(BALANCERS)})

    def test_seconds(self) -> None:
        """Latencies are in the unit that fits."""
        self.assertEqual([seconds(value) for value in (0.0941, 1.04)], ["94 ms", "1.0 s"])

    def test_chart(self) -> None:
        """Whatever the values, all that is drawn is within the picture."""
        root = ElementTree.fromstring(chart(self.shown))
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        lines = root.findall(f"{SVG}polyline")
        self.assertEqual(len(lines), len(CASES) * len(BALANCERS))
        for line in lines:
            for point in line.attrib["points"].split():
                x, y = map(float, point.split(","))
                self.assertTrue(0 <= x <= width and 0 <= y <= height, point)

    def test_docs(self) -> None:
        """The page of the docs has its part, and shows the chart."""
        text = PAGE.read_text(encoding="utf-8")
        self.assertIn("new", filled(text, "new", BEGIN, END))
        self.assertIn("](balancers.svg)", text)
        ElementTree.parse(PAGE.with_suffix(".svg"))
