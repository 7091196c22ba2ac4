"""A config file, read and checked whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import attrs

from lbproxy.config.contradictions import admin_contradictions, contradictions
from lbproxy.config.document import Contradictions, read
from lbproxy.config.kinds import Switched
from lbproxy.config.mistakes import Mistake
from lbproxy.config.model import Admin, Config, ListenerTLS


def load(path: str | Path, more: Contradictions | None = None) -> Config:
    """Read a config file.

    Paths in it start from the file's folder.

    Args:
        path: The file.
        more: Finds what is wrong with it for whom it is read.

    Raises:
        ConfigError: With a line for each mistake: `file:line: key.path: message`.
    """
    folder = Path(path).absolute().parent

    def wrong(document: dict[str, Any]) -> Iterable[Mistake]:
        yield from contradictions(document, folder)
        if more is not None:
            yield from more(document)

    config = read(path, "config", Config, wrong)
    return _placed(config, folder)


@attrs.frozen
class _AdminAlone:
    admin: Annotated[Admin | None, Switched(Admin)] = attrs.field(factory=Admin)


def load_admin(path: str | Path) -> Admin | None:
    """Read of a config file only where its balancer can be asked, whatever else it says.

    So a balancer can be asked that runs by the file as it was before.

    Raises:
        ConfigError: As for `load`.
    """
    alone = read(path, "config", _AdminAlone, admin_contradictions, only=("admin",))
    return _admin_placed(alone.admin, Path(path).absolute().parent)


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
    access_log = config.access_log
    if access_log != "-":
        access_log = placed(access_log)
    return attrs.evolve(
        config,
        listeners=listeners,
        routes=routes,
        pools=pools,
        access_log=access_log,
        admin=_admin_placed(config.admin, folder),
    )


def _admin_placed(admin: Admin | None, folder: Path) -> Admin | None:
    if admin is None or admin.socket is None:
        return admin
    return attrs.evolve(admin, socket=str(folder / admin.socket))


def _tls_placed(tls: ListenerTLS | None, placed: Callable[[Any], Any]) -> ListenerTLS | None:
    if tls is None:
        return None
    certificates = tuple(placed(file) for file in tls.certificates)
    return attrs.evolve(tls, certificates=certificates, client_ca=placed(tls.client_ca))
