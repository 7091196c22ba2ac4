"""Up or down, from the outcomes of probes."""

from __future__ import annotations

import attrs


@attrs.define
class Verdict:
    """A backend's health: up or down, and how far it is from turning.

    The first outcome counts at once: before it nothing was known.

    Attributes:
        rise: Passes in a row that bring a down backend up.
        fall: Failures in a row that take an up backend down.
        up: Whether it is up; a backend of which nothing is known is taken as up.
        known: Whether any probe has ended.
    """

    rise: int
    fall: int
    up: bool = True
    known: bool = attrs.field(default=False, init=False)
    _streak: int = attrs.field(default=0, init=False)

    @property
    def changing(self) -> bool:
        """Whether the last outcomes speak against the verdict, without having turned it yet."""
        return self._streak > 0

    def observe(self, passed: bool) -> bool:
        """Take the outcome of one probe; true if it turned the verdict."""
        if not self.known:
            self.known = True
            turned = self.up is not passed
            self.up = passed
            return turned
        if passed is self.up:
            self._streak = 0
            return False
        self._streak += 1
        if self._streak < (self.rise if passed else self.fall):
            return False
        self.up, self._streak = passed, 0
        return True
