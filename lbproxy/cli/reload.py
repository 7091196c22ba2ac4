"""`lbproxy reload`: the balancer reads its config again, and says what has changed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from lbproxy.cli import arguments
from lbproxy.cli.client import Client, Failed

EPILOG = (
    "Exit status: 0 when the config is served, 1 when it was refused and nothing has changed. The"
    " balancer reads the file that it was started with, and another --config is refused; a SIGHUP"
    " to it does the same."
)


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = arguments.command(
        commands, "reload", story, "have the balancer read its config again", EPILOG
    )
    arguments.noted(parser)


async def story(client: Client, asked: argparse.Namespace) -> int:
    """Have it read, and print the plan that was carried out."""
    if asked.config is not None and asked.admin is None:  # Else its paths may not be ours.
        _check_same((await client.status())["config"], asked.config)
    told = await client.tell("/reload", {"author": asked.author, "reason": asked.reason})
    if told["config"] is not None:
        print(f"{told['config']}:")
    print("\n".join(told["plan"]))
    if not told["complete"]:
        print("lbproxy: a worker has not said yet that it serves this", file=sys.stderr)
    return 0


def _check_same(served: str | None, asked: str) -> None:
    """See that the balancer's config is the one that was named.

    Raises:
        Failed: If it is another one.
    """
    if served is None:
        raise Failed(f"the balancer runs without a config file, so it does not read {asked}")
    if os.path.realpath(served) != os.path.realpath(asked):
        raise Failed(
            f"the balancer was started with {served}, and reads that and not {asked}; nothing was"
            " done"
        )
