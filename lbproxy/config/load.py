"""A config file, read and checked whole: every mistake is told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from cattrs.errors import BaseValidationError

from lbproxy.config.contradictions import contradictions
from lbproxy.config.lines import locate
from lbproxy.config.mistakes import Mistake, line_of, without_echoes
from lbproxy.config.model import Config, ListenerTLS
from lbproxy.config.structure import mistakes_of, structure
from lbproxy.errors import ConfigError

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load(path: str | Path) -> Config:
    """Read a config file.

    Paths in it start from the file's folder.

    Raises:
        ConfigError: With a line for each mistake: `file:line: key.path: message`.
    """
    file = str(path)
    text = _text(file)
    document = _document(file, text)
    folder = Path(path).absolute().parent
    config: Config | None = None
    mistakes: list[Mistake] = []
    try:
        config = structure(document)
    except BaseValidationError as error:
        mistakes += mistakes_of(error)
    mistakes += contradictions(document, folder)
    if config is None or mistakes:
        lines = locate(text)
        told = without_echoes(mistakes)
        told.sort(key=lambda mistake: line_of(mistake.path, lines) or 0)
        raise ConfigError("\n".join(mistake.line(file, lines) for mistake in told))
    return _placed(config, folder)


def _text(file: str) -> str:
    try:
        data = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: cannot read the config: {reason}") from None
    try:
        return data.decode()
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


def _placed(config: Config, folder: Path) -> Config:
    """The config with paths that do not depend on the working directory."""

    def placed(path: Any) -> Any:
        return str(folder / path) if isinstance(path, str) else path

    listeners = tuple(
        attrs.evolve(listener, tls=_tls_placed(listener.tls, placed))
        for listener in config.listeners
    )
    routes = tuple(attrs.evolve(route, static=placed(route.static)) for route in config.routes)
    pools = tuple(
        attrs.evolve(
            pool,
            verify=placed(pool.verify),
            backends=tuple(
                attrs.evolve(backend, verify=placed(backend.verify)) for backend in pool.backends
            ),
        )
        for pool in config.pools
    )
    admin = config.admin
    if admin is not None:
        admin = attrs.evolve(admin, socket=placed(admin.socket))
    access_log = config.access_log
    if access_log != "-":
        access_log = placed(access_log)
    return attrs.evolve(
        config,
        listeners=listeners,
        routes=routes,
        pools=pools,
        access_log=access_log,
        admin=admin,
    )


def _tls_placed(tls: ListenerTLS | None, placed: Callable[[Any], Any]) -> ListenerTLS | None:
    if tls is None:
        return None
    certificates = tuple(placed(file) for file in tls.certificates)
    return attrs.evolve(tls, certificates=certificates, client_ca=placed(tls.client_ca))
