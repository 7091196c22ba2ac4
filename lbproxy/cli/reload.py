"""`lbproxy reload`: the balancer reads its config again, and says what has changed."""

from __future__ import annotations

import argparse
from typing import Any

from lbproxy.cli import arguments
from lbproxy.cli.client import Client

EPILOG = (
    "Exit status: 0 when the config is served, 1 when it was refused and nothing has changed. The"
    " balancer reads the file that it was started with; a SIGHUP to it does the same."
)


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = arguments.command(
        commands, "reload", story, "have the balancer read its config again", EPILOG
    )
    arguments.noted(parser)


async def story(client: Client, asked: argparse.Namespace) -> int:
    """Have it read, and print the plan that was carried out."""
    told = await client.tell("/reload", {"author": asked.author, "reason": asked.reason})
    print("\n".join(told["plan"]))
    return 0
