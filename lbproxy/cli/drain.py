"""`lbproxy drain` and `lbproxy undrain`: a backend gets nothing new, and then something again."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from lbproxy.cli import arguments, words
from lbproxy.cli.client import Client, Failed
from lbproxy.cli.found import in_flight, is_idle, named

#: Seconds from one word about what is still in flight to the next, while that is waited for.
SAY = 10.0

#: What the exit statuses of all commands that change something mean.
EPILOG = "The exit status is 0 if it is done, else 1; 2 is a wrong command line."


def add_to(commands: Any) -> None:
    """Add the subcommands."""
    parser = arguments.command(
        commands,
        "drain",
        drain,
        "have a backend finish what it has, and get nothing new",
        "The exit status is 0 if it is done (with --wait: if nothing is in flight at the backend"
        " any more), else 1; 2 is a wrong command line.",
    )
    arguments.backend(parser)
    arguments.noted(parser)
    arguments.for_a_while(parser)
    parser.add_argument(
        "--wait", action="store_true", help="return only when it has finished what it had"
    )
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=arguments.duration,
        default=300.0,
        help="how long to wait at most: 90, 10m, 2h; by default 5m",
    )
    parser.add_argument("--json", action="store_true", help="the last answer, for programs")
    parser = arguments.command(commands, "undrain", undrain, "end the drain of a backend", EPILOG)
    arguments.backend(parser)
    arguments.noted(parser)


async def drain(client: Client, asked: argparse.Namespace) -> int:
    """Drain, and wait if that is asked for."""
    told = await client.tell("/drain", arguments.said(asked))
    if not asked.json:
        until = words.until(told["backends"][0]["drain"])
        left = in_flight(told)
        print(f"{words.subject(told)} gets nothing new{until}; {left} in flight")
        print(words.replaced(told), end="", flush=True)
    if asked.wait:
        told = await _finished(client, told, asked.timeout)
        if not asked.json:
            print(f"{words.subject(told)} has finished")
    if asked.json:
        print(json.dumps(told, indent=2))
    return 0


async def undrain(client: Client, asked: argparse.Namespace) -> int:
    """End a drain."""
    told = await client.tell("/undrain", arguments.said(asked))
    what = "takes requests again" if told["changed"] else "was not drained"
    kept = []
    for backend in told["backends"]:
        why = _kept(asked, told, backend)
        if why:
            kept.append(why)
        else:
            down = "" if backend["available"] else f", but is {backend['state']}"
            print(f"{words.name(told, backend)} {what}{down}")
    if kept:
        raise Failed("\n".join(kept))
    return 0


async def _finished(client: Client, told: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Wait until nothing is in flight at those who are drained; how they are then."""
    left: dict[str, int] = {}
    said = client.reactor.seconds()

    async def finished() -> bool:
        nonlocal told, said
        now = named(await client.status(), told["pool"], told["name"])
        there = [each["name"] for each in now["backends"]]
        left.update(
            (each["name"], each["in_flight"])
            for each in told["backends"]
            if each["in_flight"] and each["name"] not in there
        )
        told = {**now, "changed": told["changed"], "replaced": told["replaced"]}
        if client.reactor.seconds() - said >= SAY and not is_idle(told):
            said = client.reactor.seconds()
            print(f"{words.subject(told)}: still {in_flight(told)} in flight", file=sys.stderr)
        return is_idle(told)

    if not await client.eventually(seconds, finished):
        raise Failed(_unfinished(told, seconds))
    for each in told["backends"]:
        if not each["draining"]:
            raise Failed(
                f"{words.name(told, each)} takes requests again: its drain was ended meanwhile"
            )
    if left:
        gone = ", ".join(f"{name} with {count} in flight" for name, count in left.items())
        raise Failed(f"nobody tells any more of who has left meanwhile: {gone}")
    return told


def _kept(asked: argparse.Namespace, told: dict[str, Any], backend: dict[str, Any]) -> str:
    """Why a backend gets nothing although its drain was to end; empty if that is not so."""
    name = words.name(told, backend)
    if words.asks_for_none(backend):
        return f"{name} wants no requests itself: {words.notes(backend)}"
    drain = backend["drain"]
    if drain is not None:
        command = words.command(asked, "undrain", told["pool"], drain["backend"])
        return f"{name} stays drained {words.by(backend, 'drain')}; to end that: {command}"
    if backend["draining"]:
        command = words.command(asked, "weight", told["pool"], told["name"], "N")
        return f"{name} has the weight 0 in the config; give it another one: {command}"
    return ""


def _unfinished(told: dict[str, Any], seconds: float) -> str:
    name, count = f"{told['pool']}/{told['name']}", in_flight(told)
    what = (
        f"{count} in flight at {name}" if count else f"a worker that does not tell what {name} has"
    )
    return f"after {seconds:g} s there is still {what}; it stays drained"
