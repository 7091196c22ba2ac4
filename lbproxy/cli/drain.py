"""`lbproxy drain` and `lbproxy undrain`: a backend gets nothing new, and then something again."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lbproxy.cli import arguments, words
from lbproxy.cli.client import Client, Failed

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
    name = words.name(told)
    if not asked.json:
        count = told["backend"]["in_flight"]
        print(f"{name} gets nothing new; {count} in flight", flush=True)
    if asked.wait:

        async def finished() -> bool:
            nonlocal told
            told = {**told, **find(await client.status(), told["pool"], asked.name)}
            return is_idle(told)

        if not await client.eventually(asked.timeout, finished):
            raise Failed(_unfinished(name, told, asked.timeout))
        if not told["backend"]["draining"]:
            raise Failed(f"{name} takes requests again: its drain was ended meanwhile")
        if not asked.json:
            print(f"{name} has finished")
    if asked.json:
        print(json.dumps(told, indent=2))
    return 0


async def undrain(client: Client, asked: argparse.Namespace) -> int:
    """End a drain."""
    told = await client.tell("/undrain", arguments.said(asked))
    name, backend = words.name(told), told["backend"]
    if words.asks_for_none(backend):
        raise Failed(f"{name} wants no requests itself: {words.notes(backend)}")
    if backend["draining"]:
        raise Failed(
            f"{name} has the weight 0 in the config; give it another one: lbproxy weight"
            f" {backend['name']} N"
        )
    what = "takes requests again" if told["changed"] else "was not drained"
    down = "" if backend["available"] else f", but is {backend['state']}"
    print(f"{name} {what}{down}")
    return 0


def find(status: dict[str, Any], pool: str, backend: str) -> dict[str, Any]:
    """A backend in a status, in the shape of an answer to a change.

    Raises:
        Failed: If it is not there any more.
    """
    for each in status["pools"]:
        for entry in each["backends"]:
            if (each["name"], entry["name"]) == (pool, backend):
                return {"pool": pool, "backend": entry, "complete": status["complete"]}
    raise Failed(f"{pool}/{backend} is not there any more")


def is_idle(told: dict[str, Any]) -> bool:
    """Whether nothing is in flight at a backend, in any worker, as far as all have told."""
    return bool(told["complete"]) and told["backend"]["in_flight"] == 0


def _unfinished(name: str, told: dict[str, Any], seconds: float) -> str:
    count = told["backend"]["in_flight"]
    what = (
        f"{count} in flight at {name}" if count else f"a worker that does not tell what {name} has"
    )
    return f"after {seconds:g} s there is still {what}; it stays drained"
