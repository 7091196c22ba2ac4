"""A result in words, and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbproxy.observe.accesslog import Attempt
from lbproxy.testing.scenario.expectation import Expectation
from lbproxy.testing.scenario.requests import Request
from lbproxy.testing.scenario.result import Result, quantile
from lbproxy.testing.scenario.terminal import Ink, drawn

#: Failed requests of one kind that are told in full.
EXAMPLES = 2

#: Requests that were doubled, and faults of the balancer, that are told.
ENOUGH = 5


def report(result: Result, width: int, ink: Ink) -> Iterator[str]:
    """A result for people.

    Args:
        result: It.
        width: Columns of the terminal.
        ink: What the timeline is drawn with.

    Yields:
        Lines.
    """
    scenario = result.scenario
    yield (
        f"{result.scenario_file} with {result.config_file}: "
        f"{scenario.duration:g} virtual seconds, seed {scenario.seed}"
    )
    for note in result.notes:
        yield f"note: {note}"
    yield ""
    yield from _numbers(result)
    yield ""
    yield from drawn(result, width, ink)
    yield ""
    yield from _failures(result)
    yield from _doubled(result)
    for wrong in result.wrongs[:ENOUGH]:
        yield f"WRONG   {wrong}"
    longest = max((len(judged.expectation.text) for judged in result.judged), default=0)
    for judged in result.judged:
        verdict = "holds" if judged.holds else "FAILS"
        value = _shown(judged.expectation, judged.value)
        yield f"{verdict}   {judged.expectation.text:<{longest}}   {value}"
    yield ""
    yield "as expected" if result.ok else "NOT as expected"


def document(result: Result) -> dict[str, Any]:
    """A result for programs, as JSON has it."""
    return {
        "scenario": result.scenario_file,
        "config": result.config_file,
        "seed": result.scenario.seed,
        "seconds": result.scenario.duration,
        "ok": result.ok,
        "requests": len(result.requests),
        "answered": result.answered,
        "failed": result.failed,
        "retries": result.retries,
        "doubled": result.doubled,
        "p50": result.p50,
        "p99": result.p99,
        "share": {role.label: result.share(_name(role.names)) for role in result.cast.roles},
        "expectations": [
            {"text": each.expectation.text, "value": each.value, "holds": each.holds}
            for each in result.judged
        ],
        "events": [{"at": act.at, "event": act.text} for act in result.acts],
        "states": [
            {"at": turn.at, "backend": turn.backend, "state": turn.state} for turn in result.turns
        ],
        "failures": [_failure(request) for request in result.failures],
        "notes": list(result.notes),
        "wrong": list(result.wrongs),
    }


def _name(names: frozenset[str]) -> str:
    return min(names)


def _numbers(result: Result) -> Iterator[str]:
    p50, p99 = _seconds(result.p50), _seconds(result.p99)
    yield f"requests  {len(result.requests):7}"
    yield f"answered  {result.answered:7}   p50 {p50}, p99 {p99}"
    yield f"failed    {result.failed:7}"
    yield f"retries   {result.retries:7}"
    yield f"doubled   {result.doubled:7}"
    for role in result.cast.roles:
        served = [each for each in result.requests if each.backend == role.label]
        answered = sum(not each.failed for each in served)
        p50, p99 = _seconds(quantile(served, 0.5)), _seconds(quantile(served, 0.99))
        share = f"{result.share(_name(role.names)):.0%}"
        yield f"{role.label:<9} {answered:7}   p50 {p50}, p99 {p99}   {share} of the answers"


def _failures(result: Result) -> Iterator[str]:
    """Those that failed, by reason: the most frequent ones first."""
    kinds: dict[tuple[int, str, str], list[Request]] = {}
    for request in result.failures:
        kinds.setdefault((request.status, request.reason, _by_whom(request)), []).append(request)
    for (status, reason, whom), requests in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        first, last = requests[0].sent, requests[-1].sent
        when = f"at {first:.3f} s" if len(requests) == 1 else f"from {first:.3f} s to {last:.3f} s"
        code = f"{status} {reason}" if status and not reason.startswith("status_") else reason
        yield f"{len(requests)} failed: {code}, {whom}, {when}"
        for request in requests[:EXAMPLES]:
            yield from _told(request)
    if kinds:
        yield ""


def _told(request: Request) -> Iterator[str]:
    """One request, with each attempt."""
    yield (
        f"    {request.sent:.3f} s  {request.method} {request.target}, "
        f"after {_seconds(request.seconds)}"
    )
    for number, attempt in enumerate(request.attempts, 1):
        yield f"        attempt {number} at {attempt.backend}: {_attempt(attempt)}"
    if not request.attempts:
        yield "        no backend was tried"


def _attempt(attempt: Attempt) -> str:
    words = [attempt.outcome or "not over"]
    if attempt.stage is not None:
        words.append(f"stage {attempt.stage}")
    if attempt.decision:
        words.append(f"then {attempt.decision}")
    if attempt.detail:
        words.append(f'"{attempt.detail}"')
    return ", ".join(words)


def _by_whom(request: Request) -> str:
    match request.how:
        case "answered":
            return f"answered by {request.backend}"
        case "told":
            return "told by the balancer"
        case "cut":
            return "the balancer closed the connection"
        case "refused":
            return "the balancer refused the connection"
        case "gave_up":
            return "the client gave up"
    return "never ended"


def _doubled(result: Result) -> Iterator[str]:
    doubled = [request for request in result.requests if request.doubled]
    for request in doubled[:ENOUGH]:
        whom = ", then ".join(request.worked)
        yield f"doubled: {request.sent:.3f} s  {request.method} {request.target} at {whom}"
    if len(doubled) > ENOUGH:
        yield f"and {len(doubled) - ENOUGH} more were doubled"


def _failure(request: Request) -> dict[str, Any]:
    return {
        "at": request.sent,
        "method": request.method,
        "target": request.target,
        "status": request.status,
        "reason": request.reason,
        "how": _by_whom(request),
        "seconds": request.seconds,
        "attempts": [
            {
                "backend": attempt.backend,
                "outcome": attempt.outcome,
                "stage": attempt.stage,
                "decision": attempt.decision,
            }
            for attempt in request.attempts
        ],
    }


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "none"
    return f"{seconds * 1000:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"


def _shown(expectation: Expectation, value: float | None) -> str:
    if value is None:
        return "nothing to be measured"
    if expectation.metric in ("share", "failure_rate"):
        return f"{value:.1%}"
    return _seconds(value) if expectation.metric.startswith("p") else f"{value:g}"
