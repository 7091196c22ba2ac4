"""Tests of dates in fields."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.static import dates
from tests.static.folder import NOW


class DateTests(SynchronousTestCase):
    """Dates read and written."""

    def test_forms(self) -> None:
        """The three forms of RFC 9110 section 5.6.7 say the same."""
        for form in (
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ):
            self.assertEqual(dates.parse(form, NOW), 784111777, form)

    def test_century(self) -> None:
        """Two digits mean the year at most fifty years ahead."""
        ahead = dates.parse(b"Tue, 24 Nov 2076 12:00:00 GMT", NOW)
        self.assertEqual(dates.parse(b"Tuesday, 24-Nov-76 12:00:00 GMT", NOW), ahead)
        behind = dates.parse(b"Wed, 24 Nov 1976 12:00:01 GMT", NOW)
        self.assertEqual(dates.parse(b"Wednesday, 24-Nov-76 12:00:01 GMT", NOW), behind)

    def test_no_date(self) -> None:
        """What is nearly a date is none."""
        for value in (
            b"",
            b"0",
            b"784111777",
            b"Sun, 06 Nov 1994 08:49:37",
            b"Sun, 06 Nov 1994 08:49:37 UTC",
            b"Sun, 06 Nov 1994 08:49:37 +0000",
            b"Sun, 6 Nov 1994 08:49:37 GMT",
            b"sun, 06 nov 1994 08:49:37 gmt",
            b"Sun, 06 Nov 1994 24:00:00 GMT",
            b"Sun, 06 Nov 1994 08:49:61 GMT",
            b"Sun, 31 Feb 1994 08:49:37 GMT",
            b"Sun, 00 Nov 1994 08:49:37 GMT",
            b"Sun, 06 Nov 0000 08:49:37 GMT",
            b"Sun, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov 6 08:49:37 1994",
            b"Sun, 06 Nov 1994 08:49:37 GMT\n",
            b"1994-11-06T08:49:37Z",
        ):
            self.assertIsNone(dates.parse(value, NOW), value)

    def test_leap_second(self) -> None:
        """The second 60 is that after 59."""
        self.assertEqual(dates.parse(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW), 1483228800)

    @given(st.integers(0, 253402300799))
    def test_round_trip(self, second: int) -> None:
        """What is written is read again."""
        self.assertEqual(dates.parse(dates.write(second), NOW), second)

    @given(st.binary(max_size=40))
    def test_any_bytes(self, value: bytes) -> None:
        """Nothing but a date is read as one."""
        self.assertIsNone(dates.parse(b"%b?" % value, NOW))
