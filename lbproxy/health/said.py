"""What a backend says of itself in its answer to a probe, and how far that counts."""

from __future__ import annotations

import json
from typing import Any

import attrs

#: Bytes of a document that are read; one that is longer says nothing.
MOST_BYTES = 8192

#: The greatest numbers that may be said: those of `weight` and `max_in_flight` in the config.
MOST_WEIGHT, MOST_CAPACITY = 1000, 1_000_000

#: The members that are heard: what each has to be, from the least to the most where it counts.
_NUMBERS = {"weight": (0, MOST_WEIGHT), "capacity": (1, MOST_CAPACITY)}


@attrs.frozen
class Said:
    """What a backend says of itself.

    It can ask for less than people have given it, never for more: of each pair the smaller one
    holds. So neither side has to know when the other one spoke.

    Attributes:
        weight: The share that it wants, from 0; `None` is what it is given.
        drain: Whether it wants no new requests.
        capacity: The requests that it wants at a time, from 1; `None` is what it is given.
    """

    weight: int | None = None
    drain: bool = False
    capacity: int | None = None

    def weight_of(self, given: int) -> int:
        """The weight that holds.

        Args:
            given: What the config says, or what somebody has set since.
        """
        if self.drain:
            return 0
        return given if self.weight is None else min(given, self.weight)

    def limit_of(self, given: int, parts: int) -> int:
        """The requests that may be under way in this process.

        Args:
            given: The process's own part of `max_in_flight`.
            parts: Among how many processes the capacity is divided; a part is rounded up, so that
                nobody's is nothing.
        """
        return given if self.capacity is None else min(given, -(-self.capacity // parts))

    def report(self) -> dict[str, Any]:
        """What was said, fit for JSON."""
        said = {"weight": self.weight, "drain": self.drain or None, "capacity": self.capacity}
        return {name: value for name, value in said.items() if value is not None}

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in self.report().items() if name != "drain"]
        return ", ".join(["drain"] * self.drain + words) or "nothing"


#: What a backend says that says nothing.
NOTHING = Said()


def heard(body: bytes) -> tuple[Said, tuple[str, ...]]:
    """Read an answer of JSON.

    Args:
        body: Whatever came, up to a byte more than `MOST_BYTES`.

    Returns:
        What is said, and what of it cannot be heard, in words of which there are only a few,
        whatever came.
    """
    if len(body) > MOST_BYTES:
        return NOTHING, (f"the JSON is longer than {MOST_BYTES} bytes",)
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError):  # ValueError is UnicodeDecodeError and huge numbers too.
        return NOTHING, ("the answer is no JSON, although it says so",)
    if not isinstance(document, dict):
        return NOTHING, ("the JSON is no object",)
    return said_in(document)


def said_in(document: dict[Any, Any]) -> tuple[Said, tuple[str, ...]]:
    """Read an object; members that are none of ours are the backend's own business."""
    said: dict[str, Any] = {}
    wrong = []
    for name, (least, most) in _NUMBERS.items():
        value = document.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            said[name] = value
        elif value is not None:
            wrong.append(f"{name} is no whole number from {least} to {most}")
    drain = document.get("drain")
    if isinstance(drain, bool):
        said["drain"] = drain
    elif drain is not None:
        wrong.append("drain is neither true nor false")
    return Said(**said), tuple(wrong)
