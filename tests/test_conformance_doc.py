"""docs/conformance.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:::(\w+))?`")


def _rows() -> list[tuple[int, list[str]]]:
    """The tables' rows with their line's number, heads and rules left out."""
    rows = []
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("|") and not line.startswith(("| Section", "| ---")):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            rows.append((number, cells))
    return rows


def _tests(path: str) -> set[tuple[str, str]]:
    """The classes and their tests in a file, and its plain functions with no second name."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add((node.name, ""))
        elif isinstance(node, ast.ClassDef):
            names |= {
                (node.name, part.name)
                for part in node.body
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return names


class ConformanceTests(SynchronousTestCase):
    """The page can be believed."""

    def test_rows_are_filled(self) -> None:
        """Each row has section, requirement, behaviour and test."""
        rows = _rows()
        self.assertGreater(len(rows), 50)
        for number, cells in rows:
            self.assertEqual(len(cells), 4, f"line {number}")
            self.assertTrue(all(cells), f"line {number}")
            self.assertTrue(NAMED.search(cells[3]), f"line {number} names no test")

    def test_named_tests_exist(self) -> None:
        """Each test that a row names is in its file."""
        for number, cells in _rows():
            for path, first, second in NAMED.findall(cells[3]):
                self.assertTrue((ROOT / path).is_file(), f"line {number}: {path}")
                self.assertIn((first, second), _tests(path), f"line {number}")
