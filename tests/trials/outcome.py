"""How a trial ended."""

from __future__ import annotations

from attrs import frozen


@frozen
class Outcome:
    """What is told of a trial.

    Attributes:
        told: What was done, with numbers.
        faults: What should not have been; empty if it was passed.
    """

    told: str
    faults: list[str]

    @property
    def verdict(self) -> str:
        """All of it in a few lines."""
        lines = [f"{'FAILED' if self.faults else 'passed'}: {self.told}"]
        return "\n".join([*lines, *(f"  {fault}" for fault in self.faults)])


def fault(what: str, found: list[str]) -> list[str]:
    """At most one line of a kind: how many there were, and some of them."""
    return [f"{len(found)} {what}: {'; '.join(found[:3])}"] if found else []
