"""One name, looked up again and again as its answers expire."""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from lbproxy.config.model import DNS
from lbproxy.discovery.answer import Answer, Question, Resolver
from lbproxy.errors import Unresolved

#: Seconds from a look-up that has failed to the next.
RETRY = 2.0

#: The part of the time between two look-ups by which it varies, so that many balancers do not meet.
JITTER = 0.1


class Watch:
    """Knows what a name stands for; what was known once holds until something else is known.

    Attributes:
        question: The name.
        answer: What it stands for; `None` if that has never been known.
        trouble: Why the last look-up found nothing; empty if it did not.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        resolver: Resolver,
        question: Question,
        config: DNS,
        chance: random.Random,
        heard: Callable[[], None],
        answer: Answer | None = None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            clock: Provides the time.
            resolver: Is asked.
            question: The name.
            config: Has the bounds of an answer's time to live.
            chance: The times vary by it.
            heard: Called when the name stands for something else than before, and when it could not
                be looked up.
            answer: What is known of it already.
        """
        self.question = question
        self.answer = answer
        self.trouble = ""
        self._clock = clock
        self._resolver = resolver
        self._config = config
        self._chance = chance
        self._heard = heard
        self._stopped = False
        self._due: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []

    def start(self) -> None:
        """Look the name up now, and then by and by."""
        self._ask()

    def stop(self) -> Deferred[None]:
        """Give up. Fires when nothing is under way any more."""
        self._stopped = True
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._tell_those_who_wait()
        if self._asking is None:
            return succeed(None)
        asking = self._asking
        asking.cancel()
        return asking

    def first(self) -> Deferred[None]:
        """Fires when a look-up has ended, whatever it found; or when it is given up."""
        if self.answer is not None or self.trouble or self._stopped:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    # The rest is ours.

    def _ask(self) -> None:
        asking = self._resolver.resolve(self.question).addCallbacks(self._found, self._failed)
        # What is made of an answer is not to end the look-ups.
        asking.addErrback(self._broke)
        if not asking.called:
            self._asking = asking
            asking.addCallback(self._ended)

    def _ended(self, _: None) -> None:
        self._asking = None

    def _found(self, answer: Answer) -> None:
        if self._stopped:
            return
        self._ask_in(answer.ttl)
        if self.trouble:
            self.trouble = ""
            self.log.info("{name} resolves again", name=self.question.name)
        before, self.answer = self.answer, answer.after(self.answer)
        if before is None or before.places != self.answer.places:
            self._log_change(before, self.answer)
            self._heard()
        self._tell_those_who_wait()

    def _failed(self, failure: Failure) -> None:
        if self._stopped:
            return
        self._ask_in(RETRY)
        if not failure.check(Unresolved):
            self.log.failure("looking up {name} broke", failure, name=self.question.name)
        known, self.trouble = self.trouble, failure.getErrorMessage()
        if not known:
            self.log.warn(
                "{name} does not resolve: {trouble}; {so}",
                name=self.question.name,
                trouble=self.trouble,
                so="nothing is known of it" if self.answer is None else "what was known holds",
            )
        self._heard()
        self._tell_those_who_wait()

    def _ask_in(self, seconds: float) -> None:
        held = min(max(seconds, self._config.min_ttl), self._config.max_ttl)
        varied = held * (1.0 + self._chance.uniform(-JITTER, JITTER))
        self._due = self._clock.callLater(varied, self._ask)

    def _tell_those_who_wait(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _log_change(self, before: Answer | None, after: Answer) -> None:
        known = {place.address for place in before.places} if before is not None else set()
        found = {place.address for place in after.places}
        told = [
            f"{word} {', '.join(sorted(those))}"
            for word, those in (("new", found - known), ("gone", known - found))
            if those
        ]
        self.log.info(
            "{name} has changed: {what}",
            name=self.question.name,
            what="; ".join(told) or "the same addresses in other roles",
        )

    def _broke(self, failure: Failure) -> None:
        self.log.failure("what {name} stands for was lost", failure, name=self.question.name)
