"""`lbproxy roll`: one backend after another is drained, started anew, and warmed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError

from lbproxy.cli import arguments
from lbproxy.cli.client import Client, Failed
from lbproxy.cli.restart import Restart
from lbproxy.cli.steps import Roll, steps_of


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = arguments.command(
        commands,
        "roll",
        story,
        "drain, restart and warm one backend after another",
        "It stops at the first backend that does not come back, and leaves it drained. The exit"
        " status is 0 if all came back, else 1; 2 is a wrong command line.",
    )
    parser.add_argument("--pool", help="only the backends of this pool")
    parser.add_argument(
        "--command",
        metavar="COMMAND",
        help="what restarts a backend, with {name} and {address} in it, such as 'systemctl restart"
        " {name}'; it is run without a shell. By default the balancer is asked, which can restart"
        " what it supervises itself (--with-backends)",
    )
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=arguments.duration,
        default=120.0,
        help="how long to wait at most for what runs at a backend, and then for its return: 90,"
        " 10m, 2h; by default 2m",
    )
    parser.add_argument(
        "--pause",
        metavar="TIME",
        type=arguments.duration,
        help="how long to wait before the next backend; by default until its slow start is over",
    )
    parser.add_argument(
        "--force", action="store_true", help="even where no other backend takes the requests"
    )
    arguments.noted(parser, "roll")


async def story(client: Client, asked: argparse.Namespace) -> int:
    """Roll, and say each step."""
    restart = None if asked.command is None else Restart(asked.command)
    await rolled(client, asked, restart, _say, _warn)
    return 0


async def rolled(
    client: Client,
    asked: argparse.Namespace,
    restart: Restart | None,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Roll.

    Args:
        client: Asks the balancer.
        asked: The command line.
        restart: Starts a backend anew; without it the balancer does.
        say: Takes each line for people.
        warn: Takes what is not rolled.

    Raises:
        Failed: If it has to stop.
    """
    roll = Roll(client, asked, restart, say)
    steps = steps_of(await client.status(), asked.pool)
    roll.check(steps)
    for place, step in enumerate(steps):
        try:
            await roll.take(step)
        except (Failed, CancelledError):
            left = ", ".join(each.name for each in steps[place + 1 :])
            if left:
                warn(f"not rolled: {left}")
            raise
    say(f"rolled {len(steps)}: {', '.join(step.name for step in steps)}")


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(line, file=sys.stderr)
