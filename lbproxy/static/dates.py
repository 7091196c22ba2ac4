"""Dates in fields (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import re
import time
from calendar import timegm
from datetime import date
from email.utils import formatdate

_MONTHS = (
    b"Jan",
    b"Feb",
    b"Mar",
    b"Apr",
    b"May",
    b"Jun",
    b"Jul",
    b"Aug",
    b"Sep",
    b"Oct",
    b"Nov",
    b"Dec",
)
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = rb"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH = rb"(?P<month>" + rb"|".join(_MONTHS) + rb")"
_TIME = rb"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"

#: Case counts; what a recipient must take, though only the first form is ever sent.
_FORMS = (
    re.compile(
        _DAY + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT"
    ),
    re.compile(
        _LONG_DAY + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT"
    ),
    re.compile(
        _DAY + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _TIME + rb" (?P<year>[0-9]{4})"
    ),
)


def write(second: int) -> bytes:
    """A date as it is sent."""
    return formatdate(second, usegmt=True).encode()


def parse(value: bytes, now: float) -> int | None:
    """Read a date in any of its three forms.

    Args:
        value: The field's value.
        now: Seconds since 1970; tells the century of a year with two digits.

    Returns:
        Seconds since 1970, or `None` if it is no date.
    """
    for form in _FORMS:
        match = form.fullmatch(value)
        if match is not None:
            break
    else:
        return None
    month = _MONTHS.index(match["month"]) + 1
    day, year = int(match["day"]), int(match["year"])
    clock = int(match["hour"]), int(match["minute"]), int(match["second"])
    if len(match["year"]) == 2:
        present = time.gmtime(now)
        year += present.tm_year // 100 * 100
        if (year - 50, month, day, *clock) > present[:6]:
            year -= 100
    try:
        date(year, month, day)
    except ValueError:
        return None
    return timegm((year, month, day, *clock))
