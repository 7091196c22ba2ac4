"""By which rule each policy chooses, in other words than its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproxy.balance.backend import Backend
from lbproxy.config import model
from lbproxy.testing.loads import Latencies, Slow
from lbproxy.testing.spilling import Keys

#: How far a number may be off by rounding.
_ROUNDING = 1e-7


class Rule:
    """Whom a policy has to choose: of two choices, and of what has no other rule."""

    def judge(
        self, candidates: Sequence[Backend], chosen: Backend, now: float, key: bytes | None
    ) -> str:
        """What is wrong with a choice, or nothing: of more than one never the worst is taken.

        Args:
            candidates: Those that could be chosen.
            chosen: Who was.
            now: The present time.
            key: Of the request, if it has one.
        """
        load, share = chosen.in_flight, chosen.share
        for each in candidates:
            if each is not chosen and load * each.share <= each.in_flight * share:
                return ""
        return "is fuller than each other one" if len(candidates) > 1 and load else ""

    def observe(self, backend: Backend, seconds: float, failed: bool, now: float) -> None:
        """The policy has heard how an attempt ended."""

    def forget(self, backend: Backend) -> None:
        """A backend has left."""

    def forgive(self, backend: Backend) -> None:
        """A backend has come back, and nothing that was before counts against it."""


class _RoundRobin(Rule):
    """Each in turn.

    All gain their share with a choice, and who is chosen pays for all. Somebody is due who has
    gained as much as all have on average; of those it is who will be due again first.
    """

    def __init__(self) -> None:
        self._gained: dict[Backend, float] = {}
        self._seen: Sequence[Backend] = ()

    def judge(
        self, candidates: Sequence[Backend], chosen: Backend, now: float, key: bytes | None
    ) -> str:
        gained, total = self._gained, 0.0
        for each in candidates:
            total += each.share
        for each in candidates:
            if each not in gained:
                if candidates is self._seen:  # What it stands at can be read with the next ones.
                    gained.clear()
                    return ""
                gained[each] = each.current - each.share + (total if each is chosen else 0.0)
        self._seen = candidates
        late = -sum([gained[each] for each in candidates]) / total
        mine = (total - gained[chosen]) / chosen.share - _ROUNDING
        wrong = ""
        if -gained[chosen] / chosen.share > late + 2e-9:
            wrong = "its turn has not come"
        for each in candidates:
            stands, share = gained[each], each.share
            if (total - stands) / share < mine and -stands / share <= late + 5e-10:
                wrong = f"it was the turn of {each.name}"
            gained[each] = stands + share
        gained[chosen] -= total
        return wrong

    def forgive(self, backend: Backend) -> None:
        self._gained.pop(backend, None)


class _LeastLoaded(Rule):
    """Nobody is less loaded, where what is under way at a slow one counts for more."""

    def __init__(self) -> None:
        self._slow = Slow()
        self.observe, self.forget = self._slow.hear, self._slow.forget  # type: ignore[method-assign]

    def judge(
        self, candidates: Sequence[Backend], chosen: Backend, now: float, key: bytes | None
    ) -> str:
        slow = self._slow
        slow.settle(now)
        times = slow.times
        load = ((chosen.in_flight + 1) * times.get(chosen, 1.0) - 1.0) / chosen.share
        load -= _ROUNDING * (1.0 + load)
        if load > 0.0:
            for each in candidates:
                if ((each.in_flight + 1) * times.get(each, 1.0) - 1.0) / each.share < load:
                    return f"{each.name} is less loaded"
        return ""


class _PeakEwma(Rule):
    """Of more than one it is never who costs the most, by latency and queue."""

    def __init__(self, decay: float) -> None:
        self._latencies = Latencies(decay)
        self.observe = self._latencies.hear  # type: ignore[method-assign]
        self.forget = self._latencies.forget  # type: ignore[method-assign]

    def judge(
        self, candidates: Sequence[Backend], chosen: Backend, now: float, key: bytes | None
    ) -> str:
        if len(candidates) == 1:
            return ""
        latencies, total = self._latencies, 0.0
        latencies.settle(now)
        for each in candidates:
            total += each.share
        mean = total / len(candidates)

        def cost(backend: Backend) -> float:
            queue = 1.0 + backend.in_flight * mean / backend.share
            return latencies.of(backend, now) ** 2 * queue

        least = cost(chosen) * (1.0 - _ROUNDING)
        for each in candidates:
            if each is not chosen and cost(each) >= least:
                return ""
        return "costs more than each other one"


class _ConsistentHash(Rule):
    """The first one in the key's order that has less than what it may have of all.

    What that order is, its choices show: who is before whom hangs on the key, and on the two names
    and shares alone.
    """

    #: With so many candidates the sum of what is in flight is not found anew with each choice.
    _INEXACT = 16

    def __init__(self, factor: float, keys: Keys) -> None:
        self._factor = factor
        self._before = keys.before

    def judge(
        self, candidates: Sequence[Backend], chosen: Backend, now: float, key: bytes | None
    ) -> str:
        if not key:
            return super().judge(candidates, chosen, now, key)
        if len(candidates) >= self._INEXACT:
            return ""
        shares, flights = 0.0, 1
        for each in candidates:
            shares += each.share
            flights += each.in_flight
        most = self._factor * flights / shares
        if chosen.in_flight > most * chosen.share + _ROUNDING:
            return f"has {chosen.in_flight} of the {flights} in flight"
        before, wrong = self._before, ""
        name, share = chosen.name, chosen.share
        for each in candidates:
            if each is chosen or each.in_flight > most * each.share - _ROUNDING:
                continue
            if (key, each.name, each.share, name, share) in before:
                wrong = f"{each.name} comes before it for {key!r}"
            before.add((key, name, share, each.name, each.share))
        return wrong


def rule_for(config: model.Pool, keys: Keys) -> Rule:
    """What the policy of a pool has to keep to.

    Args:
        config: Of the pool.
        keys: What is known of keys.
    """
    rules: dict[str, Callable[[], Rule]] = {
        "round_robin": _RoundRobin,
        "least_loaded": _LeastLoaded,
        "peak_ewma": lambda: _PeakEwma(config.decay),
    }
    if config.balancer == "consistent_hash":
        assert config.hash_key is not None
        return _ConsistentHash(config.hash_key.load_factor, keys)
    return rules.get(config.balancer, Rule)()
