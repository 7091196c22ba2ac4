"""All mistakes that the simulator has to find."""

from __future__ import annotations

from lbproxy.testing.mistakes import (
    carrying,
    changing,
    choosing,
    ending,
    parting,
    reloading,
    repeating,
    staffing,
)
from lbproxy.testing.mistakes.registry import MUTATIONS, mutated

__all__ = [
    "MUTATIONS",
    "carrying",
    "changing",
    "choosing",
    "ending",
    "mutated",
    "parting",
    "reloading",
    "repeating",
    "staffing",
]
