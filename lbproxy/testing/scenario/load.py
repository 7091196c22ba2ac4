"""A scenario's file, read and checked against the config that it is played with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from lbproxy.config.document import read
from lbproxy.config.kinds import Wrong, guessed, question, shown
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake
from lbproxy.config.model import Config
from lbproxy.errors import MalformedMessage, NoRoute
from lbproxy.forward.routing import Router, split_target
from lbproxy.http1.message import RequestHead
from lbproxy.http1.parser import HeadLimits, RequestParser
from lbproxy.testing.scenario.asking import HOST, OWN, request_head
from lbproxy.testing.scenario.cast import Cast
from lbproxy.testing.scenario.expectation import expectation
from lbproxy.testing.scenario.model import ALL, VERBS, Scenario

#: Keys of an event that go only with some of those that say what happens.
_ONLY_WITH = {
    "every": ("flap", "restart"),
    "by": ("slow",),
    "share": ("errors",),
    "status": ("errors",),
    "graceful": ("restart",),
}

#: Keys without which some of them say too little.
_NEEDS = {"slow": ("by",), "flap": ("seconds", "every")}


def load(path: str | FilePath, config: Config) -> Scenario:
    """Read a scenario.

    Args:
        path: Its file.
        config: What it is played with: its listeners and backends are what the file may name.

    Raises:
        ConfigError: With a line for each mistake: `file:line: key.path: message`.
    """
    return read(path, "scenario", Scenario, lambda document: _contradictions(document, config))


def _contradictions(document: dict[str, Any], config: Config) -> Iterator[Mistake]:
    """Values that are each right but not together; what has no shape to be judged is skipped."""
    cast = Cast(config)
    if document.get("load") == []:
        yield Mistake(("load",), "at least one is needed")
    for path, load in _tables("load", document):
        yield from _load(path, load, document, config)
    behaviours = document.get("backends")
    for name, behaviour in (behaviours if isinstance(behaviours, dict) else {}).items():
        yield from _known(cast, ("backends", name), name)
        yield from _latency(("backends", name, "latency"), behaviour)
    for path, event in _tables("events", document):
        yield from _event(cast, path, event, document)
    expected = document.get("expect")
    for place, line in enumerate(expected if isinstance(expected, list) else []):
        try:
            name = expectation(line).backend
        except Wrong:
            continue
        if name is not None:
            yield from _known(cast, ("expect", place), name, several=False)


def _tables(key: str, document: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    value = document.get(key)
    for place, each in enumerate(value if isinstance(value, list) else []):
        if isinstance(each, dict):
            yield (key, place), each


def _number(value: object, default: float) -> float:
    """A number, or the default where there is none to be compared."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        return float(value)
    except OverflowError:
        return default


def _known(cast: Cast, path: Path, name: object, *, several: bool = True) -> Iterator[Mistake]:
    """Is that a backend of the config?"""
    if not isinstance(name, str) or (several and name == ALL):
        return
    roles = cast.called(name)
    if not roles:
        near = question(guessed(name, cast.names)) or f"; there are {', '.join(cast.names)}"
        yield Mistake(path, f"no backend {shown(name)} in the config{near}")
    elif len(roles) > 1:
        choice = " or ".join(sorted(each.label for each in roles))
        yield Mistake(path, f"several pools have a backend {shown(name)}: write {choice}")


def _latency(path: Path, behaviour: object) -> Iterator[Mistake]:
    latency = behaviour.get("latency") if isinstance(behaviour, dict) else None
    if isinstance(latency, dict) and "p99" in latency:
        median = _number(latency.get("median"), 0.01)
        if _number(latency["p99"], median) < median:
            yield Mistake((*path, "p99"), f"is below the median, which is {median:g}")


