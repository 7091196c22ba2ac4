"""The balancer that runs and watches over the shop's two backends."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.processes import CONFIG, ROOT, Process, free_port

#: Runs the balancer with the shop's backends on the ports that its arguments tell.
START = """\
import sys
from lbproxy.control import backends
backends.BACKENDS = tuple(
    (name, module, int(port))
    for (name, module, _), port in zip(backends.BACKENDS, (sys.argv.pop(1), sys.argv.pop(1)))
)
from twisted.scripts.twistd import run
run()
"""


def supervised(folder: Path, admin: str = "admin = false", pool: str = "") -> Process:
    """Start it, all on free ports, with an empty store.

    Args:
        folder: Where its files are.
        admin: What the config says of the admin listener, and before it.
        pool: More keys of the pool's table.
    """
    klein, flask = free_port(), free_port()
    config = folder / "lbproxy.toml"
    text = CONFIG.format(public=ROOT / "public", klein=klein, flask=flask)
    text = text.replace("admin = false\n", f"{admin}\n")
    config.write_text(text.replace("[pools.api]\n", f"[pools.api]\n{pool}\n"))
    arguments: list[str | Path] = [
        "--nodaemon",
        "--pidfile=",
        "lbproxy",
        "--with-backends",
        "--config",
        config,
    ]
    return Process(
        [sys.executable, "-c", START, str(klein), str(flask), *arguments],
        environment={"DATABASE_URL": f"sqlite:///{folder / 'shop.sqlite3'}"},
        directory=folder,
    )


def pid_of(backend: str, parent: Process) -> int:
    """The process that the balancer started for a backend."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    named = f"backend_{backend}".encode()
    return next(int(pid) for pid in children if named in Path(f"/proc/{pid}/cmdline").read_bytes())
