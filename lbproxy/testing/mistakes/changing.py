"""Mistakes about what people change while the balancer runs."""

from __future__ import annotations

from typing import Any

from lbproxy.control.overrides import Kind, Overrides
from lbproxy.control.parent import Parent
from lbproxy.testing.mistakes.registry import Put, mutation, nothing
from lbproxy.worker.serve import Worker


@mutation
def a_drain_by_hand_is_not_told(put: Put) -> None:
    def wrong(self: Any, names: Any) -> None:
        for backend in self.named(names[1], names[0])[1]:
            self._give_weight(self._judged[names[0]], backend)

    put(Parent, "_weigh", wrong)


@mutation
def an_undrain_is_forgotten(put: Put) -> None:
    def wrong(self: Any, names: Any, note: Any) -> bool:
        return self.of(names, Kind.DRAIN) is not None

    put(Overrides, "undrain", wrong)


@mutation
def a_change_never_ends(put: Put) -> None:
    put(Overrides, "_end", nothing)


@mutation
def the_end_of_a_change_outlives_it(put: Put) -> None:
    put(Overrides, "_forget", nothing)


@mutation
def a_weight_ends_no_drain(put: Put) -> None:
    right = Overrides.weigh

    def weigh(self: Any, names: Any, weight: int, note: Any) -> None:
        drained = self.of(names, Kind.DRAIN)
        right(self, names, weight, note)
        if drained is not None:
            self._held[names, Kind.DRAIN] = drained
            self._changed(names)

    put(Overrides, "weigh", weigh)


@mutation
def what_is_changed_of_a_name_is_of_nobody(put: Put) -> None:
    put(Overrides, "of", lambda self, names, kind: self._held.get((names, kind)))


@mutation
def what_is_changed_of_a_name_goes_with_a_member(put: Put) -> None:
    right = Overrides.keep

    def wrong(self: Any, known: Any) -> None:
        right(self, known)
        for names, kind in list(self._held):
            if names not in known:
                del self._held[names, kind]
                self._forget((names, kind))

    put(Overrides, "keep", wrong)


@mutation
def a_drain_cuts_what_runs(put: Put) -> None:
    right = Worker.learn

    def wrong(self: Any, names: Any, standing: Any) -> None:
        right(self, names, standing)
        if standing.given == 0 and names[1] != "d":
            self._site.abort()

    put(Worker, "learn", wrong)
