"""Whether what was seen of one thing could have happened in some order, one after the other.

The search of Wing and Gong: of what has not happened yet, something that began before any of the
rest ended comes next; if what follows does not fit, something else is tried. What was tried in vain
once is not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs


@attrs.frozen
class Act:
    """Something that somebody did, and what he saw of it.

    Attributes:
        begin: Not before then it happened.
        end: Nor after; `inf` if nobody knows when, or whether at all.
        apply: Given a state, those that may follow it; none if this cannot have been seen in it.
        certain: Whether it has happened.
    """

    begin: float
    end: float
    apply: Callable[[str], Iterable[str]]
    certain: bool = True


def linear(acts: Sequence[Act], begin: str) -> bool:
    """Whether all that is certain fits some order, with or without the rest.

    Args:
        acts: Of one thing.
        begin: Its state before any of them.
    """
    return _fits(tuple(sorted(acts, key=lambda act: act.begin)), begin, set())


def _fits(left: tuple[Act, ...], state: str, vain: set[tuple[frozenset[int], str]]) -> bool:
    if not any(act.certain for act in left):
        return True
    known = frozenset(map(id, left)), state
    if known in vain:
        return False
    first_end = min(act.end for act in left)
    for place, act in enumerate(left):
        if act.begin > first_end:
            break
        rest = left[:place] + left[place + 1 :]
        if any(_fits(rest, following, vain) for following in act.apply(state)):
            return True
    vain.add(known)
    return False
