"""Arguments that several commands have, and what they say by default."""

from __future__ import annotations

import argparse
import getpass
import os
import re
from typing import Any

from lbproxy.cli.client import Story, run

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(word: str) -> float:
    """Seconds, from `90`, `90s`, `10m`, `2h` or `1d`."""
    found = _DURATION.fullmatch(word)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 90, 10m or 2h, found {word}")
    return float(found[1]) * _UNITS[found[2]]


def command(commands: Any, name: str, story: Story, brief: str, epilog: str) -> Any:
    """Add a command that asks a balancer; its parser.

    Args:
        commands: What `ArgumentParser.add_subparsers` gave.
        name: As it is called.
        story: What it does.
        brief: The same in a line, without a full stop.
        epilog: What the exit status says.
    """
    parser = commands.add_parser(
        name, help=brief, description=f"{brief[0].upper()}{brief[1:]}.", epilog=epilog
    )
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="the balancer's config, where its [admin] is read"
    )
    parser.add_argument(
        "--admin", metavar="WHERE", help="its admin listener: http://HOST:PORT, or a socket's path"
    )
    parser.set_defaults(run=run, story=story)
    return parser


def backend(parser: Any) -> None:
    """Of which backend it is."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the backend's name, or that in the config of all members that DNS has",
    )
    parser.add_argument("--pool", help="its pool, where several have one of that name")


def noted(parser: Any, reason: str = "") -> None:
    """Who wants it, and why."""
    parser.add_argument("--reason", metavar="TEXT", default=reason, help="why, for the log")
    parser.add_argument(
        "--author", metavar="TEXT", default=_user(), help="who, for the log; by default the user"
    )


def for_a_while(parser: Any) -> None:
    """For how long it holds."""
    parser.add_argument(
        "--for",
        metavar="TIME",
        dest="seconds",
        type=duration,
        help="after this time it is over by itself: 90, 10m, 2h",
    )


def said(asked: argparse.Namespace) -> dict[str, Any]:
    """What these arguments say, as the admin listener reads it."""
    keys = {"backend": "name", "pool": "pool", "author": "author", "reason": "reason"}
    values = {key: getattr(asked, name) for key, name in keys.items()}
    values["for"] = getattr(asked, "seconds", None)
    return {key: value for key, value in values.items() if value is not None}


def _user() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # A container's user may have no name.
        return f"uid {os.getuid()}"
