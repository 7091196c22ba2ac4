"""The PEM files that a config names, and what does not go together in its TLS tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake, key_path
from lbproxy.config.model import Config
from lbproxy.transport.certificates import (
    BadCertificate,
    Identity,
    read_authorities,
    read_identity,
    shadowed,
)


def listener_mistakes(path: Path, listener: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    """What is wrong with a listener's `tls`, besides its shape.

    Args:
        path: Where the listener is.
        listener: Its table, as it came.
        folder: Where relative paths start.
    """
    tls = listener.get("tls")
    if not isinstance(tls, dict):
        return
    path = (*path, "tls")
    endpoint = listener.get("endpoint")
    if isinstance(endpoint, str) and endpoint.startswith("haproxy:"):
        yield Mistake(path, "does not go with a haproxy: endpoint in this version")
    if "client_auth" in tls and "client_ca" not in tls:
        yield Mistake((*path, "client_auth"), "goes only with client_ca, which says whose clients")
    if "ciphers" in tls and tls.get("min_version") == "1.3":
        yield Mistake((*path, "ciphers"), "are those of TLS 1.2, and min_version is 1.3")
    yield from _identities((*path, "certificates"), tls.get("certificates"), folder)
    yield from _authorities((*path, "client_ca"), tls.get("client_ca"), folder)


def upstream_mistakes(
    path: Path, backend: dict[str, Any], pool: dict[str, Any], folder: FilePath
) -> Iterator[Mistake]:
    """What is wrong with how a backend, or by default those of a pool, speak TLS.

    Args:
        path: Where the table is.
        backend: The backend's table, or the pool's, as it came.
        pool: The pool's table.
        folder: Where relative paths start.
    """
    tls = backend.get("tls", pool.get("tls", False))
    if tls is False:
        others = pool.get("backends") if backend is pool else None
        if isinstance(others, list) and any(
            isinstance(other, dict) and other.get("tls") is True for other in others
        ):
            tls = True
    if tls is False:
        for key in ("verify", "sni"):
            if key in backend:
                yield Mistake((*path, key), "goes only with tls = true")
    verify = backend.get("verify", pool.get("verify", True))
    address = backend.get("address")
    if (
        tls is True
        and verify is not False
        and isinstance(address, str)
        and address.startswith(("unix:", "srv:"))
        and "sni" not in backend
        and "sni" not in pool
    ):
        # What DNS answers is no proof of a name: whoever can forge it would choose his own.
        kind = address.partition(":")[0]
        yield Mistake(path, f"without sni there is no name to verify for a {kind}: address")
    yield from _authorities((*path, "verify"), backend.get("verify"), folder)


def doubts(config: Config, now: float) -> list[str]:
    """What the owner of the certificates should know although they can be used.

    Args:
        config: As `load` gave it.
        now: Seconds since 1970.
    """
    found = []
    for listener in config.listeners:
        for place, file in enumerate(listener.tls.certificates if listener.tls else ()):
            doubt = read_identity(file).doubt(now)
            if doubt is not None:
                key = key_path(("listeners", listener.name, "tls", "certificates", place))
                found.append(f"{key}: {doubt}")
    return found


def _identities(path: Path, files: object, folder: FilePath) -> Iterator[Mistake]:
    if not isinstance(files, list):
        return
    if not files:
        yield Mistake(path, "at least one is needed")
    places: list[int] = []
    found: list[Identity] = []
    for place, file in enumerate(files):
        if not _is_path(file):
            continue
        try:
            found.append(read_identity(str(folder / file)))
            places.append(place)
        except BadCertificate as error:
            yield Mistake((*path, place), str(error))
    for later, earlier in shadowed(found):
        message = f"never used: {key_path((*path, places[earlier]))} has all of its names"
        yield Mistake((*path, places[later]), message)


def _authorities(path: Path, file: object, folder: FilePath) -> Iterator[Mistake]:
    if _is_path(file):
        try:
            read_authorities(str(folder / str(file)))
        except BadCertificate as error:
            yield Mistake(path, str(error))


def _is_path(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()
