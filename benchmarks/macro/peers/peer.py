"""What every measured proxy can tell and do, and the place that it is given."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import attrs

#: Seconds for which a program may think about its own version or config.
PATIENCE = 20.0


class Kind(Enum):
    """What a proxy is to do."""

    HTTP = "http"
    TLS = "tls"
    TCP = "tcp"
    STATIC = "static"


@attrs.frozen
class Place:
    """Where a proxy runs, and before whom.

    Attributes:
        kind: What it is to do.
        folder: For its config, its log and whatever else it writes.
        port: Where it listens on the loopback address.
        spare_port: Another free one, for what it may need besides.
        origins: The ports of the origin.
        site: The folder with the files that the origin serves.
        certificate: A PEM file with a chain and a key.
        sink: A port that takes the lines of an access log over TCP.
    """

    kind: Kind
    folder: Path
    port: int
    spare_port: int
    origins: Sequence[int]
    site: Path
    certificate: Path
    sink: int

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@attrs.frozen
class Command:
    """How a proxy is started.

    Attributes:
        arguments: The program and its arguments.
        environment: Added to our own.
        notes: What a reader of the numbers must know, a line each.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str] = attrs.Factory(dict)
    notes: Sequence[str] = ()


class NotBuilt(Exception):
    """The proxy cannot do what is asked of it; the text says what was refused."""


class Peer(Protocol):
    """A proxy that can be measured."""

    @property
    def name(self) -> str:
        """As on the command line and in the results."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it can do."""

    @property
    def install(self) -> str:
        """What to say to someone who does not have it."""

    def version(self) -> str | None:
        """Which version is installed, or `None`."""

    def prepare(self, place: Place) -> Command:
        """Write the config.

        Raises:
            NotBuilt: If this version cannot do it.
        """


def asked_version(arguments: Sequence[str], pattern: str) -> str | None:
    """What a program says of its version, or `None` if it is not there."""
    try:
        said = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
            text=True,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, said)
    return found[1] if found else None
