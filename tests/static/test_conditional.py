"""Tests of preconditions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.static import dates
from lbproxy.static.conditional import judge, range_applies
from tests.static.folder import MODIFIED, NOW

ETAG = b'"a,b-1"'
BEFORE, SAME, AFTER = (dates.write(MODIFIED + seconds) for seconds in (-1, 0, 1))


class JudgeTests(SynchronousTestCase):
    """What the preconditions of RFC 9110 section 13.1 lead to."""

    def check(self, expected: int, **values: bytes | list[bytes]) -> None:
        """Judge a request with these fields."""
        fields = {
            name.replace("_", "-").encode(): value if isinstance(value, list) else [value]
            for name, value in values.items()
        }
        self.assertEqual(judge(fields, ETAG, MODIFIED, NOW), expected, fields)

    def test_none(self) -> None:
        """Without preconditions nothing stands in the way."""
        self.check(200)

    def test_if_none_match(self) -> None:
        """A tag that is listed means that the client has it; comparison is weak."""
        for value in (ETAG, b"W/" + ETAG, b"*", b'"x", ' + ETAG, b', "x" ,,' + ETAG + b" ,"):
            self.check(304, if_none_match=value)
        self.check(304, if_none_match=[b'"x"', ETAG])
        self.check(200, if_none_match=b'"x"')
        self.check(200, if_none_match=b'"a", "b-1"')

    def test_if_match(self) -> None:
        """A change is refused unless the tag is listed; comparison is strong."""
        for value in (ETAG, b"*", b'"x",' + ETAG, b'W/"x", ' + ETAG):
            self.check(200, if_match=value)
        self.check(412, if_match=b"W/" + ETAG)
        self.check(412, if_match=b'"x"')

    def test_malformed_tags(self) -> None:
        """A malformed list matches nothing, whatever stands in it."""
        for value in (
            b"a,b-1",
            b"x" + ETAG,
            ETAG + b"x",
            ETAG + ETAG,
            b"w/" + ETAG,
            b"*, " + ETAG,
            b'"',
            ETAG + b' "',
            b"",
        ):
            self.check(200, if_none_match=value)
            self.check(412, if_match=value)

    def test_if_modified_since(self) -> None:
        """Not modified since means that the client has it."""
        self.check(200, if_modified_since=BEFORE)
        self.check(304, if_modified_since=SAME)
        self.check(304, if_modified_since=AFTER)

    def test_if_unmodified_since(self) -> None:
        """Modified since is refused."""
        self.check(412, if_unmodified_since=BEFORE)
        self.check(200, if_unmodified_since=SAME)
        self.check(200, if_unmodified_since=AFTER)

    def test_no_date(self) -> None:
        """What is no date, or several, is ignored."""
        for value in (b"yesterday", b"", [SAME, SAME], SAME + b", " + SAME):
            self.check(200, if_modified_since=value)
        for value in (b"yesterday", [BEFORE, BEFORE]):
            self.check(200, if_unmodified_since=value)

    def test_every_form_of_date(self) -> None:
        """The obsolete forms count as well."""
        for value in (b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"):
            self.check(412, if_unmodified_since=value)

    def test_tags_before_dates(self) -> None:
        """Where there are tags, dates do not count (RFC 9110 section 13.2.2)."""
        self.check(200, if_none_match=b'"x"', if_modified_since=SAME)
        self.check(304, if_none_match=ETAG, if_modified_since=BEFORE)
        self.check(200, if_match=ETAG, if_unmodified_since=BEFORE)
        self.check(412, if_match=b'"x"', if_unmodified_since=SAME)

    def test_changes_before_copies(self) -> None:
        """What refuses is looked at before what saves sending."""
        self.check(412, if_match=b'"x"', if_none_match=ETAG)
        self.check(304, if_match=ETAG, if_none_match=ETAG)
        self.check(412, if_unmodified_since=BEFORE, if_none_match=ETAG)
        self.check(304, if_unmodified_since=SAME, if_modified_since=SAME)

    @given(
        st.lists(
            st.from_regex(rb'\A(W/)?"[!#-~]{0,5}"\Z') | st.sampled_from([ETAG, b"W/" + ETAG]),
            max_size=5,
        )
    )
    def test_any_list(self, tags: list[bytes]) -> None:
        """A list matches as its members do one by one, commas within them or not."""
        strongly, weakly = ETAG in tags, ETAG in tags or b"W/" + ETAG in tags
        value = b" , ".join(tags)
        self.check(200 if strongly else 412, if_match=value)
        self.check(304 if weakly else 200, if_none_match=value)

    @given(st.binary(max_size=30))
    def test_any_bytes(self, value: bytes) -> None:
        """Garbage never matches."""
        self.check(200, if_none_match=b"?" + value)
        self.check(412, if_match=b"?" + value)


class RangeAppliesTests(SynchronousTestCase):
    """What `If-Range` says."""

    def test_absent(self) -> None:
        """Without it the range counts."""
        self.assertTrue(range_applies({}, ETAG))

    def test_tag(self) -> None:
        """The strong tag alone lets the range count."""
        self.assertTrue(range_applies({b"if-range": [ETAG]}, ETAG))
        for lines in ([b"W/" + ETAG], [b'"x"'], [b"*"], [ETAG, ETAG], [ETAG + b", " + ETAG], [b""]):
            self.assertFalse(range_applies({b"if-range": lines}, ETAG), lines)

    def test_date(self) -> None:
        """A date is no strong validator, even that of the last modification."""
        for date in (BEFORE, SAME, AFTER):
            self.assertFalse(range_applies({b"if-range": [date]}, ETAG))
