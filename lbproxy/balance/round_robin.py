"""Round robin, smooth where weights differ: a b a a, not a a a b."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import gcd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C

#: Turns that are remembered at most, to be repeated.
LONGEST = 4096

#: So many turns are made at a time, which takes microseconds, however many candidates there are.
PORTION = 32

#: A turn is due although it seems to be by so much later: that is rounding.
ROUNDING = 1e-9


class RoundRobin:
    """Weighted round robin in which nobody is ever a whole turn ahead of its share, or behind.

    Each candidate gains its share with each choice, and who is chosen pays what all gained: that is
    `current`. A turn is due once its candidate has gained as much as it has paid, and of all turns
    that are due that one is taken whose candidate will have its next one first (Stoica and
    Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995). So two backends of equal weight
    alternate strictly.

    When turns are due is known beforehand, so two heaps hold them, and nobody looks at each
    candidate but when the list is new. With whole shares all stand again as at first after a
    number of choices: while nothing changes these are repeated.
    """

    def __init__(self) -> None:
        self._candidates: Sequence[Any] = ()
        self._turns: list[Any] = []
        self._course: _Course | None = None
        self._place = 0
        self._repeats = False

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        if candidates is not self._candidates:
            self._take_back()
            self._candidates = candidates
            return _first(candidates)  # The list may be for one choice, as that of a retry.
        place = self._place
        if place == len(self._turns):
            place = 0 if self._repeats else self._make()
        self._place = place + 1
        chosen: C = self._turns[place]
        return chosen

    def _make(self) -> int:
        """Make the next turns; the place of the first of them."""
        course, turns = self._course, self._turns
        if course is not None and len(turns) == course.length:
            # Not if some had to catch up from before, when there were others as well.
            self._repeats = course.is_closed()
            if self._repeats:
                return 0
            self._take_back()
            course = None
        if course is None:
            course = self._course = _Course(self._candidates)
            turns = self._turns
        made = len(turns)
        for _ in range(min(PORTION, course.length - made)):
            turns.append(course.next())
        return made

    def _take_back(self) -> None:
        """Let all stand as after the turns that were taken, and not as after those made."""
        if self._course is not None:
            self._course.leave(self._turns[self._place :])
        self._turns, self._course, self._place, self._repeats = [], None, 0, False


class _Course:
    """The turns of one list, from where its candidates stand.

    Attributes:
        length: After so many all may stand as at first; and no more are to be made.
    """

    def __init__(self, candidates: Sequence[Any]) -> None:
        self._candidates = candidates
        self._shares = shares = [each.share for each in candidates]
        self._owed = owed = [each.current for each in candidates]
        self._before = owed[:]
        self._total = total = sum(shares)
        self._made = 0
        # With others in the list than before, all may have gained more than they have paid.
        self._late = late = ROUNDING - sum(owed) / total
        self._ready: list[tuple[float, int]] = []
        self._waiting: list[tuple[float, int]] = []
        for place, share in enumerate(shares):
            begin = -owed[place] / share
            if begin <= late:
                self._ready.append(((total - owed[place]) / share, place))
            else:
                self._waiting.append((begin, place))
        heapify(self._ready)
        heapify(self._waiting)
        self.length = LONGEST
        if all(share.is_integer() for share in shares):
            self.length = min(LONGEST, int(total) // gcd(*map(int, shares)))

    def next(self) -> Any:
        """Make a turn; whose it is."""
        waiting, ready, owed, shares = self._waiting, self._ready, self._owed, self._shares
        due = self._made + self._late
        while waiting and (waiting[0][0] <= due or not ready):
            place = heappop(waiting)[1]
            heappush(ready, ((self._total - owed[place]) / shares[place], place))
        place = heappop(ready)[1]
        owed[place] -= self._total
        heappush(waiting, (-owed[place] / shares[place], place))
        self._made += 1
        return self._candidates[place]

    def is_closed(self) -> bool:
        """Whether all stand as at first."""
        made, before = self._made, self._before
        return before == [
            owed + made * share for owed, share in zip(self._owed, self._shares, strict=True)
        ]

    def leave(self, rest: Sequence[Any]) -> None:
        """Let the candidates know where they stand, without the turns that were not taken."""
        unpaid = Counter(rest)
        taken = self._made - len(rest)
        known = zip(self._candidates, self._shares, self._owed, self._before, strict=True)
        for each, share, owed, before in known:
            each.current += owed - before + taken * share + unpaid[each] * self._total


def _first(candidates: Sequence[C]) -> C:
    """Make a single turn, as a `_Course` would."""
    total = owed = 0.0
    for each in candidates:
        total += each.share
        owed += each.current
    late = ROUNDING - owed / total
    chosen, least = candidates[0], float("inf")
    for each in candidates:
        share, current = each.share, each.current
        if -current / share <= late and (total - current) / share < least:
            chosen, least = each, (total - current) / share
        each.current = current + share
    chosen.current -= total
    return chosen
