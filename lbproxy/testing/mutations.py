"""All mistakes that the simulator has to find."""

from __future__ import annotations

from lbproxy.testing.mistakes import (
    balancing,
    breaking,
    carrying,
    changing,
    choosing,
    ejecting,
    ending,
    hearing,
    naming,
    parting,
    reloading,
    repeating,
    rolling,
    staffing,
    succeeding,
    waiting,
)
from lbproxy.testing.mistakes.registry import MUTATIONS, mutated

__all__ = [
    "MUTATIONS",
    "balancing",
    "breaking",
    "carrying",
    "changing",
    "choosing",
    "ejecting",
    "ending",
    "hearing",
    "mutated",
    "naming",
    "parting",
    "reloading",
    "repeating",
    "rolling",
    "staffing",
    "succeeding",
    "waiting",
]
