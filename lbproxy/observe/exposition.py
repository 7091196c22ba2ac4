"""Metrics as text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import add

import attrs

from lbproxy.observe import metrics
from lbproxy.observe.metrics import BOUNDS, TALLIES, Counts, Key

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

#: Decisions after which an attempt was followed by another one.
_RETRIED = frozenset(("retry", "retry_free"))


@attrs.frozen
class Family:
    """A metric, and its values by their labels.

    Attributes:
        name: As it is written.
        kind: `counter`, `gauge` or `histogram`.
        meaning: In words.
        labels: Their names.
        values: By the labels' values; of a histogram the sum, and then the buckets.
    """

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    values: Mapping[Key, float | list[float]]


def render(families: Iterable[Family]) -> str:
    """Write metrics down."""
    return "".join(line for family in families for line in _lines(family))


def counted(counts: Counts) -> list[Family]:
    """The metrics that counting gives."""
    exchange, attempt = ("route", "pool", "backend"), ("pool", "backend")
    requests = list(counts.family(metrics.REQUESTS))
    by_backend = _summed((labels[:3], numbers) for labels, numbers in requests)
    failures = list(counts.family(metrics.FAILURES))
    session = ("listener", "pool", "backend")
    sessions = list(counts.family(metrics.SESSIONS))
    moved = _summed((labels[:3], numbers) for labels, numbers in sessions)
    return [
        Family(
            "lbproxy_requests_total",
            "counter",
            "Exchanges that have ended, by what the client was told and why.",
            (*exchange, "status", "reason"),
            {
                (*labels[:3], _status(labels[3]), labels[4]): numbers[0]
                for labels, numbers in requests
            },
        ),
        Family(
            "lbproxy_bytes_in_total",
            "counter",
            "Bytes of the bodies of requests.",
            exchange,
            {labels: numbers[1] for labels, numbers in by_backend.items()},
        ),
        Family(
            "lbproxy_bytes_out_total",
            "counter",
            "Bytes of the bodies of answers.",
            exchange,
            {labels: numbers[2] for labels, numbers in by_backend.items()},
        ),
        Family(
            "lbproxy_request_seconds",
            "histogram",
            "From the first bytes of a request to the end of its exchange.",
            exchange,
            {labels: numbers[TALLIES:] for labels, numbers in by_backend.items()},
        ),
        Family(
            "lbproxy_first_byte_seconds",
            "histogram",
            "From the choice of a backend to the head of its answer.",
            attempt,
            dict(counts.family(metrics.FIRST_BYTES)),
        ),
        Family(
            "lbproxy_connect_seconds",
            "histogram",
            "Until a new connection to a backend stood.",
            attempt,
            dict(counts.family(metrics.CONNECTS)),
        ),
        Family(
            "lbproxy_attempts_failed_total",
            "counter",
            "Attempts that broke, by what broke them.",
            (*attempt, "reason"),
            _first(_summed((labels[:3], numbers) for labels, numbers in failures)),
        ),
        Family(
            "lbproxy_retries_total",
            "counter",
            "Attempts that broke and were followed by another one.",
            (*attempt, "reason"),
            _first(
                _summed(
                    (labels[:3], numbers) for labels, numbers in failures if labels[3] in _RETRIED
                )
            ),
        ),
        Family(
            "lbproxy_ejections_total",
            "counter",
            "Times that live traffic put a backend out.",
            attempt,
            {labels: numbers[0] for labels, numbers in counts.family(metrics.EJECTIONS)},
        ),
        Family(
            "lbproxy_breaker_opened_total",
            "counter",
            "Times that the breaker of a pool opened, in all workers.",
            ("pool",),
            {labels[:1]: numbers[0] for labels, numbers in counts.family(metrics.BREAKERS)},
        ),
        Family(
            "lbproxy_hedges_total",
            "counter",
            "Attempts made while another one was running, by what came of them.",
            (*attempt, "outcome"),
            _first(dict(counts.family(metrics.HEDGES))),
        ),
        Family(
            "lbproxy_sessions_total",
            "counter",
            "Sessions of TCP mode that have ended, by why.",
            (*session, "reason"),
            _first(dict(sessions)),
        ),
        Family(
            "lbproxy_session_bytes_in_total",
            "counter",
            "Bytes that clients sent in sessions.",
            session,
            {labels: numbers[1] for labels, numbers in moved.items()},
        ),
        Family(
            "lbproxy_session_bytes_out_total",
            "counter",
            "Bytes that backends sent in sessions.",
            session,
            {labels: numbers[2] for labels, numbers in moved.items()},
        ),
    ]


def _summed(series: Iterable[tuple[Key, list[float]]]) -> dict[Key, list[float]]:
    """Series whose labels are the same, as one."""
    sums: dict[Key, list[float]] = {}
    for labels, numbers in series:
        before = sums.get(labels)
        sums[labels] = numbers if before is None else [*map(add, before, numbers)]
    return sums


def _first(series: Mapping[Key, list[float]]) -> dict[Key, float]:
    return {labels: numbers[0] for labels, numbers in series.items()}


def _status(digit: object) -> str:
    """A class of statuses, as `2xx`; nothing if nothing could be said."""
    return f"{digit}xx" if digit else ""


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.meaning}\n# TYPE {family.name} {family.kind}\n"
    for key, value in family.values.items():
        labels = [
            f'{name}="{"" if label is None else str(label).translate(_ESCAPES)}"'
            for name, label in zip(family.labels, key, strict=True)
        ]
        if isinstance(value, list):
            yield from _histogram(family.name, labels, value)
        else:
            yield f"{family.name}{_braces(labels)} {_number(value)}\n"


def _histogram(name: str, labels: list[str], numbers: list[float]) -> Iterator[str]:
    total = 0.0
    for bound, number in zip((*map(str, BOUNDS), "+Inf"), numbers[1:], strict=True):
        total += number
        bucket = _braces([*labels, f'le="{bound}"'])
        yield f"{name}_bucket{bucket} {_number(total)}\n"
    yield f"{name}_sum{_braces(labels)} {numbers[0]!r}\n"
    yield f"{name}_count{_braces(labels)} {_number(total)}\n"


def _braces(labels: list[str]) -> str:
    return f"{{{','.join(labels)}}}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
