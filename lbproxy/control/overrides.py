"""What people change while the balancer runs: who did it and why, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from lbproxy.control.link import Names
from lbproxy.discovery.members import configured_name


class Kind(Enum):
    """What is changed; a drain lies over a weight, which holds again when the drain is over."""

    DRAIN = "drain"
    WEIGHT = "weight"


@attrs.frozen
class Note:
    """What is said with a change.

    Attributes:
        author: Who makes it.
        reason: Why; it may be empty.
        seconds: After how many it is over by itself; `None` is never.
    """

    author: str
    reason: str = ""
    seconds: float | None = None

    def __str__(self) -> str:
        limit = "" if self.seconds is None else f" for {self.seconds:g} s"
        reason = f": {self.reason}" if self.reason else ""
        return f"by {self.author}{limit}{reason}"


@attrs.frozen
class Override:
    """A change that holds.

    Attributes:
        backend: Whose it is: a backend's own name, or the one in the config of all its members.
        weight: In place of the one in the config; that of a drain is 0.
        note: Who, why, and for how long.
        since: From when on, in the clock's seconds.
    """

    backend: str
    weight: int
    note: Note
    since: float

    @property
    def until(self) -> float | None:
        """When it is over, in the clock's seconds."""
        return None if self.note.seconds is None else self.since + self.note.seconds


class Overrides:
    """All changes that hold.

    One of a name in the config holds for all of its members, those that join later too, unless a
    member has one of the same kind itself. Each is ended by the name that it was made by.

    It knows no pool: whoever has the pools is told that a weight may have changed, and asks
    `weight` for it, as does whoever makes the pools anew.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, changed: Callable[[Names], None]) -> None:
        """Begin without any.

        Args:
            clock: Provides the time.
            changed: Is called with the names of a backend whose weight may be another one, or
                with those that its members have in the config.
        """
        self._clock = clock
        self._changed = changed
        self._held: dict[tuple[Names, Kind], Override] = {}
        self._ends: dict[tuple[Names, Kind], IDelayedCall] = {}

    def of(self, names: Names, kind: Kind) -> Override | None:
        """The change of a kind that holds for a backend: its own, or that of all members."""
        return self._held.get((names, kind)) or self._held.get((_configured(names), kind))

    def weight(self, names: Names, configured: int, record: int = 1) -> int:
        """The weight of a backend.

        Args:
            names: The backend's.
            configured: What the config says, with that of its record in DNS.
            record: The latter, which is laid on whatever is set for all members.
        """
        for kind in Kind:
            override = self.of(names, kind)
            if override is not None:
                return override.weight * (1 if override.backend == names[1] else record)
        return configured

    def drain(self, names: Names, note: Note) -> list[Override]:
        """Have a backend finish what it has, and get nothing new; what this takes the place of."""
        replaced = self._replace(names, note, Kind.DRAIN)
        self._put(names, Kind.DRAIN, 0, note)
        self._say("{pool}/{backend} is drained {note}", names, note)
        return replaced

    def undrain(self, names: Names, note: Note) -> bool:
        """End the drain of a backend; false if it has none itself."""
        if not self._drop(names, Kind.DRAIN):
            return False
        self._say("{pool}/{backend} is not drained any more {note}", names, note)
        return True

    def weigh(self, names: Names, weight: int, note: Note) -> list[Override]:
        """Give a backend another weight, above 0, which ends its drain; what is replaced."""
        replaced = self._replace(names, note, Kind.DRAIN, Kind.WEIGHT)
        self._put(names, Kind.WEIGHT, weight, note)
        self._say("{pool}/{backend} has the weight {weight} {note}", names, note, weight)
        return replaced

    def unweigh(self, names: Names, note: Note) -> bool:
        """Give a backend the weight of the config again; false if it has none of its own."""
        if not self._drop(names, Kind.WEIGHT):
            return False
        self._say("{pool}/{backend} has the weight of the config again {note}", names, note)
        return True

    def follow(self, before: Mapping[Names, str], after: Mapping[Names, str]) -> None:
        """Have what was changed of a member go with its address, if that has another name now.

        A target of SRV records is called by its address only while it has several.

        Args:
            before: The addresses of all backends that there were.
            after: The same of those that there are now.
        """
        for names, kind in [key for key in self._held if key[0] in before and key[0] not in after]:
            now_called = (
                each
                for each, address in after.items()
                if address == before[names] and each not in before
                if _configured(each) == _configured(names)
            )
            other = next(now_called, None)
            if other is not None:
                self._rename(names, kind, other)

    def keep(self, known: Collection[Names]) -> None:
        """Drop those of backends that there are no more, and of names with no member."""
        there = {*known, *map(_configured, known)}
        for names, kind in list(self._held):
            if names not in there:
                note = self._held.pop((names, kind)).note
                self._forget((names, kind))
                text = f"{{pool}}/{{backend}} is gone, and with it the {kind.value} {{note}}"
                self._say(text, names, note)

    def close(self) -> None:
        """Leave all as it is: no change ends any more."""
        for due in self._ends.values():
            due.cancel()
        self._ends.clear()

    # The rest is ours.

    def _replace(self, names: Names, note: Note, *kinds: Kind) -> list[Override]:
        """End what makes way for another change; whose it was is told, unless that repeats it."""
        replaced = []
        for kind in kinds:
            held = self._held.pop((names, kind), None)
            self._forget((names, kind))
            if held is not None and held.note != note:
                text = f"{{pool}}/{{backend}}: the {kind.value} {{note}} is replaced"
                self._say(text, names, held.note)
                replaced.append(held)
        return replaced

    def _put(self, names: Names, kind: Kind, weight: int, note: Note) -> None:
        self._hold(names, kind, Override(names[1], weight, note, self._clock.seconds()))
        self._changed(names)

    def _rename(self, names: Names, kind: Kind, other: Names) -> None:
        held = self._held.pop((names, kind))
        self._forget((names, kind))
        self._hold(other, kind, attrs.evolve(held, backend=other[1]))
        self.log.info(
            "{pool}/{backend} is now {other}, with the {kind} {note}",
            pool=names[0],
            backend=names[1],
            other=other[1],
            kind=kind.value,
            note=held.note,
        )

    def _hold(self, names: Names, kind: Kind, override: Override) -> None:
        self._held[names, kind] = override
        if override.until is not None:
            seconds = max(0.0, override.until - self._clock.seconds())
            self._ends[names, kind] = self._clock.callLater(seconds, self._end, names, kind)

    def _drop(self, names: Names, kind: Kind) -> bool:
        held = self._held.pop((names, kind), None)
        self._forget((names, kind))
        if held is not None:
            self._changed(names)
        return held is not None

    def _forget(self, key: tuple[Names, Kind]) -> None:
        due = self._ends.pop(key, None)
        if due is not None and due.active():
            due.cancel()

    def _end(self, names: Names, kind: Kind) -> None:
        note = self._held[names, kind].note
        self._drop(names, kind)
        self._say(f"{{pool}}/{{backend}}: the {kind.value} {{note}} is over", names, note)

    def _say(self, text: str, names: Names, note: Note, weight: int | None = None) -> None:
        pool, backend = names
        self.log.info(text, pool=pool, backend=backend, note=note, weight=weight)


def _configured(names: Names) -> Names:
    """A backend's, as the config has them."""
    pool, backend = names
    return pool, configured_name(backend)
