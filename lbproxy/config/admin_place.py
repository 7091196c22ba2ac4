"""The admin listener is for no client: no backend may be it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path as FilePath
from typing import Any

from lbproxy.config.endpoint import place
from lbproxy.config.model import Admin

#: By which a machine reaches itself, whatever its addresses.
_ITSELF = "itself"


def places_of(admin: object, folder: FilePath) -> set[str]:
    """Where the admin listener is reached, in the words of `place_of`.

    Args:
        admin: What the document says of it, right or wrong.
        folder: Where relative paths start.
    """
    if admin is False:
        return set()
    table = admin if isinstance(admin, dict) else {}
    endpoint, socket = table.get("endpoint", Admin().endpoint), table.get("socket")
    places = set(_listens_at(endpoint)) if isinstance(endpoint, str) else set()
    if isinstance(socket, str):
        places.add(os.path.normpath(folder / socket))
    return places


def place_of(address: object) -> str | None:
    """Where a backend is: one word for all by which a machine reaches itself; or a socket."""
    if not isinstance(address, str):
        return None
    if address.startswith("unix:"):
        return os.path.normpath(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return f"{_host(host.strip('[]'))}:{port.lstrip('0')}"


def _listens_at(endpoint: str) -> Iterator[str]:
    where = place(endpoint)
    if where.path:
        yield os.path.normpath(where.path)
    elif where.port:
        yield f"{_host(where.host)}:{where.port}"


def _host(host: str) -> str:
    name = host.lower().rstrip(".")
    if name in ("", "localhost") or name.endswith(".localhost"):
        return _ITSELF
    try:
        found: Any = ip_address(name)
    except ValueError:
        return name
    found = getattr(found, "ipv4_mapped", None) or found
    return _ITSELF if found.is_loopback or found.is_unspecified else str(found)
