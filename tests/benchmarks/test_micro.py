"""The single functions that are measured do what they are measured for."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.micro.cases import (
    HEADS,
    cases,
    parse_requests,
    parse_responses,
    requests,
    responses,
)


class CaseTests(SynchronousTestCase):
    def test_run(self) -> None:
        """Each case runs, and gives one result for each of its calls."""
        for case in cases(random.Random(0)):
            result = case.run()
            assert isinstance(result, list)
            self.assertEqual(len(result), case.calls, case.name)
            self.assertNotIn(None, result, case.name)

    def test_heads_differ(self) -> None:
        """No head comes twice."""
        for make in (requests, responses):
            self.assertEqual(len(set(make(random.Random(0)))), HEADS)

    def test_heads_are_read(self) -> None:
        """All their fields are read."""
        chance = random.Random(0)
        self.assertEqual({len(head.fields) for head in parse_requests(requests(chance))}, {12})
        self.assertEqual({len(head.fields) for head in parse_responses(responses(chance))}, {6})
