"""What a POST to the admin listener asks for, read and checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from lbproxy.config.kinds import YEAR, Wrong, guessed, number, question, text
from lbproxy.config.model import WEIGHTS
from lbproxy.control.overrides import Note
from lbproxy.errors import BadQuestion

#: Bytes of a question: many times what the longest one has.
LIMIT = 16384

#: Characters of an author's name and of a reason.
LONGEST = 200


def _short(value: object) -> str:
    words = text(value)
    if len(words) > LONGEST:
        raise Wrong(f"is longer than {LONGEST} characters")
    return words


def _reason(value: object) -> str:
    return "" if value == "" else _short(value)


def _weight(value: object) -> int | None:
    try:
        return None if value is None else WEIGHTS.read(value)
    except Wrong as error:
        raise Wrong(f"{error}; null is the weight of the config") from None


#: What a question may say, and how each value is read.
Keys = Mapping[str, Callable[[object], Any]]

BASE: Keys = {
    "backend": text,
    "pool": text,
    "author": _short,
    "reason": _reason,
}
RELOAD: Keys = {"author": _short, "reason": _reason}
FOR_A_WHILE: Keys = {**BASE, "for": number("seconds", 0.0, YEAR, above=True).read}
WEIGHT: Keys = {**FOR_A_WHILE, "weight": _weight}

#: What each question must say.
_NEEDED = ("backend", "author", "weight")


@attrs.frozen
class Question:
    """A change that somebody wants.

    Attributes:
        backend: The name of the one that it is about; empty if it is about all.
        pool: Its pool's, if that was told.
        note: Who wants it, why, and for how long.
        weight: The one that it is to have; `None` is that of the config.
    """

    backend: str
    pool: str | None
    note: Note
    weight: int | None = None


def read(request: Any, keys: Keys) -> Question:
    """Read the body of a request.

    Args:
        request: With a JSON object as its body.
        keys: What this may say; one of those above.

    Raises:
        BadQuestion: If it is something else, with what is wrong.
    """
    # Without it a form of any page could post here, and no browser would ask us before.
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadQuestion("the Content-Type of what is posted must be application/json", 415)
    body = request.content.read(LIMIT + 1)
    if len(body) > LIMIT:
        raise BadQuestion(f"the body is longer than {LIMIT} bytes", 413)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadQuestion("the body must be a JSON object")
    said = {key: _value(key, value, keys) for key, value in told.items()}
    for key in _NEEDED:
        if key in keys and key not in said:
            raise BadQuestion(f"{key}: is missing")
    note = Note(said["author"], said.get("reason", ""), said.get("for"))
    return Question(said.get("backend", ""), said.get("pool"), note, said.get("weight"))


def _value(key: str, value: object, keys: Keys) -> Any:
    if key not in keys:
        near = question(guessed(key, keys)) or f"; known are {', '.join(keys)}"
        raise BadQuestion(f"{key[:LONGEST]}: unknown key{near}")
    try:
        return keys[key](value)
    except Wrong as error:
        raise BadQuestion(f"{key}: {error}") from None