def _event(
    cast: Cast, path: Path, event: dict[str, Any], document: dict[str, Any]
) -> Iterator[Mistake]:
    verbs = [verb for verb in VERBS if verb in event]
    if not verbs and set(event) <= {"at", "seconds", *_ONLY_WITH}:
        yield Mistake(path, f"says not what happens: one of {', '.join(VERBS)}")
    if len(verbs) > 1:
        yield Mistake((*path, verbs[1]), f"goes into an event of its own, without {verbs[0]}")
    for verb in verbs:
        targets = event[verb]
        for name in targets if isinstance(targets, list) else [targets]:
            yield from _known(cast, (*path, verb), name)
    for key, owners in _ONLY_WITH.items():
        if verbs and key in event and not set(owners) & set(verbs):
            yield Mistake((*path, key), f"goes only with {' or '.join(owners)}")
    if verbs == ["back"] and "seconds" in event:
        yield Mistake((*path, "seconds"), "goes not with back")
    for key in _NEEDS.get(verbs[0], ()) if len(verbs) == 1 else ():
        if key not in event:
            yield Mistake((*path, key), f"is missing, and {verbs[0]} needs it")
    if verbs == ["restart"] and _many(event["restart"]) and "every" not in event:
        message = "is missing: how many seconds after one does the next one restart?"
        yield Mistake((*path, "every"), message)
    if _number(event.get("at"), 0.0) > _number(document.get("duration"), float("inf")):
        yield Mistake((*path, "at"), "is after the end of the scenario")


def _many(targets: object) -> bool:
    return targets == ALL or (isinstance(targets, list) and (len(targets) > 1 or ALL in targets))


def _load(
    path: Path, load: dict[str, Any], document: dict[str, Any], config: Config
) -> Iterator[Mistake]:
    start = _number(load.get("start"), 0.0)
    if start >= _number(document.get("duration"), float("inf")):
        yield Mistake((*path, "start"), "is after the end of the scenario")
    if _number(load.get("end"), float("inf")) <= start:
        yield Mistake((*path, "end"), "is not after its start")
    headers = load.get("headers")
    for name in headers if isinstance(headers, dict) else ():
        if name.lower() in OWN:
            yield Mistake((*path, "headers", name), "is what the client sets by itself")
    modes = {listener.name: listener.mode for listener in config.listeners}
    listener = load.get("listener")
    if listener is None:
        listener = next((name for name, mode in modes.items() if mode == "http"), None)
        if listener is None:
            yield Mistake(path, "the config has no listener in HTTP mode to ask")
            return
    elif not isinstance(listener, str):
        return
    elif listener not in modes:
        near = question(guessed(listener, modes)) or f"; there are {', '.join(modes)}"
        yield Mistake((*path, "listener"), f"no listener {shown(listener)} in the config{near}")
        return
    elif modes[listener] == "tcp":
        yield Mistake((*path, "listener"), "sessions of TCP mode are not simulated")
        return
    yield from _no_files(path, load, listener, Router(config.routes))


def _no_files(path: Path, load: dict[str, Any], listener: str, router: Router) -> Iterator[Mistake]:
    """Requests for files, which the balancer has of a kernel that is not simulated."""
    paths = load.get("paths", ["/"])
    for place, target in enumerate(paths if isinstance(paths, list) else []):
        for head in _heads(load, target):
            where = split_target(head.target)[1].partition(b"?")[0]
            try:
                route = router.route(listener, head.values[b"host"][0], where, head)
            except NoRoute:
                continue  # What comes of it is for the scenario to show.
            if route.static is not None:
                message = f"{shown(target)} is a file, by the route {shown(route.path)}"
                at = (*path, "paths", place) if "paths" in load else path
                yield Mistake(at, f"{message}; files are not simulated")
                break


def _heads(load: dict[str, Any], target: object) -> Iterable[RequestHead]:
    """The heads that the balancer will see, as far as they are right."""
    methods, headers = load.get("methods", {"GET": 1}), load.get("headers", {})
    host = load.get("host", HOST)
    if not (isinstance(methods, dict) and isinstance(headers, dict)):
        return
    for method in methods:
        fields = [(str(name), str(value)) for name, value in headers.items()]
        try:
            data = request_head(str(method), str(target), str(host), fields, 0, 0, keyed=False)
            head = RequestParser(HeadLimits()).whole(data)
        except (MalformedMessage, UnicodeError):
            continue
        if head is not None:
            yield head
