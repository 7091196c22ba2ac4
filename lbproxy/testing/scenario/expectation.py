"""What a scenario expects, such as `p99 < 0.5 from 3 to 10`: one line each."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

import attrs

from lbproxy.config.kinds import Wrong, expected, guessed, question, text

#: What can be measured, and what it is; with `.NAME` behind it, of one backend.
METRICS = {
    "requests": "requests that were sent",
    "answered": "requests that got a whole answer of a backend, below 500",
    "failed": "requests that got none",
    "failure_rate": "the failed in proportion to the requests",
    "retries": "attempts beyond each request's first",
    "doubled": "unsafe requests that were worked at more than once",
    "p50": "seconds within which half of the answered requests were",
    "p90": "and nine of ten",
    "p99": "and 99 of a hundred",
    "share": "a backend's part of the answered requests",
}

#: Those that are of one backend, or can be.
OF_BACKENDS = frozenset({"share", "answered", "p50", "p90", "p99"})

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

_NUMBER = r"\d+(?:\.\d+)?"
_LINE = re.compile(
    rf"\s*(?P<metric>[a-z0-9_]+)(?:\.(?P<backend>\S+?))?\s*(?P<comparison>==|<=|>=|<|>)"
    rf"\s*(?P<bound>{_NUMBER})(?P<percent>\s*%)?"
    rf"(?:\s+from\s+(?P<start>{_NUMBER}))?(?:\s+to\s+(?P<end>{_NUMBER}))?\s*"
)


@attrs.frozen
class Expectation:
    """One of them.

    Attributes:
        text: As in the file.
        metric: A key of `METRICS`.
        backend: Of which backend, if of one.
        comparison: `==`, `<=`, `>=`, `<` or `>`.
        bound: What the metric is compared with.
        start: Only requests that were sent then or later, in seconds from the beginning.
        end: And before then.
    """

    text: str
    metric: str
    backend: str | None
    comparison: str
    bound: float
    start: float | None
    end: float | None

    def holds(self, value: float | None) -> bool:
        """Whether a value is as expected; one that there is not never is."""
        return value is not None and _COMPARISONS[self.comparison](value, self.bound)


def expectation(value: object) -> Expectation:
    """Read one.

    Raises:
        Wrong: If it is none.
    """
    line = text(value)
    found = _LINE.fullmatch(line)
    if found is None:
        raise expected('an expectation such as "failed == 0" or "p99 < 0.5 from 3 to 10"', line)
    metric, backend = found["metric"], found["backend"]
    if metric not in METRICS:
        near = question(guessed(metric, METRICS))
        raise Wrong(f"{metric} is not measured{near or '; there are ' + ', '.join(METRICS)}")
    if metric == "share" and backend is None:
        raise Wrong("of which backend? write share.NAME")
    if backend is not None and metric not in OF_BACKENDS:
        raise Wrong(f"{metric} is of all together: write it without .{backend}")
    start, end = (None if found[each] is None else float(found[each]) for each in ("start", "end"))
    if start is not None and end is not None and end <= start:
        raise Wrong(f"nothing lies from {start:g} to {end:g}")
    bound = float(found["bound"]) / (100.0 if found["percent"] else 1.0)
    return Expectation(line.strip(), metric, backend, found["comparison"], bound, start, end)
