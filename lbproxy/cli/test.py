"""`lbproxy test SCENARIO --config FILE`: does the config do what it should when backends fail?"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from lbproxy.errors import ConfigError


def add_to(commands: Any) -> None:
    """Add the subcommand.

    Args:
        commands: What `ArgumentParser.add_subparsers` gave.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        "test",
        help="play a scenario against a config, with simulated backends",
        description="Plays a scenario against a config: the whole balancer runs, on virtual time "
        "and a network that is not real; no port is opened.",
        epilog="The exit status is 0 if all is as the scenario expects, 1 if not, and 2 if the "
        "scenario or the config is wrong.",
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="a TOML file: docs/scenarios.md")
    parser.add_argument("--config", required=True, metavar="FILE", help="the balancer's config")
    parser.add_argument("--seed", type=_seed, metavar="N", help="instead of the scenario's own")
    parser.add_argument("--svg", metavar="FILE", help="draw the timeline there too")
    parser.add_argument("--json", action="store_true", help="print a JSON document, not a report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play the scenario, and say what came of it."""
    # The balancer whole: other subcommands start faster without it.
    from lbproxy.testing.scenario import report, svg, terminal
    from lbproxy.testing.scenario.play import play

    try:
        result = play(arguments.scenario, arguments.config, arguments.seed)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.svg is not None:
        try:
            Path(arguments.svg).write_text(svg.picture(result), encoding="utf-8")
        except OSError as error:
            print(f"{arguments.svg}: cannot be written: {error.strerror}", file=sys.stderr)
            return 2
    if arguments.json:
        print(json.dumps(report.document(result), indent=2))
    else:
        ink = terminal.BLOCKS if _knows(terminal.BLOCKS.bars) else terminal.LETTERS
        width = shutil.get_terminal_size().columns
        print("\n".join(report.report(result, width, ink)))
    return 0 if result.ok else 1


def _seed(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, found {word}")
    return int(word)


def _knows(letters: str) -> bool:
    """Whether standard output can show these."""
    try:
        letters.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True
