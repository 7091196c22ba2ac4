"""A user's own probe, whose ends all become outcomes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from lbproxy.config.model import Backend, Health
from lbproxy.errors import ConnectFailed
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, said_in
from lbproxy.probe.checks import Check

#: What is told of an end: of a text by others, so many characters.
_LONGEST = 200

#: What a probe may end in: `True`, nothing, or words are a pass, and so is a `dict` that says what
#: an answer of JSON could; `False`, and whatever is raised, is a failure.
Ending = bool | str | dict[str, Any] | None

#: A user's probe, as a plugin's `IProbeMaker` makes it. Whatever it waits for is cancelled when
#: `health.timeout` is over.
OwnProbe = Callable[
    [Backend, Health], Ending | Deferred[Ending] | Coroutine[Deferred[Any], Any, Ending]
]


def own_check(reactor: Any, probe: OwnProbe) -> Check:
    """A probe that a user has written.

    Whether the port accepts is known only of one that passed, and of a connection that failed with
    one of Twisted's errors: else it is taken as reached, so that a backend whose probe is broken
    is still a last resort. Of one that has not ended in time nothing is known, and it is taken as
    not reached.

    Args:
        reactor: Time.
        probe: What they wrote.
    """
    clock = IReactorTime(reactor)

    def check(backend: Backend, health: Health) -> Deferred[ProbeOutcome]:
        began = clock.seconds()
        probing: Deferred[Any] = maybeDeferred(probe, backend, health)
        # Whatever it does when it is cancelled, or later: this one ends at once.
        asking: Deferred[ProbeOutcome] = Deferred(lambda _: probing.cancel())

        def ended(ending: Any) -> None:
            if not asking.called:
                now = clock.seconds()
                gave_up = isinstance(ending, Failure) and ending.check(CancelledError)
                asking.callback(ending if gave_up else _outcome(ending, now - began, now))

        probing.addBoth(ended)
        return asking

    return check


def _outcome(ending: Any, latency: float, now: float) -> ProbeOutcome:
    if isinstance(ending, Failure):
        reached = not ending.check(ConnectError, ConnectFailed)
        return ProbeOutcome(False, latency, _in_words(ending), reached, now)
    if ending is None or ending is True:
        return ProbeOutcome(True, latency, "passed", True, now)
    if ending is False:
        return ProbeOutcome(False, latency, "did not pass", True, now)
    if isinstance(ending, str):
        return ProbeOutcome(True, latency, ending[:_LONGEST], True, now)
    if isinstance(ending, dict):
        said, ignored = said_in(ending)
        detail = "passed" if said == NOTHING else f"passed, says {said}"
        return ProbeOutcome(True, latency, detail, True, now, said, ignored)
    kind = type(ending).__name__
    detail = f"the probe gave {kind}, and not a bool, a str, a dict or None"
    return ProbeOutcome(False, latency, detail, True, now)


def _in_words(failure: Failure) -> str:
    """What was raised: the words of somebody else's program, which may be none."""
    name = failure.type.__name__ if failure.type is not None else "failure"
    return f"{name}: {failure.getErrorMessage()}"[:_LONGEST]
