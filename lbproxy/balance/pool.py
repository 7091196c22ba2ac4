"""A pool and its backends: who may be chosen, by all that is known of their health."""

from __future__ import annotations

import sys
from collections.abc import Callable, Set
from math import inf
from typing import Any, cast

from lbproxy.balance.backend import AVAILABLE, Backend, unknown_backend
from lbproxy.balance.balancer import Balancer, Observer
from lbproxy.balance.standing import Standing, State
from lbproxy.balance.tiers import Tiers
from lbproxy.config import model
from lbproxy.errors import ConnectFailed, ReusedConnectionClosed, Stage, UpstreamError
from lbproxy.health.alike import Alike, Symptom
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import NOTHING, Said
from lbproxy.health.slow_start import share
from lbproxy.health.verdict import Verdict

#: Answers that say that a backend, or what stands behind it, cannot serve.
GATEWAY_STATUSES = frozenset({502, 503, 504})

#: Those and 500, which puts nobody out, since it may be the request's fault; but if all answer
#: with it, what they share is at fault.
_ILL = frozenset({500}) | GATEWAY_STATUSES

#: How far an attempt got says how its backend failed.
_SYMPTOMS = {
    Stage.NOTHING_SENT: Symptom.UNREACHABLE,
    Stage.SENT: Symptom.BROKEN,
    Stage.TIMED_OUT: Symptom.SILENT,
    Stage.GATEWAY_STATUS: Symptom.ILL,
    Stage.ANSWERED: Symptom.BROKEN,
}

#: The share of a backend that starts slowly grows in so many steps, not with each choice: what a
#: policy has worked out of the shares holds that long.
STEPS = 100


