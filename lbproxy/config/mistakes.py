"""A mistake in a config, and how a user reads of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import attrs

from lbproxy.config.lines import Path

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen
class Mistake:
    """What is wrong with one value.

    Attributes:
        path: The value's place in the file, or where it should be.
        message: What is wrong, and what was expected.
        meant: The path that was probably meant, if the key does not exist.
        wanted: The paths of which one is missing, if that is the mistake.
    """

    path: Path
    message: str
    meant: Path | None = None
    wanted: tuple[Path, ...] = ()

    def line(self, file: str, lines: Mapping[Path, int]) -> str:
        """The mistake as one line.

        Args:
            file: The file's name.
            lines: The lines of its keys; of what is missing, the table's is told.
        """
        number = line_of(self.path, lines)
        where = file if number is None else f"{file}:{number}"
        key = key_path(self.path)
        return f"{where}: {key}: {self.message}" if key else f"{where}: {self.message}"


def line_of(path: Path, lines: Mapping[Path, int]) -> int | None:
    """The line of a value, or of the closest table around it that has one."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def key_path(path: Path) -> str:
    """A path as people write it: `pools.api.backends[0].weight`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
            continue
        key = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
        written += f".{key}" if written else key
    return written


def without_echoes(mistakes: list[Mistake]) -> list[Mistake]:
    """Leave out what is only missing because its key has a typo, which is told already."""
    meant = {mistake.meant for mistake in mistakes}
    return [mistake for mistake in mistakes if meant.isdisjoint(mistake.wanted)]
