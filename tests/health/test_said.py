"""What is heard of a backend's own words, whatever they are."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.health.said import MOST_BYTES, NOTHING, Said, heard

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["weight", "drain", "capacity"]) | st.text(), VALUES
).map(lambda document: json.dumps(document).encode())


class HeardTests(SynchronousTestCase):
    @given(st.binary(max_size=100) | DOCUMENTS)
    def test_anything(self, body: bytes) -> None:
        """Whatever comes, what is heard is in its range, and what is wrong has few words."""
        said, wrong = heard(body)
        self.assertLessEqual(len(wrong), 3)
        self.assertIn(said.weight_of(5), range(6))
        self.assertIn(said.limit_of(5, 2), range(1, 6))
        json.dumps(said.report())

    def test_whole(self) -> None:
        """All three, beside what is the backend's own business."""
        said, wrong = heard(b'{"weight": 3, "drain": true, "capacity": 7, "db": {"up": true}}')
        self.assertEqual((said, wrong), (Said(3, True, 7), ()))
        self.assertEqual(said.report(), {"weight": 3, "drain": True, "capacity": 7})
        self.assertEqual(str(said), "drain, weight 3, capacity 7")

    def test_nothing(self) -> None:
        """An object with none of them, or with their defaults, says nothing."""
        for body in (b"{}", b'{"status": "pass"}', b'{"drain": false, "weight": null}'):
            self.assertEqual(heard(body), (NOTHING, ()))
        self.assertEqual((NOTHING.report(), str(NOTHING)), ({}, "nothing"))

    def test_wrong(self) -> None:
        """What cannot be heard is named; the rest is heard all the same."""
        body = b'{"weight": -1, "drain": "yes", "capacity": 2}'
        self.assertEqual(
            heard(body),
            (
                Said(capacity=2),
                (
                    "weight is no whole number from 0 to 1000",
                    "drain is neither true nor false",
                ),
            ),
        )
        for value in ("0", "true", "1.5", "1e9", '"9"', "[]", "1000001"):
            self.assertEqual(
                heard(b'{"capacity": %s}' % value.encode()),
                (NOTHING, ("capacity is no whole number from 1 to 1000000",)),
            )

    def test_no_object(self) -> None:
        """What is no JSON, or none that could say something, says nothing."""
        for body in (b"", b"ok", b"\xff{}", b"[" * MOST_BYTES, b"9" * 5000 + b"}"):
            self.assertEqual(
                heard(body), (NOTHING, ("the answer is no JSON, although it says so",)), body[:9]
            )
        self.assertEqual(heard(b"[1]"), (NOTHING, ("the JSON is no object",)))
        long = b'{"weight": 1}' + b" " * MOST_BYTES
        self.assertEqual(heard(long), (NOTHING, ("the JSON is longer than 8192 bytes",)))


class RuleTests(SynchronousTestCase):
    def test_the_smaller_holds(self) -> None:
        """A backend may ask for less than it is given, not for more."""
        self.assertEqual([Said(weight=5).weight_of(given) for given in (0, 3, 9)], [0, 3, 5])
        self.assertEqual(Said(weight=5, drain=True).weight_of(9), 0)
        self.assertEqual(NOTHING.weight_of(9), 9)

    def test_parts(self) -> None:
        """Each process has its part of a capacity, and at least one."""
        parts = [Said(capacity=capacity).limit_of(64, 4) for capacity in (1, 4, 5, 1000)]
        self.assertEqual(parts, [1, 1, 2, 64])
        self.assertEqual(NOTHING.limit_of(64, 4), 64)
