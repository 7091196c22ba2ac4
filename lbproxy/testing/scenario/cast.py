"""The backends of a config as machines, and the names by which a scenario calls them."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lbproxy.config import model
from lbproxy.config.model import KEEP_ALIVE, Config
from lbproxy.testing.scenario.model import ALL, Behaviour, Scenario

#: Seconds for which an idle connection is kept by a server of which the config says nothing.
USUAL_KEEP_ALIVE = 5.0


@attrs.frozen
class Role:
    """A machine: all backends of the config that have one address.

    Attributes:
        label: How it is called here: its name, or `pool/name` if another one has that name too.
        address: As in the config.
        names: Each `pool/name` that leads to it.
        claimed: Its backend in the config, of the first pool that has it.
    """

    label: str
    address: str
    names: frozenset[str]
    claimed: model.Backend


class Cast:
    """All of them.

    Attributes:
        roles: In the order of the config.
    """

    def __init__(self, config: Config) -> None:
        named: dict[str, set[str]] = {}
        addresses: dict[str, list[tuple[str, model.Backend]]] = {}
        for pool in config.pools:
            for backend in pool.backends:
                named.setdefault(backend.name, set()).add(backend.address)
                addresses.setdefault(backend.address, []).append((pool.name, backend))
        self.roles: list[Role] = []
        self._found: dict[str, list[Role]] = {}
        for address, entries in addresses.items():
            pool_name, claimed = entries[0]
            alone = len(named[claimed.name]) == 1
            label = claimed.name if alone else f"{pool_name}/{claimed.name}"
            names = frozenset(f"{pool}/{backend.name}" for pool, backend in entries)
            role = Role(label, address, names, claimed)
            self.roles.append(role)
            for name in sorted(names | {backend.name for _, backend in entries}):
                self._found.setdefault(name, []).append(role)

    @property
    def names(self) -> list[str]:
        """All names that stand for one of them, and no other."""
        return [name for name, roles in self._found.items() if len(roles) == 1]

    def called(self, name: str) -> list[Role]:
        """Those that have this name: one, unless several pools have such a backend."""
        return self._found.get(name, [])

    def meant(self, names: Iterable[str]) -> list[Role]:
        """Those that names which are known to be right stand for."""
        roles: dict[str, Role] = {}
        for name in names:
            for role in self.roles if name == ALL else self._found[name]:
                roles[role.label] = role
        return list(roles.values())

    def behaviour(self, scenario: Scenario, role: Role) -> Behaviour:
        """How one of them is while it is well, its keep-alive worked out."""
        found = Behaviour(role.label)
        for each in scenario.backends:
            if each.name == ALL:
                found = each
        for each in scenario.backends:
            if each.name != ALL and role in self._found[each.name]:
                found = each
        if found.keep_alive is not None:
            return found
        return attrs.evolve(found, keep_alive=_claimed_keep_alive(role.claimed))


def _claimed_keep_alive(backend: model.Backend) -> float:
    """What the config says of its keep-alive."""
    if backend.keep_alive is not None:
        return backend.keep_alive
    return USUAL_KEEP_ALIVE if backend.server is None else KEEP_ALIVE[backend.server]
