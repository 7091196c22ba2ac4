"""Make all trials in full, and tell how each ended: `python -m tests.trials`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.integration.wrk import WRK
from tests.trials.keep_alive import keep_alive
from tests.trials.outcome import Outcome
from tests.trials.reloading import reloading
from tests.trials.rolling import rolling

#: 20,000 requests each, six restarts of each backend, and a reload each second for two minutes.
FULL: dict[str, Callable[[Path], Outcome]] = {
    "keep-alive": partial(keep_alive, backend="", clients=500, waves=40),
    "keep-alive-known": partial(keep_alive, backend='server = "gunicorn"', clients=500, waves=40),
    "rolling": partial(rolling, workers=1, rolls=3),
    "rolling-workers": partial(rolling, workers=2, rolls=3),
    "reloading": partial(reloading, workers=1, reloads=60, every=1.0),
    "reloading-workers": partial(reloading, workers=2, reloads=60, every=1.0),
}


def main() -> int:
    """Print a verdict for each; 1 if one failed, or cannot be made here."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(FULL)}")
    names = parser.parse_args().names or list(FULL)
    if unknown := set(names) - set(FULL):
        parser.error(f"there is no trial {', '.join(sorted(unknown))}; there are {', '.join(FULL)}")
    if WRK is None:
        print("The trials need wrk: apt-get install wrk")
        return 1
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lbproxy-trials-") as folder:
        for name in names:
            outcome = FULL[name](Path(folder, name))
            print(f"{name} {outcome.verdict}", flush=True)
            failed += bool(outcome.faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
