"""What came of a scenario, and whether that is as expected."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lbproxy.testing.scenario.acts import Act
from lbproxy.testing.scenario.cast import Cast
from lbproxy.testing.scenario.expectation import Expectation
from lbproxy.testing.scenario.model import Scenario
from lbproxy.testing.scenario.requests import Request
from lbproxy.testing.scenario.stage import Turn


@attrs.frozen
class Judged:
    """An expectation and what it is about.

    Attributes:
        expectation: It.
        value: What was measured; `None` if there was nothing to be measured.
        holds: Whether it is as expected.
    """

    expectation: Expectation
    value: float | None
    holds: bool


@attrs.frozen
class Result:
    """All that happened.

    Attributes:
        scenario: What was played.
        config_file: With which config.
        scenario_file: From which file.
        cast: The backends.
        acts: What befell them.
        requests: All requests, in the order in which they were sent.
        turns: How the balancer judged the backends, in order.
        notes: What is different from production.
        wrongs: What the balancer did or logged and must never.
    """

    scenario: Scenario = attrs.field(repr=False)
    scenario_file: str
    config_file: str
    cast: Cast = attrs.field(repr=False)
    acts: tuple[Act, ...] = attrs.field(repr=False)
    requests: tuple[Request, ...] = attrs.field(repr=False)
    turns: tuple[Turn, ...] = attrs.field(repr=False)
    notes: tuple[str, ...]
    wrongs: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is as expected."""
        return not self.wrongs and all(judged.holds for judged in self.judged)

    @property
    def judged(self) -> list[Judged]:
        """Each expectation with its value."""
        return [
            Judged(each, value := self.value(each), each.holds(value))
            for each in self.scenario.expect
        ]

    # Numbers of all requests, for tests in Python.

    @property
    def answered(self) -> int:
        """Requests that got a whole answer of a backend, below 500."""
        return _count(not request.failed for request in self.requests)

    @property
    def failed(self) -> int:
        """Requests that got none."""
        return _count(request.failed for request in self.requests)

    @property
    def retries(self) -> int:
        """Attempts beyond each request's first."""
        return sum(request.retries for request in self.requests)

    @property
    def doubled(self) -> int:
        """Unsafe requests that were worked at more than once."""
        return _count(request.doubled for request in self.requests)

    @property
    def p50(self) -> float | None:
        """Seconds within which half of the answered requests were; `None` if none was."""
        return quantile(self.requests, 0.5)

    @property
    def p99(self) -> float | None:
        """Seconds within which 99 of 100 answered requests were; `None` if none was."""
        return quantile(self.requests, 0.99)

    @property
    def failures(self) -> list[Request]:
        """The requests that failed."""
        return [request for request in self.requests if request.failed]

    def share(self, backend: str) -> float:
        """A backend's part of the answered requests; 0.0 if none was answered.

        Raises:
            ValueError: If the config has no such backend.
        """
        if backend not in self.cast.names:
            known = ", ".join(self.cast.names)
            raise ValueError(f"no backend {backend!r} in the config; there are {known}")
        labels = [role.label for role in self.cast.meant([backend])]
        return _share(self.requests, labels) or 0.0

    def value(self, expectation: Expectation) -> float | None:
        """What an expectation is about, measured; `None` if there is nothing to be measured."""
        start, end = expectation.start, expectation.end
        requests = [
            request
            for request in self.requests
            if (start is None or request.sent >= start) and (end is None or request.sent < end)
        ]
        labels: list[str] | None = None
        if expectation.backend is not None:
            labels = [role.label for role in self.cast.meant([expectation.backend])]
        match expectation.metric:
            case "share":
                return _share(requests, labels or [])
            case "failure_rate":
                failed = _count(request.failed for request in requests)
                return failed / len(requests) if requests else None
        if labels is not None:
            requests = [request for request in requests if request.backend in labels]
        match expectation.metric:
            case "requests":
                return len(requests)
            case "answered":
                return _count(not request.failed for request in requests)
            case "failed":
                return _count(request.failed for request in requests)
            case "retries":
                return sum(request.retries for request in requests)
            case "doubled":
                return _count(request.doubled for request in requests)
        return quantile(requests, int(expectation.metric[1:]) / 100)


def quantile(requests: Iterable[Request], part: float) -> float | None:
    """Seconds within which that part of the answered requests was; `None` if none was."""
    seconds = sorted(request.seconds for request in requests if not request.failed)
    if not seconds:
        return None
    return seconds[min(int(part * len(seconds)), len(seconds) - 1)]


def _share(requests: Iterable[Request], labels: list[str]) -> float | None:
    served = [request.backend for request in requests if not request.failed]
    return _count(label in labels for label in served) / len(served) if served else None


def _count(these: Iterable[bool]) -> int:
    return sum(these)
