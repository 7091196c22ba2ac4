"""Requests that break the backends that get them."""

from __future__ import annotations

from collections import deque

import attrs

from lbproxy.http1.message import NONE, RequestHead

#: Backends that must have broken for a request to be to blame: one has died by chance.
TWO = 2

#: Seconds between the first and the second break, at most. A retry follows at once and a client's
#: own soon, while backends that are restarted one after the other, each under a request that waits
#: for long and always asks for the same, are further apart.
WITHIN = 10.0

#: Requests that a backend broke within `MOMENT` seconds for which none is to blame, equal ones
#: too: a process that is killed takes all with it that it had.
CROWD, MOMENT = 3, 1.0

#: Seconds for which a request to blame is refused. Long enough that a backend can be started again
#: and a person notices; short enough that a mistaken judgement is soon forgotten.
REFUSED = 30.0

#: Breaks, and requests to blame, that are remembered at most: looking through them takes some ten
#: microseconds, and a break that is older than so many others is no evidence.
REMEMBERED = 256


def identity(asked: str, head: RequestHead, peer: bytes) -> str:
    """What makes two requests the same one, sent again.

    Method, authority and target, and its `Idempotency-Key`. What a body would tell is not known
    before it has come, so with a body it is the length of that, and the client's address: then
    one client's request is refused, and not what all others send to the same place.

    Args:
        asked: Method, authority and target, as the access log has them.
        head: The request's head.
        peer: The client's address.
    """
    keys = head.values.get(b"idempotency-key", [])
    if head.framing is NONE:
        return f"{asked} {keys}"
    return f"{asked} {keys} {head.framing.value} {head.length} {peer!r}"


@attrs.frozen
class _Break:
    """A backend has closed or reset a connection while it had a request."""

    at: float
    who: str
    backend: str


class Suspects:
    """The requests of a pool during which backends broke.

    A request is to blame when `TWO` different backends broke while they had it, in one exchange or
    in several, within `WITHIN` seconds and with no good answer to it in between: then it is refused
    for `REFUSED` seconds. A break is a connection lost after the request was sent and before any
    answer. That of a kept-alive connection that has said nothing, which looks like the keep-alive
    race, is one only if the next attempt of its exchange breaks as well; and none is one that
    `CROWD` requests at one backend shared: so a busy backend that is killed blames nobody, and a
    poison that always comes in a crowd is not refused.

    A good answer clears a request, whoever asked and whoever answered: what all ask for is mostly
    under way when a backend dies, and by the next death it has been answered many times. What only
    looks like it, and breaks backends by a field that others do not send, is cleared with it; so
    it is for each exchange to see that it goes to no third backend after two that broke.

    Attributes:
        suspected: When each backend broke last while it had a request that has not been answered
            since, by the request's identity; those first whose last break is the oldest.
        refused: Until when requests to blame are refused, by identity, in the clock's seconds.
    """

    __slots__ = ("_breaks", "refused", "suspected")

    def __init__(self) -> None:
        self._breaks: deque[_Break] = deque(maxlen=REMEMBERED)
        self.suspected: dict[str, dict[str, float]] = {}
        self.refused: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self.suspected or self.refused)

    def broke(self, who: str, backend: str, now: float) -> bool:
        """A backend broke; true if the request is to blame.

        Args:
            who: The request, as `identity` has it.
            backend: The backend's name.
            now: The present time, in the clock's seconds.
        """
        self.forget(now)
        self._breaks.append(_Break(now, who, backend))
        struck = self.suspected.pop(who, {})
        struck[backend] = now
        self.suspected[who] = struck
        if len(self.suspected) > REMEMBERED:
            del self.suspected[next(iter(self.suspected))]
        if self.refused and self._crowded(backend, now):
            self._let_go(backend, now)
        if not self._to_blame(who, now):
            return False
        if len(self.refused) < REMEMBERED:
            self.refused[who] = now + REFUSED
        return True

    def answered(self, who: str) -> None:
        """A request has been answered well: the backends that broke before did so by chance."""
        self.suspected.pop(who, None)
        self.refused.pop(who, None)

    def refuses(self, who: str, now: float) -> float:
        """Seconds for which a request is still refused; 0.0 if it is not."""
        return max(0.0, self.refused.get(who, 0.0) - now)

    def forget(self, now: float) -> None:
        """Forget breaks that are no evidence any more, and refusals that are over."""
        breaks, suspected, oldest = self._breaks, self.suspected, now - WITHIN
        while breaks and breaks[0].at < oldest:
            breaks.popleft()
        while suspected:
            who = next(iter(suspected))
            if max(suspected[who].values()) >= oldest:
                break
            del suspected[who]
        for who in [who for who, until in self.refused.items() if until <= now]:
            del self.refused[who]

    def _let_go(self, backend: str, now: float) -> None:
        """Refuse none of a crowd: of the first ones nobody could know that more would follow."""
        crowd = {
            each.who for each in self._breaks if each.backend == backend and now - each.at <= MOMENT
        }
        for who in crowd & self.refused.keys():
            if not self._to_blame(who, now):
                del self.refused[who]

    def _to_blame(self, who: str, now: float) -> bool:
        struck = self.suspected.get(who, {})
        alone = [
            backend
            for backend, at in struck.items()
            if at >= now - WITHIN and not self._crowded(backend, at)
        ]
        return len(alone) >= TWO

    def _crowded(self, backend: str, at: float) -> bool:
        """Whether a break took so many requests that none of them is to blame."""
        together = sum(
            each.backend == backend and abs(each.at - at) <= MOMENT for each in self._breaks
        )
        return together >= CROWD
