"""The `lbproxy` command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lbproxy import __version__
from lbproxy.cli import check, drain, reload, roll, status, test, weight


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit status. A wrong command line ends in `SystemExit` with status 2.
    """
    arguments = parser().parse_args(argv)
    ended: int = arguments.run(arguments)
    return ended


def parser() -> argparse.ArgumentParser:
    """What reads the arguments; `run` in what it gives runs the subcommand."""
    made = argparse.ArgumentParser(
        prog="lbproxy",
        description="Looks after an lbproxy; the balancer itself is started with `twistd lbproxy`.",
    )
    made.add_argument("--version", action="version", version=f"lbproxy {__version__}")
    commands = made.add_subparsers(metavar="COMMAND", required=True)
    for command in (check, test, status, drain, weight, roll, reload):
        command.add_to(commands)
    return made
