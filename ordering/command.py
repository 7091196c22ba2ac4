"""What the backends' commands have in common: options, the listening socket, and last words."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import socket
import sys
from typing import NoReturn

from attrs import frozen

from ordering.store import DEFAULT_URL, Store


@frozen
class Options:
    """How a backend was asked to run.

    Attributes:
        host: The address it listens on.
        port: 0 for a free one.
        url: Of the store.
        threads: How many requests may use the store at once.
    """

    host: str
    port: int
    url: str
    threads: int


def options_of(program: str, description: str, port: int) -> Options:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=port, help="0 for a free one (%(default)s)")
    parser.add_argument("--threads", type=int, default=8, help="for the store (%(default)s)")
    parser.add_argument(
        "--store",
        metavar="FILE",
        help=f"SQLite file; else DATABASE_URL tells, else it is {DEFAULT_URL}",
    )
    given = parser.parse_args()
    if not 0 <= given.port <= 65535:
        parser.error(f"--port must be from 0 to 65535, not {given.port}")
    if given.threads < 1:
        parser.error(f"--threads must be at least 1, not {given.threads}")
    url = f"sqlite:///{given.store}" if given.store else store_url()
    return Options(given.host, given.port, url, given.threads)


def store_url() -> str:
    """Where the environment says that the store is."""
    return os.environ.get("DATABASE_URL") or DEFAULT_URL


def listen(program: str, options: Options) -> socket.socket:
    """Open the listening socket, or end with one line."""
    host, port = options.host, options.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fail(
                program,
                f"Port {port} of {host} is in use; stop what listens there, "
                "or choose another with --port.",
            )
        fail(program, f"Cannot listen on {host}, port {port}: {error.strerror}.")


def log_to_stdout(program: str) -> None:
    """Send what is worth knowing to standard output, a line each."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format=f"{program}: %(message)s", force=True
    )


def say_ready(program: str, port: socket.socket, store: Store) -> None:
    """Tell that requests can come."""
    host, number = port.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    about = f"store {store.path}, journal {store.journal}"
    print(f"{program}: ready on http://{shown}:{number} ({about})", flush=True)


def fail(program: str, message: str) -> NoReturn:
    """End with one line."""
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(1)
