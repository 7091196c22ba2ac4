"""Patterns: what they find is what `re` finds, and nothing takes long."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.health.pattern import MOST_NODES, BadPattern, Pattern

#: Parts of patterns, and patterns of them.
ONES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", r"\w", "[]a]", r"[\]b]", "ä"])
PATTERNS = st.recursive(
    ONES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
        inner.map(lambda part: f"(?:^{part})"),
        inner.map(lambda part: f"(?:{part}$)"),
    ),
    max_leaves=6,
)
TEXTS = st.text("ab1.]ä", max_size=12)


class PatternTests(SynchronousTestCase):
    @given(st.sampled_from(["", "(?i)", "(?s)", "(?is)"]), PATTERNS, TEXTS)
    def test_as_python(self, flags: str, source: str, text: str) -> None:
        """It finds what `re.search` finds."""
        try:
            pattern = Pattern(flags + source)
        except BadPattern as error:
            self.assertIn("more than", str(error))
            return
        self.assertEqual(
            pattern.found_in(text), re.search(flags + source, text) is not None, source
        )

    @given(st.text(max_size=20), TEXTS)
    def test_anything(self, source: str, text: str) -> None:
        """Whatever stands there is a pattern or a mistake with a reason."""
        try:
            Pattern(source).found_in(text)
        except BadPattern as error:
            self.assertTrue(str(error))

    def test_examples(self) -> None:
        """What probes look for."""
        for source, text, found in [
            (r'"status":\s*"(ok|pass)"', '{"status": "pass"}', True),
            (r'"status":\s*"(ok|pass)"', '{"status": "fail"}', False),
            ("(?i)ALIVE", "I am alive.", True),
            ("^ok$", "ok", True),
            ("^ok$", "not ok", False),
            ("a{2,3}b", "xaab", True),
            ("", "", True),
            ("((){9999}){9999}", "", True),
            ("λειτουργεί", "η υπηρεσία λειτουργεί", True),
            ("a.b", "a\nb", False),
            ("(?s)a.b", "a\nb", True),
        ]:
            self.assertIs(Pattern(source).found_in(text), found, source)

    def test_part(self) -> None:
        """Where the text goes on, its end is not here."""
        self.assertTrue(Pattern("ok$").found_in("ok"))
        self.assertFalse(Pattern("ok$").found_in("ok", whole=False))
        self.assertTrue(Pattern("ok").found_in("ok", whole=False))

    def test_refused(self) -> None:
        """What is not spoken here is refused, with the reason."""
        for source, reason in [
            ("(a", "it lacks a )"),
            ("a)", "it has a ) too many"),
            ("*a", "there is nothing that * could repeat"),
            ("a**", "there is nothing that * could repeat"),
            ("[a", "[a is not spoken here"),
            ("[b-a]", "bad character range b-a"),
            (r"(a)\1", r"\1 is not spoken here"),
            ("(?=a)", "(?=a) is not spoken here"),
            (r"\bok", r"\bok is not spoken here"),
            ("a{3,2}", "{3,2} is empty"),
            ("a{999}", f"more than {MOST_NODES} steps"),
            ("(((a{9}){9}){9}){9}", f"more than {MOST_NODES} steps"),
            ("(" * 30 + ")" * 30, "more than 20 deep"),
        ]:
            with self.assertRaises(BadPattern) as caught:
                Pattern(source)
            self.assertIn(reason, str(caught.exception))

    def test_hostile(self) -> None:
        """What would keep `re` busy for years takes no time."""
        for source in ("(a+)+b", "(a|a)*b", "(a*)*b", ".*.*.*.*b", "(a|b)*a[ab]{50}c"):
            began = time.process_time()
            self.assertFalse(Pattern(source).found_in("a" * 8192), source)
            self.assertLess(time.process_time() - began, 2.0, source)
