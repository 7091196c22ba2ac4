"""What the values of a config may be: each kind checks one value, and says what it expected."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from ipaddress import ip_address, ip_network
from typing import Any

import attrs

from lbproxy.transport.certificates import check_ciphers

#: The longest time, in seconds: a year. Beyond it a value is a slip, and timers overflow.
YEAR = 31_536_000.0

#: The least limit of a request's head, in bytes: real requests are larger.
LEAST_HEAD = 256

#: The most processes that serve.
MOST_WORKERS = 256

#: The greatest integer that every TOML reader knows.
_LARGEST = 2**63

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_ADDRESS = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([0-9]{1,5})")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
_GATEWAY_STATUSES = frozenset((502, 503, 504))


class Wrong(ValueError):
    """A value that its kind does not accept; the text goes behind the key."""


@attrs.frozen
class Kind:
    """A check of one value, for `Annotated`.

    Attributes:
        read: Gives the value for the model, or raises `Wrong`.
    """

    read: Callable[[object], Any]


@attrs.frozen
class Named:
    """Marks a tuple of values that a file writes as a table by name.

    Attributes:
        each: Their class; it has a field `name`.
    """

    each: type


@attrs.frozen
class Switched:
    """Marks a value that `false` turns off, which the model says by `None`.

    Attributes:
        kind: What stands there otherwise.
    """

    kind: Any


def shown(value: object) -> str:
    """A value as TOML would have it, shortened."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case datetime() | date() | time():
            return value.isoformat()
        case float():
            return repr(value)
        case int() if abs(value) > _LARGEST:
            return "a number far too large"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def expected(what: str, value: object) -> Wrong:
    """What is raised for a value that is something else."""
    return Wrong(f"expected {what}, found {shown(value)}")