class Pool:
    """A named group of backends, any of which can answer.

    Attributes:
        config: As in `[pools.NAME]`.
        backends: In the order of the config.
        degraded: Whether the last choice fell on a backend although none counts as healthy.
        breaker: The state of its breaker, in a word for people; empty if it has none.
        timed: Whether `took` is to be told how long attempts take.
        on_suspect: Called with a backend that refused a connection of live traffic.
        on_outlier: Called with a backend that live traffic speaks against, and the time. At first
            that is `eject`; where another process judges, it is told instead.
        on_probe: Called with a backend whose probe has ended.
        on_turn: Called with a backend whose state has changed, and why.
        on_weigh: Called with a backend that has another weight.
        on_said: Called with a backend that says something else of itself than before.
        on_reached: Called with a backend whose port accepts connections again.
    """

    def __init__(self, config: model.Pool, balancer: Balancer, now: float, parts: int = 1) -> None:
        """Build from a config; nothing is known of the backends yet.

        Args:
            config: As in `[pools.NAME]`.
            balancer: The policy.
            now: The present time, in the clock's seconds.
            parts: Among how many processes the capacities that backends tell are divided; the
                config is divided already.
        """
        self.config = config
        self.backends = [unknown_backend(config, each, now) for each in config.backends]
        self._parts = parts
        self.degraded = False
        self.breaker = ""
        self._settle_at = inf
        self._full = 0
        self._roomy: dict[bool, list[Backend]] = {}
        self._tiers = Tiers(self.backends)
        self._unsorted = False
        self._alike = Alike()
        self._alike_elsewhere = ""
        self.on_suspect: Callable[[Backend], None] | None = None
        self.on_outlier: Callable[[Backend, float], None] = self.eject
        self.on_probe: Callable[[Backend], None] | None = None
        self.on_turn: Callable[[Backend, str], None] | None = None
        self.on_weigh: Callable[[Backend], None] | None = None
        self.on_said: Callable[[Backend], None] | None = None
        self.on_reached: Callable[[Backend], None] | None = None
        self._balancer = balancer
        self.timed = hasattr(balancer, "observe")

    @property
    def name(self) -> str:
        """As in `[pools.NAME]`."""
        return self.config.name

    # The path of each attempt.

    def choose(self, tried: Set[Backend], now: float, key: bytes | None = None) -> Backend | None:
        """The backend for the next attempt, or `None`.

        Backups get what the first tier cannot bear (`tiers.spill`), and what it has no room for.
        If no backend of the pool counts as healthy, those whose port accepts get one attempt.

        Args:
            tried: Those that this request is not to be sent to again.
            now: The present time, in the clock's seconds.
            key: What the pool's `hash` names of the request, if anything.
        """
        if now >= self._settle_at:
            self._settle(now)
        self.degraded = False
        tiers = self._tiers
        room = tiers.first
        if tiers.spill and tiers.spills(key):
            room = tiers.second
        if tried or self._full:
            room = self._with_room(room, tried)
        if not room:
            room = self._last_resort(tried)
        return self._balancer.choose(room, now, key) if room else None

    def settle(self, now: float) -> None:
        """Let those back whose time out is over, as a choice does first."""
        if now >= self._settle_at:
            self._settle(now)

    def acquire(self, backend: Backend) -> None:
        """An attempt begins."""
        backend.in_flight += 1
        if backend.in_flight == backend.limit:
            self._full += 1
            self._roomy.clear()

    def release(self, backend: Backend) -> None:
        """An attempt is over."""
        if backend.in_flight == backend.limit:
            self._full -= 1
            self._roomy.clear()
        backend.in_flight -= 1

    def saturated(self, tried: Set[Backend]) -> bool:
        """Whether a backend would be chosen if they had less to do, and none is now."""
        fitting = [
            backend for backend in self.backends if backend.available and backend not in tried
        ]
        return bool(fitting) and all(backend.in_flight >= backend.limit for backend in fitting)

    def has_other(self, tried: Set[Backend], backend: Backend) -> bool:
        """Whether there is another backend to try."""
        return any(
            other is not backend and other.available and other not in tried
            for other in self.backends
        )

    def drained(self) -> bool:
        """Whether a backend could answer that is drained."""
        return any(each.draining and each.state in AVAILABLE for each in self.backends)

    def find(self, name: str) -> Backend | None:
        """The backend of a name, if there is one."""
        return next((each for each in self.backends if each.name == name), None)

    # What is changed.

    def reconfigure(
        self, config: model.Pool, balancer: Balancer | None, now: float
    ) -> list[Backend]:
        """Take another config. Who stays keeps all that is known of it, and what it has to do.

        A backend stays if there is one of its name and address. Its weight is for those to tell who
        judge (`weigh`): what the config says may be overridden.

        Args:
            config: As in `[pools.NAME]`; of the same name.
            balancer: The policy, if it is to be another one.
            now: The present time, in the clock's seconds.

        Returns:
            Those that have left. They finish what they have, and nothing is learned of them.
        """
        before = {(each.name, each.config.address): each for each in self.backends}
        probed = self.config.health is not None
        self.config = config
        self.backends, joined = [], []
        for each in config.backends:
            backend = before.pop((each.name, each.address), None)
            if backend is None:
                backend = unknown_backend(config, each, now)
                joined.append(backend)
            self._keep(backend, each)
            self.backends.append(backend)
        for backend in joined:
            self._alike.passed(backend)
            backend.starting = self._is_late(backend, now)
            self._grow(backend, now)
        if balancer is not None:
            self._balancer = balancer
            self.timed = hasattr(balancer, "observe")
        gone = list(before.values())
        for backend in gone:
            self._leave(backend)
        self._count_full()
        self._sort_later()
        if probed and config.health is None:
            for backend in self.backends:
                self._forget_probes(backend, now)
        return gone

    # What is learned.

    def weigh(self, backend: Backend, weight: int, now: float) -> None:
        """Give a backend another weight; with 0 it finishes what it has, and gets nothing new.

        One that was drained starts slowly: most are drained to be started anew, and a restart can
        be so fast that no probe sees it.
        """
        backend.given = weight
        self._reweigh(backend, now)

    def hear(self, backend: Backend, said: Said, now: float) -> None:
        """Take what a backend says of itself, instead of what it said before."""
        if said == backend.said:
            return
        backend.said = said
        backend.limit = said.limit_of(self.config.max_in_flight, self._parts)
        self._count_full()
        self._reweigh(backend, now)
        if self.on_said is not None:
            self.on_said(backend)

    def took(self, backend: Backend, seconds: float, failed: bool, now: float) -> None:
        """How long an attempt took, for a policy that asks (`timed`); see `Observer.observe`."""
        if backend.gone:
            return
        cast(Observer, self._balancer).observe(backend, seconds, failed, now)

    def answered(self, backend: Backend, status: int, now: float) -> None:
        """An attempt ended in the head of an answer."""
        if not backend.reached:
            self._reach(backend, True, now)
        if status >= 500 or backend.troubled:
            ill = Symptom.ILL if status in _ILL else None
            self._judge(backend, ill, now, passed=status not in GATEWAY_STATUSES)

    def connected(self, backend: Backend, now: float) -> None:
        """A connection stands, which is all that a session in TCP mode shows of a backend."""
        self._reach(backend, True, now)
        self._judge(backend, None, now, passed=True)

    def failed(
        self, backend: Backend, error: UpstreamError, now: float, begun: float = inf
    ) -> None:
        """An attempt broke, through no fault of the client.

        Args:
            backend: Where.
            error: How.
            now: The present time, in the clock's seconds.
            begun: When it began. Who has come back since is not out of reach for a connection
                that was lost on its way before.
        """
        if isinstance(error, ReusedConnectionClosed):  # The keep-alive race, which is no fault.
            return
        if not isinstance(error, ConnectFailed):
            self._reach(backend, True, now)
        elif error.refused or begun >= backend.back:
            self._reach(backend, False, now)
        if self.timed:
            self.took(backend, 0.0, True, now)
        self._judge(backend, _SYMPTOMS[error.reached], now, passed=False)
        if isinstance(error, ConnectFailed) and error.refused:
            self.suspect(backend)

    def probed(self, backend: Backend, outcome: ProbeOutcome, now: float) -> None:
        """A probe has ended.

        What the backend said holds until one that passed says something else, or it is down: one
        that drains and is late for once still drains.
        """
        backend.last_probe = outcome
        self._reach(backend, outcome.reached, now)
        self._reconsider(backend, outcome, now)
        turned = backend.verdict.observe(outcome.passed)
        if outcome.passed:
            self.hear(backend, outcome.said, now)
        if not backend.verdict.up:
            if turned:
                self._turn(backend, State.DOWN, outcome.detail, now)
            if not outcome.passed:
                self.hear(backend, NOTHING, now)
        elif turned or backend.state is State.UNKNOWN:
            self._turn(backend, State.UP, outcome.detail, now)
        if self.on_probe is not None:
            self.on_probe(backend)

    def suspect(self, backend: Backend) -> None:
        """Live traffic was refused by a backend."""
        if self.on_suspect is not None and not backend.gone:
            self.on_suspect(backend)

    def eject(self, backend: Backend, now: float) -> None:
        """Put a backend out for a while, unless it is the last one."""
        if backend.available and self.has_other(frozenset(), backend):
            seconds = backend.ejection.eject(now)
            backend.ejection.refused = not backend.reached
            self._turn(backend, State.EJECTED, f"live traffic failed; out for {seconds:g} s", now)

    def reinstate(self, backend: Backend, now: float) -> None:
        """Let a backend back whose time out is over."""
        if backend.state is State.EJECTED and now >= backend.ejection.until:
            self._turn(backend, State.UP, "its time out is over", now)

    def fails_alike(self, error: UpstreamError, now: float) -> bool:
        """Whether all backends fail in this way, so that to try elsewhere would be in vain."""
        symptom = self._alike.symptom
        return symptom is not None and _SYMPTOMS.get(error.reached) is self._alike.holds(now)

    def alike(self, now: float) -> str:
        """In which way all backends fail, in words; empty if they do not."""
        symptom = self._alike.holds(now)
        if symptom is not None:
            return symptom.value
        weighty = [backend for backend in self.backends if backend.weight > 0]
        if len(weighty) > 1 and all(_fails_probes(backend) for backend in weighty):
            return "accept connections and fail their probes"
        return self._alike_elsewhere

    # What one process tells another.

    def hear_alike(self, how: str) -> None:
        """Take over what another process says by its `alike`."""
        self._alike_elsewhere = how

    def standing(self, backend: Backend, detail: str = "") -> Standing:
        """How a backend stands here, to be told elsewhere."""
        return Standing(
            backend.state,
            detail,
            backend.since,
            backend.ejection.until,
            backend.starting,
            backend.reached,
            backend.last_probe,
            backend.given,
            backend.said,
        )

    def learn(self, backend: Backend, standing: Standing, now: float) -> None:
        """Take over how a backend stands with the process that judges."""
        self.weigh(backend, standing.given, now)
        self.hear(backend, standing.said, now)
        self._reach(backend, standing.reached, now)
        backend.last_probe = standing.last_probe
        if standing.state is State.EJECTED and backend.ejection.until != standing.until:
            backend.ejection.told(standing.until)
        if standing.state is not backend.state:
            self._turn(backend, standing.state, standing.detail, now)
        backend.since, backend.starting = standing.since, standing.starting
        if self._grow(backend, now):
            self._sort_later()
        self._settle_at = -inf

    def report(self, now: float) -> dict[str, Any]:
        """The pool and its backends for people and programs, fit for JSON."""
        return {
            "name": self.name,
            "balancer": self.config.balancer,
            "fails_alike": self.alike(now) or None,
            "breaker": self.breaker or None,
            "backends": [backend.report(now) for backend in self.backends],
        }

    # The rest is ours.

    def _settle(self, now: float) -> None:
        """Let those back whose time out is over, and give their share to those that start."""
        grown = False
        for backend in self.backends:
            self.reinstate(backend, now)
            if backend.starting:
                grown = self._grow(backend, now) or grown
        if grown or self._unsorted:
            self._tiers.sort(self.backends)
            self._roomy.clear()
            self._unsorted = False
        self._settle_at = min((self._due(backend, now) for backend in self.backends), default=inf)

    def _sort_later(self) -> None:
        """Sort the tiers before the next choice: once, however many change in between."""
        self._unsorted = True
        self._settle_at = -inf

    def _due(self, backend: Backend, now: float) -> float:
        """When time alone will change something about a backend."""
        if backend.state is State.EJECTED:
            return backend.ejection.until
        return now + self.config.slow_start / STEPS if backend.starting else inf

    def _with_room(self, room: list[Backend], tried: Set[Backend]) -> list[Backend]:
        """Those not tried that could do more; if there are none, those of the other tier."""
        left = self._left(room, tried)
        if left or not self._tiers.second:
            return left
        return self._left(self._tiers.beside(room), tried)

    def _left(self, tier: list[Backend], tried: Set[Backend]) -> list[Backend]:
        """Those of a tier; without retries the same list, until one is full or is not any more."""
        if tried:
            return [each for each in tier if each not in tried and each.in_flight < each.limit]
        second = tier is self._tiers.second
        left = self._roomy.get(second)
        if left is None:
            left = self._roomy[second] = [each for each in tier if each.in_flight < each.limit]
        return left

    def _count_full(self) -> None:
        """Find anew who is full: a limit, or who is here, has changed."""
        self._full = sum(each.in_flight >= each.limit for each in self.backends)
        self._roomy.clear()

    def _reconsider(self, backend: Backend, outcome: ProbeOutcome, now: float) -> None:
        """Let a backend back before its time if what put it out is over.

        A program that restarts refuses connections for a moment, and a probe can see that it does
        not any more. What a probe cannot see, such as answers of 503, takes its time.
        """
        if backend.state is not State.EJECTED:
            return
        if not outcome.reached:
            backend.ejection.refused = True
        elif outcome.passed and backend.ejection.refused:
            self._turn(backend, State.UP, "its port accepts again, and its probe passes", now)

    def _reach(self, backend: Backend, reached: bool, now: float) -> None:
        """Note whether a backend's port accepts connections."""
        if backend.reached is reached:
            return
        backend.reached = reached
        if reached:
            backend.back = now
            if self.on_reached is not None:
                self.on_reached(backend)

    def _last_resort(self, tried: Set[Backend]) -> list[Backend]:
        if tried or any(backend.available for backend in self.backends):
            return []
        self.degraded = True
        return [
            backend
            for backend in self.backends
            if backend.reached and backend.weight > 0 and backend.in_flight < backend.limit
        ]

    def _judge(
        self, backend: Backend, symptom: Symptom | None, now: float, *, passed: bool
    ) -> None:
        """Take in how an attempt ended.

        Args:
            backend: Where.
            symptom: How it failed; `None` if it did not.
            now: The present time.
            passed: Whether that speaks for the backend, as far as it could be put out.
        """
        if backend.gone:
            return
        if symptom is None:
            self._alike.passed(backend)
        else:
            able = [each for each in self.backends if each.available]
            self._alike.failed(backend, symptom, able, now)
        outlier = self.config.ejection and backend.ejection.observe(passed, now)
        backend.troubled = backend.ejection.troubled or self._alike.ails(backend)
        if outlier and backend.available:
            others = [each for each in self.backends if each.available and each is not backend]
            # Never the last one, and nobody while each of the others fails like it.
            if others and not self._alike.shares(backend, others, now):
                self.on_outlier(backend, now)

    def _keep(self, backend: Backend, config: model.Backend) -> None:
        """Have the pool's config hold for a backend, and its own."""
        backend.config = config
        backend.limit = backend.said.limit_of(self.config.max_in_flight, self._parts)
        if self.config.health is not None:
            backend.verdict.rise = self.config.health.rise
            backend.verdict.fall = self.config.health.fall

    def _forget_probes(self, backend: Backend, now: float) -> None:
        """Nobody asks any more: what probes have shown, and what was said to them, holds no more.

        If they are turned on again, the first outcome counts at once, as at the start.
        """
        backend.verdict = Verdict(1, 1)
        backend.last_probe = None
        self.hear(backend, NOTHING, now)
        if backend.state in (State.UNKNOWN, State.DOWN):
            self._turn(backend, State.UP, "it is not probed", now)

    def _leave(self, backend: Backend) -> None:
        backend.gone, backend.weight = True, 0
        backend.limit = sys.maxsize  # It is never full: its release counts for nobody.
        self._alike.passed(backend)
        forget = getattr(self._balancer, "forget", None)
        if forget is not None:
            forget(backend)

    def _reweigh(self, backend: Backend, now: float) -> None:
        """Have the weight hold that is to: `Said.weight_of` decides between the two there are."""
        weight = backend.said.weight_of(backend.given)
        if weight == backend.weight:
            return
        returns = backend.draining
        backend.weight = weight
        if returns and backend.available:
            backend.since, backend.current = now, 0.0
            backend.starting = self._is_late(backend, now)
        self._grow(backend, now)
        self._sort_later()
        if self.on_weigh is not None:
            self.on_weigh(backend)

    def _turn(self, backend: Backend, state: State, detail: str, now: float) -> None:
        if backend.state is state:
            return
        before, backend.state = backend.state, state
        backend.since = now
        if backend.available:
            self._alike.passed(backend)
        backend.current = 0.0
        if state is State.UP and before is not State.UNKNOWN:
            backend.starting = self._is_late(backend, now)
        self._grow(backend, now)
        self._sort_later()
        if self.on_turn is not None:
            self.on_turn(backend, detail)

    def _is_late(self, backend: Backend, now: float) -> bool:
        """Whether a backend comes to others that are warm; else all start together."""
        warm = now - self.config.slow_start
        return any(
            other is not backend and other.available and other.since <= warm
            for other in self.backends
        )

    def _grow(self, backend: Backend, now: float) -> bool:
        """Give a backend its present share; true if that is another one than before."""
        part = share(backend.since, now, self.config.slow_start) if backend.starting else 1.0
        backend.starting = part < 1.0
        before, backend.share = backend.share, backend.weight * part
        return backend.share != before


def _fails_probes(backend: Backend) -> bool:
    """Whether a backend is down for its answers; one whose last probe passed is on its way back."""
    probe = backend.last_probe
    failed = probe is not None and not probe.passed
    return failed and backend.reached and backend.state is State.DOWN
