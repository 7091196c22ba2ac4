"""A TOML file read and checked whole, into values: every mistake is told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any, TypeVar

from cattrs.errors import BaseValidationError

from lbproxy.config.lines import locate
from lbproxy.config.mistakes import Mistake, line_of, without_echoes
from lbproxy.config.structure import mistakes_of, structure
from lbproxy.errors import ConfigError

T = TypeVar("T")

#: Finds what cannot be true together, in what `tomllib` gave.
Contradictions = Callable[[dict[str, Any]], Iterable[Mistake]]

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def read(
    path: str | Path,
    what: str,
    kind: type[T],
    contradictions: Contradictions,
    only: Container[str] | None = None,
) -> T:
    """Read a file.

    Args:
        path: The file.
        what: What it is, for people.
        kind: The attrs class of the whole.
        contradictions: What else is wrong with it; asked whether or not the values alone are right.
        only: The keys that are looked at; by default all.

    Raises:
        ConfigError: With a line for each mistake: `file:line: key.path: message`.
    """
    file = str(path)
    text = _text(file, what)
    document = _document(file, text)
    if only is not None:
        document = {key: each for key, each in document.items() if key in only}
    value: T | None = None
    mistakes: list[Mistake] = []
    try:
        value = structure(document, kind)
    except BaseValidationError as error:
        mistakes += mistakes_of(error)
    mistakes += contradictions(document)
    if value is None or mistakes:
        lines = locate(text)
        told = without_echoes(mistakes)
        told.sort(key=lambda mistake: line_of(mistake.path, lines) or 0)
        raise ConfigError("\n".join(mistake.line(file, lines) for mistake in told))
    return value


def _text(file: str, what: str) -> str:
    try:
        data = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: cannot read the {what}: {reason}") from None
    try:
        # Some editors begin a file with a mark of its encoding, which is no TOML.
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: not UTF-8, which TOML is written in") from None


def _document(file: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _PLACE.search(message)
        if found is None:
            raise ConfigError(f"{file}: not TOML: {message}") from None
        line = found[1] or text.rstrip("\n").count("\n") + 1
        raise ConfigError(f"{file}:{line}: not TOML: {message[: found.start()]}") from None
    except ValueError:
        raise ConfigError(f"{file}: not TOML: a number far too large") from None
    except RecursionError:
        raise ConfigError(f"{file}: lists or tables are nested too deeply") from None
