"""`lbproxy check FILE`: is the config right?"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from lbproxy.config.load import load
from lbproxy.config.pem import doubts
from lbproxy.errors import ConfigError


def add_to(commands: Any) -> None:
    """Add the subcommand.

    Args:
        commands: What `ArgumentParser.add_subparsers` gave.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="check a config file",
        description="Checks a config file and tells every mistake in it; starts nothing.",
        epilog="The exit status is 0 if the config is right, else 1.",
    )
    parser.add_argument("file", metavar="FILE", help="a TOML file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the file, and say what is in it or what is wrong with it."""
    try:
        config = load(arguments.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    for doubt in doubts(config, datetime.now(UTC).timestamp()):
        print(f"{arguments.file}: warning: {doubt}", file=sys.stderr)
    backends = sum(len(pool.backends) for pool in config.pools)
    parts = (
        _counted(len(config.listeners), "listener"),
        _counted(len(config.routes), "route"),
        _counted(len(config.pools), "pool"),
        _counted(backends, "backend"),
    )
    print(f"{arguments.file}: ok ({', '.join(parts)})")
    return 0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
