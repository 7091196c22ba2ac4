"""The check of a listener's endpoint, which Twisted will parse again when it listens."""

from __future__ import annotations

import re
from typing import Any

import attrs
from twisted.internet.endpoints import serverFromString

from lbproxy.config.kinds import Wrong, expected, guessed, question, shown, text

#: Kinds of endpoint that are known.
_KINDS = ("tcp", "tcp6", "unix", "haproxy", "systemd")

_server_from_string: Any = serverFromString  # Untyped in Twisted.

#: The parts of an endpoint's description: a colon behind a backslash is no border.
_PART = re.compile(r"((?:[^:\\]|\\.)*)(?::|\Z)")
_KEY = re.compile(r"([A-Za-z]+)=(.*)")

_PORT = re.compile(r"tcp6?:(?:.*:port=|port=)?(-?[0-9]+)(?::|\Z)")

#: They would serve, but the backends would be told that the client came without TLS.
_PAST_US = ("ssl", "tls")

#: What a systemd: endpoint says, in the order in which it may do so without the names.
_SYSTEMD = ("domain", "index", "name")
_DOMAINS = ("INET", "INET6", "UNIX")


def endpoint(value: object) -> str:
    """A Twisted server endpoint, such as `tcp:3000`."""
    description = text(value)
    kind, _, rest = description.partition(":")
    if kind in _PAST_US:
        raise Wrong(f"{kind}: is not for a listener; give it a tcp: endpoint, and tls = {{ ... }}")
    if kind not in _KINDS or not rest:
        near = question(guessed(kind, _KINDS))
        raise Wrong(f'expected an endpoint such as "tcp:3000", found {shown(description)}{near}')
    if kind == "haproxy":
        if endpoint(rest).startswith("haproxy:"):
            raise Wrong("haproxy: stands before an endpoint once")
    elif kind == "systemd":
        _check_systemd(description)
    else:
        _parse(description)
    return description


@attrs.frozen
class Place:
    """Where an endpoint listens.

    Attributes:
        kind: `tcp`, `tcp6`, `unix` or `systemd`; of another one only that is known.
        path: Of a Unix socket.
        port: Of TCP, in digits.
        host: The address of that; empty is all of IPv4.
        passed: Which socket of systemd's, by `name` or `index`.
    """

    kind: str
    path: str = ""
    port: str = ""
    host: str = ""
    passed: str = ""


def place(description: str) -> Place:
    """Where a well written endpoint listens."""
    kind, words, named = parts(description)
    said = [*words, "", ""]
    if kind == "unix":
        return Place(kind, path=named.get("address") or said[0])
    if kind in ("tcp", "tcp6"):
        host = named.get("interface", said[1]) or ("::" if kind == "tcp6" else "")
        return Place(kind, port=named.get("port") or said[0], host=host)
    if kind == "systemd":
        index, name = named.get("index") or said[1], named.get("name")
        return Place(kind, passed=f"index {index}" if name is None else f"name {name}")
    return Place(kind)


def parts(description: str) -> tuple[str, list[str], dict[str, str]]:
    """An endpoint's kind, its values, and those with a name."""
    found = [re.sub(r"\\(.)", r"\1", part) for part in _PART.findall(description)]
    words, named = [], {}
    for part in found[1:]:
        key = _KEY.fullmatch(part)
        if key is not None:
            named[key[1]] = key[2]
        elif part:
            words.append(part)
    return found[0], words, named


def _parse(description: str) -> None:
    try:
        _server_from_string(None, description)  # Nothing listens: no reactor is needed.
    except (TypeError, ValueError, IndexError):
        raise expected('an endpoint such as "tcp:3000"', description) from None
    port = _PORT.match(description)
    if port is not None and not 0 <= int(port[1]) <= 65535:
        raise Wrong(f"expected a port from 0 to 65535, found {port[1]}")


def _check_systemd(description: str) -> None:
    """See that it is well written. Whether there is such a socket is known only by who starts."""
    _, words, named = parts(description)
    said = dict(zip(_SYSTEMD, words, strict=False)) | named
    domain, index = said.get("domain"), said.get("index", "0")
    if len(words) + len(named) > len(said) or not said.keys() <= set(_SYSTEMD):
        raise expected('an endpoint such as "systemd:domain=INET:name=web"', description)
    if domain not in _DOMAINS:
        raise Wrong(f"expected domain={' or '.join(_DOMAINS)}, found {shown(description)}")
    if ("index" in said) == ("name" in said):
        raise Wrong(f"expected name=, or index= instead, found {shown(description)}")
    if not (index.isascii() and index.isdecimal()):
        raise Wrong(f"expected a whole number as index, found {shown(index)}")
