"""Backends by the names that people and workers call them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.discovery.members import configured_name
from lbproxy.errors import AmbiguousBackend, UnknownBackend


def found(
    pools: Sequence[Pool], name: str, pool: str | None, meant: Callable[[str], bool]
) -> tuple[Pool, list[Backend]]:
    """The backends that are meant, all of one pool; at least one.

    Args:
        pools: All that there are.
        name: What was asked for, for people.
        pool: The one that they are in, if that was told.
        meant: Whether a backend's name is that.

    Raises:
        UnknownBackend: If there is none, with what there is.
        AmbiguousBackend: If the pool is not told, and there are some in several.
    """
    asked = [each for each in pools if pool in (None, each.name)]
    among = [(each, [one for one in each.backends if meant(one.name)]) for each in asked]
    among = [(each, those) for each, those in among if those]
    if not among:
        raise UnknownBackend(name, pool, [each.name for each in pools], _there(asked, name))
    if len(among) > 1:
        raise AmbiguousBackend(name, [each.name for each, _ in among])
    return among[0]


def _there(pools: Iterable[Pool], name: str) -> list[str]:
    """What might have been meant: the members of the same name, or the names in the config."""
    names = [backend.name for pool in pools for backend in pool.backends]
    wanted = configured_name(name)
    members = [each for each in names if each != wanted and configured_name(each) == wanted]
    return list(dict.fromkeys(members or map(configured_name, names)))
