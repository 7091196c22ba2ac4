"""What people see: tables, the chart, the page of the docs."""

from __future__ import annotations

from xml.etree import ElementTree

import attrs
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro import page, table
from benchmarks.macro.chart import chart
from benchmarks.macro.peers.lbproxy import ROOT
from benchmarks.macro.workloads import WORKLOADS
from tests.benchmarks.runs import SMALL, run

SVG = "{http://www.w3.org/2000/svg}"


class TableTests(SynchronousTestCase):
    def test_figures(self) -> None:
        """Three digits, as far as there are so many before the point."""
        shown = [table.figure(value) for value in (0.0, 1.234, 23.45, 341.4, 14500.0)]
        self.assertEqual(shown, ["0.00", "1.23", "23.4", "341", "14 500"])

    def test_terminal(self) -> None:
        """Each peer has a line with its ratio."""
        head, _, ours, theirs = table.lines_of(run([20.0, 30.0], [10.0, 10.0]), SMALL)
        self.assertEqual(head, "small: JSON of 200 bytes, 64 connections")
        self.assertIn("25.0 (20.0-30.0)   2.50 (2.00-3.00)", ours)
        self.assertTrue(theirs.startswith("  haproxy"), theirs)

    def test_errors_are_marked(self) -> None:
        """In both tables."""
        broken = run([20.0], [10.0], errors=7)
        self.assertTrue(list(table.lines_of(broken, SMALL))[2].endswith("7 !"))
        self.assertIn("| 20.0 ! |", table.markdown(broken, [SMALL]))

    def test_refusal(self) -> None:
        """What was not measured is told with its reason."""
        refused = run([], [10.0])
        self.assertIn("  lbproxy: not supported: <tls>", list(table.lines_of(refused, SMALL)))
        self.assertIn("| not supported | 10.0 |", table.markdown(refused, [SMALL]))

    def test_markdown(self) -> None:
        """Each row has as many fields as the head of its table."""
        rows = [
            line
            for line in table.markdown(run([20.0], [10.0]), WORKLOADS).splitlines()
            if line.startswith("|")
        ]
        self.assertEqual({line.count("|") for line in rows}, {5, 8})
        self.assertIn("- a note.", table.markdown(run([20.0], [10.0]), [SMALL]))


class ChartTests(SynchronousTestCase):
    def test_well_formed(self) -> None:
        """It is XML, whatever a title has in it, and shows lbproxy's ratio."""
        odd = attrs.evolve(SMALL, title="<&>")
        root = ElementTree.fromstring(chart(run([25.0], [10.0], workload=odd), [odd]))
        texts = [element.text for element in root.iter(f"{SVG}text")]
        self.assertIn("<&>", texts)
        self.assertIn("2.50", texts)

    def test_in_frame(self) -> None:
        """The dearest and the cheapest are within the scale."""
        for cost in (0.5, 10.0, 9000.0):
            root = ElementTree.fromstring(chart(run([cost], [10.0]), [SMALL]))
            width = float(root.attrib["viewBox"].split()[2])
            for circle in root.iter(f"{SVG}circle"):
                self.assertTrue(0 <= float(circle.attrib["cx"]) <= width)

    def test_nothing_to_show(self) -> None:
        """Without a ratio it is still a picture."""
        ElementTree.fromstring(chart(run([], []), [SMALL]))


class PageTests(SynchronousTestCase):
    def test_filled(self) -> None:
        """Only what stands between the markers is replaced, each time anew."""
        text = f"# Title\n\n{page.BEGIN}\nold\n{page.END}\n\nmore\n"
        once = page.filled(text, "new\n")
        self.assertEqual(once, f"# Title\n\n{page.BEGIN}\n\nnew\n\n{page.END}\n\nmore\n")
        self.assertEqual(page.filled(once, "new"), once)

    def test_no_markers(self) -> None:
        """A page without them is left alone."""
        for text in ("", page.BEGIN, page.END):
            with self.assertRaises(ValueError):
                page.filled(text, "new")

    def test_docs(self) -> None:
        """The page of the docs has its markers, and shows the chart."""
        text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        self.assertIn("new", page.filled(text, "new"))
        self.assertIn("](performance.svg)", text)
        ElementTree.parse(ROOT / "docs" / "performance.svg")