def guessed(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is near."""
    words = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), words, 1)
    return words[near[0]] if near else None


def question(guess: str | None) -> str:
    """The end of a message that names a guess."""
    return "" if guess is None else f"; did you mean {guess}?"


def number(what: str, least: float, most: float, *, above: bool = False) -> Kind:
    """A number in a range.

    Args:
        what: What it counts, for people.
        least: The smallest value.
        most: The greatest value.
        above: Whether it must be greater than `least`.
    """
    bounds = f"above {least:g}" if above else f"from {least:g}"
    wanted = f"{what} {bounds} to {most:.0f}" if most < YEAR else f"{what} {bounds}, a year at most"

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise expected(wanted, value)
        if not least <= value <= most or (above and value == least):  # NaN is refused too.
            raise expected(wanted, value)
        return float(value)

    return Kind(read)


def count(what: str, least: int, most: int) -> Kind:
    """A whole number in a range, both ends included."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise expected(f"{what} from {least} to {most}", value)
        return value

    return Kind(read)


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise expected("true or false", value)
    return value


def text(value: object) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise expected("a string", value)
    return value


def table(value: object) -> dict[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise expected("a table", value)
    return value


def elements(value: object) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise expected("a list", value)
    return value


def one_of(known: Iterable[str], others: Callable[[], Iterable[str]] = tuple) -> Kind:
    """One of some words.

    Args:
        known: Those that are accepted.
        others: Gives more of them; it is asked only about a word that is not known.
    """
    words = tuple(known)

    def read(value: object) -> str:
        word = text(value)
        if word not in words:
            known_too = (*words, *others())
            if word not in known_too:
                guess = question(guessed(word, known_too))
                raise Wrong(f"expected {' or '.join(known_too)}, found {shown(word)}{guess}")
        return word

    return Kind(read)


def backend_name(value: object) -> str:
    """A name that can stand in `X-Served-By`."""
    word = text(value)
    if not word.isascii() or word != word.strip():
        raise expected("a name in ASCII, since X-Served-By carries it", word)
    if "@" in word:
        raise expected('a name without "@", which stands in those of members that DNS has', word)
    return word


def hash_key(value: object) -> str:
    """What of a request a policy hashes."""
    word = text(value)
    kind, colon, name = word.partition(":")
    named = colon and kind in ("header", "cookie") and _TOKEN.fullmatch(name)
    if word not in ("client", "path") and not named:
        raise expected('"client", "path", "header:NAME" or "cookie:NAME"', word)
    return word


def hedge_after(value: object) -> float | str:
    """When a hedge begins: a percentile such as `p95`, or seconds."""
    if isinstance(value, str):
        if not re.fullmatch(r"p[5-9][0-9]", value):
            raise expected('"p50" to "p99", or seconds', value)
        return value
    seconds: float = number("seconds", 0.0, YEAR, above=True).read(value)
    return seconds


def address(value: object) -> str:
    """Where a backend listens: `host:port`, `[v6]:port`, `unix:/path` or `srv:name`."""
    where = text(value)
    wrong = expected('"host:port", "[v6]:port", "unix:/path" or "srv:name"', where)
    if where.startswith("srv:"):
        if not _HOST.fullmatch(where[4:]) or re.fullmatch(r"[0-9.]+", where[4:]):
            raise wrong
        return where
    if where.startswith("unix:"):
        if not where.startswith("unix:/"):
            raise wrong
        return where
    found = _ADDRESS.fullmatch(where)
    if found is None:
        raise wrong
    v6, name, port = found.groups()
    if not 1 <= int(port) <= 65535:
        raise Wrong(f"expected a port from 1 to 65535, found {port}")
    if v6 is not None:
        _ip(v6, 6, wrong)
    elif re.fullmatch(r"[0-9.]+", name):
        _ip(name, 4, wrong)
    elif not _HOST.fullmatch(name):
        raise wrong
    return where


def _ip(value: str, version: int, wrong: Wrong) -> None:
    try:
        found = ip_address(value).version
    except ValueError:
        raise wrong from None
    if found != version:
        raise wrong


def network(value: object) -> Any:
    """An address, or a network such as `10.0.0.0/8`."""
    where = text(value)
    try:
        return ip_network(where)
    except ValueError as error:
        raise Wrong(f"expected an address or a network: {error}") from None


def prefix(value: object) -> str:
    """The path of a route, as requests are compared with it: decoded, and without `.` and `..`."""
    path = text(value)
    if not path.startswith("/"):
        raise expected('a path that begins with "/"', path)
    if any(mark in path for mark in "%?#"):
        raise Wrong(f'a path is compared decoded, without its query: no "%", "?" or "#" in {path}')
    segments = path.split("/")[1:]
    if "" in segments[:-1] or "." in segments or ".." in segments:
        raise Wrong(f'a path is compared without empty, "." and ".." segments: {path}')
    return path


def plugged(what: str, names: Callable[[], Iterable[str]]) -> Kind:
    """The name of something that plugins have.

    Args:
        what: What that is, for people.
        names: Gives all that there are.
    """

    def read(value: object) -> str:
        word = text(value)
        known = list(names())
        if word not in known:
            there = f"known are {', '.join(known)}" if known else "no plugin has any"
            guess = question(guessed(word, known))
            raise Wrong(f"there is no {what} {shown(word)}; {there}{guess}")
        return word

    return Kind(read)


def host(value: object) -> str:
    """A name that requests ask for, without a port."""
    name = text(value)
    if name.startswith("[") and name.endswith("]"):
        _ip(name[1:-1], 6, expected("a host name", name))
    elif not _HOST.fullmatch(name):
        raise expected("a host name without scheme, port or wildcard", name)
    return name


def server_name(value: object) -> str:
    """A name that a certificate is for."""
    name = text(value)
    if not _HOST.fullmatch(name) or re.fullmatch(r"[0-9.]+", name):
        raise expected("a host name without scheme, port or wildcard", name)
    return name


def verify(value: object) -> bool | str:
    """Whether a certificate is verified, or by which authorities."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise expected("true, false or a PEM file", value)
    return text(value)


def ciphers(value: object) -> str:
    """Ciphers of TLS 1.2."""
    words = text(value)
    if not check_ciphers(words):
        raise expected("ciphers of TLS 1.2 as OpenSSL writes them", words)
    return words


def server_names(value: object) -> str:
    """A name that TLS clients ask for, or `*.` before one for all names below it."""
    name = text(value)
    if not _HOST.fullmatch(name.removeprefix("*.")) or name.endswith("."):
        raise expected('a name such as "db.example" or "*.example"', name)
    return name


def method(value: object) -> str:
    """A request's method."""
    word = text(value)
    if not _TOKEN.fullmatch(word):
        raise expected("a method", word)
    if word not in _METHODS and word.upper() in _METHODS:
        raise Wrong(f"methods are case-sensitive: did you mean {word.upper()}?")
    return word


def headers(value: object) -> tuple[tuple[str, str], ...]:
    """Fields by name."""
    for name, content in table(value).items():
        if not _TOKEN.fullmatch(name):
            raise expected("names of header fields", name)
        if not isinstance(content, str) or not content.isprintable() or content != content.strip():
            raise expected(f"the value of {name} as a string", content)
    return tuple(table(value).items())


def gateway_statuses(value: object) -> frozenset[int]:
    """Some of 502, 503 and 504."""
    for status in elements(value):
        if not isinstance(status, int) or status not in _GATEWAY_STATUSES:
            raise expected("a list of 502, 503 or 504", status)
    return frozenset(elements(value))


def workers(value: object) -> int:
    """How many processes serve; `auto` is one for each core that this one may use."""
    if value == "auto":
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_WORKERS:
        raise expected(f'"auto", or a whole number from 1 to {MOST_WORKERS}', value)
    return value
