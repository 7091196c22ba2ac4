"""The `lbproxy` command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lbproxy import __version__
from lbproxy.cli import check, test


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: The arguments, without the program's name; those of the process by default.

    Returns:
        The exit status. A wrong command line ends in `SystemExit` with status 2.
    """
    parser = argparse.ArgumentParser(
        prog="lbproxy",
        description="Looks after an lbproxy; the balancer itself is started with `twistd lbproxy`.",
    )
    parser.add_argument("--version", action="version", version=f"lbproxy {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check.add_to(commands)
    test.add_to(commands)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status
