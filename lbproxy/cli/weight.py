"""`lbproxy weight`: a backend gets another share of the requests."""

from __future__ import annotations

import argparse
from typing import Any

from lbproxy.cli import arguments, words
from lbproxy.cli.client import Client
from lbproxy.cli.drain import EPILOG


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = arguments.command(
        commands, "weight", story, "give a backend another share of the requests", EPILOG
    )
    arguments.backend(parser)
    parser.add_argument(
        "weight",
        metavar="N",
        type=_weight,
        help="from 0, which drains it, to 1000; or config for the weight that the config has",
    )
    arguments.noted(parser)
    arguments.for_a_while(parser)


async def story(client: Client, asked: argparse.Namespace) -> int:
    """Weigh it, and say what it has now."""
    number = None if asked.weight == "config" else asked.weight
    told = await client.tell("/weight", {**arguments.said(asked), "weight": number})
    for backend in told["backends"]:
        name, notes = words.name(told, backend), words.notes(backend)
        print(f"{name} has the weight {words.weight(backend)}{notes and f'; {notes}'}")
    print(words.replaced(told), end="")
    return 0


def _weight(word: str) -> int | str:
    if word == "config":
        return word
    if not word.isdecimal() or int(word) > 1000:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 to 1000, or config, found {word}"
        )
    return int(word)
