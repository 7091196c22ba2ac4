"""A user's own policy, which may do anything: some candidate is chosen nevertheless."""

from __future__ import annotations

import random
import reprlib
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lbproxy.balance.two_choices import TwoChoices
from lbproxy.health.words import one_line
from lbproxy.seldom import Seldom, since

if TYPE_CHECKING:
    from lbproxy.balance.balancer import C, Candidate

#: Seconds from one complaint about a method to the next: it may fail with each request.
QUIET = 60.0

#: Of what was raised, so many characters are told.
_LONGEST = 200


class OwnBalancer:
    """A policy that a user has written; where it fails, two choices choose.

    So a fault in it costs nobody an answer. It is told in words, now and then.

    Attributes:
        observe: Only if the policy has one; so is `forget`.
    """

    def __init__(
        self, name: str, policy: Any, chance: random.Random, complain: Callable[[str], None]
    ) -> None:
        """Take a policy.

        Args:
            name: How complaints begin.
            policy: What they wrote.
            chance: Lots are drawn from it where the policy fails.
            complain: Hears what is wrong with it.
        """
        self._name = name
        self._policy = policy
        self._two = TwoChoices(chance)
        self._complain = complain
        self._candidates: Sequence[Any] = ()
        self._shown: Sequence[Any] = ()
        self._known: frozenset[int] = frozenset()
        self._told: defaultdict[str, Seldom] = defaultdict(lambda: Seldom(QUIET))
        if hasattr(policy, "observe"):
            self.observe = self._observe
        if hasattr(policy, "forget"):
            self.forget = self._forget

    def choose(self, candidates: Sequence[C], now: float, key: bytes | None) -> C:
        """The next one."""
        if candidates is not self._candidates:
            self._candidates = candidates
            self._shown = tuple(candidates)  # The pool's own list is not theirs to change.
            self._known = frozenset(map(id, candidates))
        try:
            chosen: C = self._policy.choose(self._shown, now, key)
        except Exception as error:
            wrong = f"raised {_in_words(error)}"
        else:
            # By identity, since what they return may be equal to anything.
            if id(chosen) in self._known:
                return chosen
            wrong = f"returned {reprlib.repr(chosen)}, which is none of its candidates"
        self._blame("choose", f"{wrong}; two_choices chose instead", now)
        return self._two.choose(candidates, now, key)

    # The rest is ours.

    def _observe(self, candidate: Candidate, seconds: float, failed: bool, now: float) -> None:
        try:
            self._policy.observe(candidate, seconds, failed, now)
        except Exception as error:
            self._blame("observe", f"raised {_in_words(error)}", now)

    def _forget(self, candidate: Candidate) -> None:
        try:
            self._policy.forget(candidate)
        except Exception as error:
            self._tell(f"forget raised {_in_words(error)}")

    def _blame(self, method: str, what: str, now: float) -> None:
        """Complain, unless that was done a moment ago."""
        untold = self._told[method].tell(now)
        if untold is not None:
            self._tell(f"{method} {what}{since(untold)}")

    def _tell(self, what: str) -> None:
        self._complain(one_line(f"{self._name}: {what}"))


def _in_words(error: Exception) -> str:
    """What was raised, and where: the words of somebody else's program, which may be none."""
    words = "".join(traceback.format_exception_only(error)).strip()[:_LONGEST]
    inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
    if inner is None:  # It could not even be called.
        return words
    return f"{words} ({inner.tb_frame.f_code.co_filename}, line {inner.tb_lineno})"
