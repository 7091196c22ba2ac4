"""The page about failures knows all that can be decided, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import Unavailable, UpstreamError
from lbproxy.proxy.failover import Decision

PAGE = Path(__file__).parents[1] / "docs" / "failure.md"


def reasons(error: type[UpstreamError | Unavailable]) -> set[str]:
    """The reason codes of a class of errors, and of those below it."""
    below = [reasons(each) for each in error.__subclasses__()]
    return set().union(*below) if below else {error.reason}


class FailurePageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = PAGE.read_text()

    def test_decisions(self) -> None:
        """Each decision that the log can have is explained."""
        for decision in Decision:
            self.assertTrue(f"`{decision.value}`" in self.text.replace('"', "`"), decision)

    def test_reasons(self) -> None:
        """Each reason for which an attempt fails, or nobody can answer, is there."""
        for reason in reasons(UpstreamError) | reasons(Unavailable):
            self.assertTrue(reason in self.text, reason)

    def test_links(self) -> None:
        """Each link of its table leads to a heading."""
        headings = {
            line.removeprefix("## ").lower().replace(" ", "-")
            for line in self.text.splitlines()
            if line.startswith("## ")
        }
        links = set(re.findall(r"\]\(#([^)]*)\)", self.text))
        self.assertEqual(links, headings)
