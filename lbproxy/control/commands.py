"""What goes over the channel between the parent and a worker (AMP, which has 65535 bytes a value).

Each value that could be longer goes in parts. Those who speak are always of one version: a worker
is made from the code of its parent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
from twisted.protocols.amp import Argument, Command, Descriptor

from lbproxy.balance.standing import Standing, State
from lbproxy.control.link import Load, Names, Whole, WorkerReport
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.health.said import Said
from lbproxy.observe.metrics import Counts

#: Standings and series that go in one command: far less than fits.
PART = 32

#: What is told of a cause: errors of other programs can be long.
DETAIL = 200


#: `json.dumps` would make an encoder for each value.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Json(Argument):
    """A value that JSON knows."""

    def toString(self, inObject: Any) -> bytes:
        return _encode(inObject).encode()

    def fromString(self, inString: bytes) -> Any:
        return json.loads(inString)


class Learn(Command):
    """To a worker: how backends stand."""

    arguments: ClassVar = [(b"standings", Json())]


class Inherit(Command):
    """To a worker: a listening socket of an endpoint that it will be told to serve."""

    arguments: ClassVar = [(b"endpoint", Json()), (b"descriptor", Descriptor())]


class Serve(Command):
    """To a worker: a file with the config to serve from now on, and how all backends stand."""

    arguments: ClassVar = [(b"descriptor", Descriptor())]


class Reopen(Command):
    """To a worker: write the access log to the config's place, for which there is no descriptor."""


class ReopenFile(Command):
    """To a worker: write the access log to this file."""

    arguments: ClassVar = [(b"descriptor", Descriptor())]


class Accept(Command):
    """To a worker: whose queues to accept clients from."""

    arguments: ClassVar = [(b"queues", Json())]


class Hear(Command):
    """To a worker: what there is to report of the others."""

    arguments: ClassVar = [(b"whole", Json())]


class Count(Command):
    """To a worker: tell what you have counted."""


class Drain(Command):
    """To a worker: finish what runs, then end."""


class End(Command):
    """To a worker: end now."""


class Ready(Command):
    """To the parent: I could accept clients."""

    arguments: ClassVar = [(b"addresses", Json())]


class Listening(Command):
    """To the parent: I could accept clients elsewhere than before."""

    arguments: ClassVar = [(b"addresses", Json())]


class Suspect(Command):
    """To the parent: a backend has refused a connection."""

    arguments: ClassVar = [(b"names", Json())]


class Outlier(Command):
    """To the parent: live traffic speaks against a backend."""

    arguments: ClassVar = [(b"names", Json())]


class Counted(Command):
    """To the parent: what I have counted, or a part of it, and what I have to do."""

    arguments: ClassVar = [(b"series", Json()), (b"load", Json())]


class Leaving(Command):
    """To the parent: somebody else has asked me to end."""


def standings_out(standings: Mapping[Names, Standing]) -> list[Any]:
    """Standings as JSON knows them."""
    told = []
    for names, each in standings.items():
        probe = each.last_probe
        outcome = None if probe is None else [*_outcome_out(probe)]
        told.append(
            [
                *names,
                each.state.value,
                each.detail[:DETAIL],
                each.since,
                each.until,
                each.starting,
                each.reached,
                outcome,
                each.given,
                attrs.astuple(each.said),
            ]
        )
    return told


def standings_in(told: Iterable[Any]) -> Iterator[tuple[Names, Standing]]:
    """Standings from what `standings_out` gave."""
    for pool, backend, *rest in told:
        state, detail, since, until, starting, reached, outcome, given, said = rest
        probe = None if outcome is None else ProbeOutcome(*outcome)
        standing = Standing(
            State(state), detail, since, until, starting, reached, probe, given, Said(*said)
        )
        yield (pool, backend), standing


def _outcome_out(outcome: ProbeOutcome) -> Iterator[Any]:
    """What people are told of a probe; what was said is in the standing, as far as it counts."""
    yield from (
        outcome.passed,
        outcome.latency,
        outcome.detail[:DETAIL],
        outcome.reached,
        outcome.at,
    )


def whole_out(whole: Whole) -> Any:
    """A `Whole` as JSON knows it."""
    workers = [
        [each.worker, each.pid, each.state, each.since, each.restarts] for each in whole.workers
    ]
    return [workers, _by_names_out(whole.elsewhere)]


def whole_in(told: Any) -> Whole:
    """A `Whole` from what `whole_out` gave."""
    workers, elsewhere = told
    return Whole(tuple(WorkerReport(*each) for each in workers), _by_names_in(elsewhere))


def counts_out(counts: Counts) -> Iterator[list[Any]]:
    """Counts as JSON knows them, in parts; at least one."""
    series = [[key, numbers] for key, numbers in counts.series.items()]
    for start in range(0, max(len(series), 1), PART):
        yield series[start : start + PART]


def counts_in(told: Iterable[Any]) -> Counts:
    """Counts from a part that `counts_out` gave."""
    return Counts({tuple(key): numbers for key, numbers in told})


def load_out(load: Load) -> Any:
    """A `Load` as JSON knows it."""
    in_flight = _by_names_out(load.in_flight)
    return [in_flight, load.waiting, load.clients, load.alike, load.breakers]


def load_in(told: Any) -> Load:
    """A `Load` from what `load_out` gave."""
    in_flight, *rest = told
    return Load(_by_names_in(in_flight), *rest)


def _by_names_out(counts: Mapping[Names, int]) -> list[Any]:
    return [[*names, count] for names, count in counts.items()]


def _by_names_in(told: Iterable[Any]) -> dict[Names, int]:
    return {(pool, backend): count for pool, backend, count in told}
