"""How clients behave, what becomes of their requests, and what is wrong with an answer."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lbproxy.testing.plan import Ask
from lbproxy.testing.reading import Head

#: How clients behave.
MANNERS = (
    "keeps",
    "pipelines",
    "uploads",
    "old",
    "old_keeps",
    "slow",
    "leaves",
    "resets",
    "half_closes",
    "leaves_midway",
    "dribbles",
)

#: Those who go before they have got what they asked for.
LEAVERS = frozenset({"leaves", "resets", "half_closes", "leaves_midway"})


@attrs.define
class Result:
    """What became of one request.

    Attributes:
        ask: Which one.
        sent: When it was sent, or began to be.
        ended: When its fate was known; `None` while it is not.
        how: `whole`, `problem` (a document of the balancer's), `cut`, `left` (the client went),
            `poisoned` (a backend had given it to nobody) or `refused`.
        status: Of the answer, if there was one.
        reason: Of a problem document.
        backend: Who answered, by `X-Served-By`.
        hints: Answers of 1xx that came before it, but for `100 Continue`.
    """

    ask: Ask
    sent: float
    ended: float | None = None
    how: str = ""
    status: int = 0
    reason: str = ""
    backend: str = ""
    hints: int = 0


def judge(result: Result, head: Head, got: int, document: bytes, killed: bool) -> Iterator[str]:
    """Is that the answer to what was asked, and all of it? Gives what is wrong.

    Args:
        result: Of the request; it learns how it ended.
        head: Of the answer.
        got: Bytes of its body.
        document: The body, if no backend's name is in the head.
        killed: Whether the process that gave it was killed. Its kernel then ends what it had, which
            looks like an end where there is no other one.
    """
    asked = head.fields.get(b"x-ask")
    ask = result.ask
    if asked == b"0":
        result.how = "poisoned"
    elif ask.local and head.status in (200, 503):
        result.how = "report"
    elif asked is None:
        result.how = "problem"
        result.reason = _reason_in(document)
        if not result.reason and ask.method != "HEAD":
            yield f"got {head.status}, which nobody gave, without a reason"
    else:
        result.how = "whole"
        if asked != b"%d" % ask.number:
            yield f"got the answer to {asked.decode()}"
        size = 0 if ask.method == "HEAD" or head.status == 503 else ask.size
        if head.status == 101:
            result.how = "tunnel" if got == size else "cut"
        elif got < size and killed:
            result.how = "cut"
        elif got != size:
            yield f"got {got} of {size} bytes as if that were all"
    if b"x-request-id" not in head.fields:
        yield "got an answer without a request id"


def _reason_in(document: bytes) -> str:
    """The code in a problem document; empty if it is none."""
    _, _, rest = document.partition(b'"reason": "')
    return rest.partition(b'"')[0].decode()
