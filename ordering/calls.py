"""A request, as every framework can tell it, and what is read out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from attrs import Factory, frozen

from ordering.model import Fault
from ordering.problems import (
    BadParameter,
    Invalid,
    MalformedBody,
    NotFound,
    WrongContentType,
)

T = TypeVar("T")

BODY_LIMIT = 65536
"""Bytes of a request's body; the largest valid order has less than half of them."""

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@frozen
class Call:
    """A request.

    Attributes:
        method: As it came.
        target: As it came, still percent-encoded: the path and perhaps a query.
        fields: The header fields by their names in lower case.
        body: All of it, but nothing after the byte that follows `BODY_LIMIT`.
        arguments: What the route found in the path, decoded.
    """

    method: str
    target: str
    fields: Mapping[str, str]
    body: bytes = b""
    arguments: Mapping[str, str] = Factory(dict)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def readable(self) -> bool:
        """Whether the path is UTF-8, as all of ours are."""
        try:
            unquote_to_bytes(self.path).decode()
        except UnicodeDecodeError:
            return False
        return True

    @property
    def restaurant_id(self) -> int:
        """Of the restaurant in the path.

        Raises:
            NotFound: If no restaurant could have it.
        """
        text = self.arguments["restaurant_id"]
        if not _ID.fullmatch(text):
            raise NotFound(f"There is no restaurant {text}.")
        return int(text)

    @property
    def key(self) -> str | None:
        """The idempotency key.

        Raises:
            BadParameter: If it is none.
        """
        key = self.fields.get("idempotency-key")
        if key is not None and not _KEY.fullmatch(key):
            raise BadParameter.header(
                "Idempotency-Key", "must be 1 to 255 visible ASCII characters"
            )
        return key

    def parameter(self, name: str) -> str | None:
        """A parameter of the query; those that nobody asks for are ignored.

        Raises:
            BadParameter: If it is there twice.
        """
        query = self.target.partition("?")[2]
        found = [value for key, value in parse_qsl(query, keep_blank_values=True) if key == name]
        if len(found) > 1:
            raise BadParameter.query(name, "is there more than once")
        return found[0] if found else None

    def number(self, name: str, least: int, most: int) -> int | None:
        """A parameter that is a number.

        Raises:
            BadParameter: If it is none, or out of bounds.
        """
        text = self.parameter(name)
        if text is None:
            return None
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if not digits or not least <= int(text) <= most:
            raise BadParameter.query(name, f"must be a number from {least} to {most}")
        return int(text)

    def body_as(self, kind: type[T]) -> T:
        """The body, checked.

        Raises:
            WrongContentType: If it does not claim to be plain JSON.
            MalformedBody: If it is no JSON.
            Invalid: If it does not say what `kind` needs.
        """
        media = self.fields.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise WrongContentType("The body must be application/json.")
        if self.fields.get("content-encoding", "identity").lower() != "identity":
            raise WrongContentType(
                "The body must not be compressed.", fields=[("Accept-Encoding", "identity")]
            )
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.ValidationError as error:
            fault = _fault(str(error))
            raise Invalid(f"{fault.detail} ({fault.pointer}).", [fault]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedBody(f"The body is no JSON: {error}.") from None


def _fault(message: str) -> Fault:
    """What msgspec found, with the place as a JSON pointer (RFC 6901) instead of a JSON path."""
    match = _PLACE.fullmatch(message)
    assert match is not None
    detail = match["what"]
    steps = [name or index for name, index in _STEP.findall(match["path"] or "")]
    if field := _FIELD.match(detail):
        steps.append(field["name"])
    if "matching regex" in detail:
        detail = "Expected text without control characters, and not blank if it is a name"
    escaped = [step.replace("~", "~0").replace("/", "~1") for step in steps]
    return Fault(detail, pointer="#" + "".join(f"/{step}" for step in escaped))
