"""`lbproxy status`: who takes requests, and who does not and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lbproxy.cli import arguments, words
from lbproxy.cli.client import Client

_HEAD = ("backend", "address", "state", "weight", "in flight", "last probe", "")


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = arguments.command(
        commands,
        "status",
        story,
        "say how a balancer and its backends are",
        "The exit status is 0 if the balancer has told, else 1; 2 is a wrong command line.",
    )
    parser.add_argument("--json", action="store_true", help="the whole answer, for programs")


async def story(client: Client, asked: argparse.Namespace) -> int:
    """Ask, and say it."""
    told = await client.status()
    print(json.dumps(told, indent=2) if asked.json else text(told), end="\n" if asked.json else "")
    return 0


def text(told: dict[str, Any]) -> str:
    """The answer for people."""
    parts = [
        f"lbproxy {told['version']}: {told['status']}, up for {words.span(told['uptime'])}\n\n",
        words.aligned(
            [
                ("listener", "mode", "address"),
                *(
                    (each["name"], each["mode"], each["address"] or each["endpoint"])
                    for each in told["listeners"]
                ),
            ]
        ),
        "\n",
        words.aligned(
            [
                ("worker", "pid", "state", "restarts"),
                *(
                    (
                        str(each["worker"]),
                        str(each["pid"] or "-"),
                        each["state"],
                        str(each["restarts"]),
                    )
                    for each in told["workers"]
                ),
            ]
        ),
    ]
    for pool in told["pools"]:
        rows = [
            (
                each["name"],
                each["address"],
                each["state"],
                words.weight(each),
                str(each["in_flight"]),
                words.probe(each),
                words.notes(each),
            )
            for each in pool["backends"]
        ]
        title = f"pool {pool['name']} ({pool['balancer']}){words.breaker(pool)}"
        parts += [f"\n{title}\n", words.aligned([_HEAD, *rows])]
    if not told["complete"]:
        parts.append("\nA worker does not answer: more may be in flight than is told here.\n")
    return "".join(parts)
