"""A resolver that answers when the test says so."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.errors import Unresolved


def addresses(*found: str, ttl: float = 60.0) -> Answer:
    """An answer with these addresses."""
    return Answer(frozenset(map(Place, found)), ttl)


class Names:
    """A resolver.

    Attributes:
        known: What it answers at once; a text is why there is nothing.
        asked: All that it was asked.
        pending: What it has not answered yet.
        cancelled: How often somebody has given up.
    """

    def __init__(self) -> None:
        self.known: dict[Question, Answer | str] = {}
        self.asked: list[Question] = []
        self.pending: list[Deferred[Answer]] = []
        self.cancelled = 0

    def resolve(self, question: Question) -> Deferred[Answer]:
        """Answer, or wait for the test to do so."""
        self.asked.append(question)
        match self.known.get(question):
            case str(why):
                return fail(Unresolved(why))
            case Answer() as answer:
                return succeed(answer)
        waiting: Deferred[Answer] = Deferred(self._cancel)
        self.pending.append(waiting)
        return waiting

    def _cancel(self, _: Deferred[Answer]) -> None:
        self.cancelled += 1
