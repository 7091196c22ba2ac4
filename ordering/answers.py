"""An answer, as every framework can send it."""

from __future__ import annotations

import msgspec
from attrs import frozen
from msgspec import UNSET, Struct

from ordering.calls import Call
from ordering.model import ProblemDocument
from ordering.problems import Problem


@frozen
class Answer:
    """A status, header fields (`Content-Length` among them) and a body."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes


def answer(status: int, value: Struct, *fields: tuple[str, str]) -> Answer:
    """Tell a result."""
    return encoded(status, msgspec.json.encode(value) + b"\n", *fields)


def encoded(
    status: int, body: bytes, *fields: tuple[str, str], media: str = "application/json"
) -> Answer:
    """Tell what is written already."""
    own = (
        ("Content-Type", media),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    )
    return Answer(status, (*own, *fields), body)


def refusal(problem: Problem, call: Call) -> Answer:
    """Tell a problem, by RFC 9457."""
    document = ProblemDocument(
        type=f"/problems/{problem.reason.replace('_', '-')}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        reason=problem.reason,
        instance=call.path,
        errors=problem.errors or UNSET,
        request_id=call.fields.get("x-request-id") or UNSET,
    )
    body = msgspec.json.encode(document) + b"\n"
    return encoded(problem.status, body, *problem.fields, media="application/problem+json")
