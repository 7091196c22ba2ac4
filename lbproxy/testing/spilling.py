"""Which part of the requests goes to the backups while the first tier cannot bear all."""

from __future__ import annotations

import attrs

#: How far a sum may be off by rounding.
_ROUNDING = 1e-9


@attrs.define
class Keys:
    """What is known of keys, whichever worker saw it.

    Attributes:
        spilled: For each key the least part with which it went to the backups, and the greatest
            one with which it did not.
        before: A key, a backend with its share, and another one that comes behind it.
    """

    spilled: dict[bytes, tuple[float, float]] = attrs.Factory(dict)
    before: set[tuple[bytes, str, float, str, float]] = attrs.Factory(set)


def part_of(first: int, first_of: int, second: int, second_of: int) -> float:
    """The part that goes to the backups: what the first tier cannot bear, if they can.

    Args:
        first: Weight in the first tier that can be chosen.
        first_of: All of its weight.
        second: Weight of backups that can be chosen.
        second_of: All of theirs.
    """
    if 14 * first >= 10 * first_of:
        return 0.0
    bears, helps = 1.4 * first / first_of, min(1.4 * second / second_of, 1.0)
    return 1.0 - bears / min(bears + helps, 1.0)


class Spilling:
    """What has spilled in a pool of a worker.

    Of requests without a key as many spill as all parts come to, but for less than one. One with a
    key always goes to the same tier while the part is the same, and if it spills with one part, it
    does so with each greater one.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys.spilled
        self._least, self._most = 0.0, 0.0  # Of what is due and has not spilled yet.

    def sees(self, key: bytes | None, part: float, spilled: bool | None) -> str:
        """Look at one request; what is wrong with it, or nothing.

        Args:
            key: Its own, if it has one.
            part: What is to spill, above 0.0.
            spilled: Whether it did; `None` if nobody can tell, since one tier has no room.
        """
        if key:
            return "" if spilled is None else self._by_key(key, part, spilled)
        least, most = self._least + part, self._most + part
        if spilled is None:
            self._least, self._most = 0.0, 1.0
            return ""
        if spilled:
            least, most = least - 1.0, most - 1.0
        self._least, self._most = max(least, 0.0), min(most, 1.0)
        if most < -_ROUNDING or least > 1.0 + _ROUNDING:
            self._least, self._most = 0.0, 1.0
            return f"too {'many' if spilled else 'few'} go to the backups, for {part:.1%} are to"
        return ""

    def _by_key(self, key: bytes, part: float, spilled: bool) -> str:
        least, most = self._keys.get(key, (2.0, 0.0))
        if spilled:
            least = min(least, part)
        else:
            most = max(most, part)
        self._keys[key] = least, most
        return f"{key!r} goes to another tier than before" if least < most - _ROUNDING else ""
