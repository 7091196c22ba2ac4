"""What is different in another config, as people read it before and after a reload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from lbproxy.config.model import Config, Route

#: What only a new start of the balancer can change.
NEEDS_RESTART = ("workers", "admin")

#: Fields of tables that stand in the config under their own names.
_NAMED = ("listeners", "pools", "backends")


@attrs.frozen
class Added:
    """Something that was not there before.

    Attributes:
        what: Where it stands in the config.
        detail: What it is, if that is said in a few words.
    """

    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"+ {self.what}{self.detail and f' ({self.detail})'}"


@attrs.frozen
class Removed:
    """Something that is not there any more.

    Attributes:
        what: Where it stood in the config.
    """

    what: str

    def __str__(self) -> str:
        return f"- {self.what}"


@attrs.frozen
class Changed:
    """A value in place of another one.

    Attributes:
        what: Where it stands in the config.
        before: The old value.
        after: The new one.
    """

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"~ {self.what}: {self.before} -> {self.after}"


Difference = Added | Removed | Changed


@attrs.frozen
class Plan:
    """What a reload does.

    Attributes:
        differences: In the order of the new config; empty if there are none.
        unchanged: How many listeners, pools, backends and routes stay as they are.
    """

    differences: tuple[Difference, ...]
    unchanged: dict[str, int]

    @property
    def needs_restart(self) -> list[Difference]:
        """Those that a reload cannot make."""
        return [each for each in self.differences if each.what.split(".")[0] in NEEDS_RESTART]

    def lines(self) -> list[str]:
        """The plan for people, a line for each difference, and one for what stays."""
        kept = ", ".join(
            f"{count} {kind if count == 1 else f'{kind}s'}"
            for kind, count in self.unchanged.items()
        )
        return [*map(str, self.differences), f"= {kept} unchanged"]


def compare(before: Config, after: Config) -> Plan:
    """What is different in a config.

    Args:
        before: The one that is served.
        after: The one to be served.
    """
    unchanged = {
        "listener": _same(before.listeners, after.listeners),
        "pool": _same(before.pools, after.pools),
        "backend": _same(_backends(before), _backends(after)),
        "route": _same(before.routes, after.routes),
    }
    return Plan(tuple(_tables("", before, after)), unchanged)


def _backends(config: Config) -> list[Any]:
    return [(pool.name, backend) for pool in config.pools for backend in pool.backends]


def _same(before: Sequence[Any], after: Sequence[Any]) -> int:
    return sum(each in before for each in after)


def _tables(where: str, before: Any, after: Any) -> Iterator[Difference]:
    """The differences of two tables of one kind."""
    for field in attrs.fields(type(after)):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old == new:
            continue
        what = f"{where}{field.name}"
        if field.name in _NAMED:
            yield from _by_name(what, old, new)
        elif field.name == "routes":
            yield from _routes(old, new)
        elif attrs.has(type(old)) and type(old) is type(new):
            yield from _tables(f"{what}.", old, new)
        else:
            yield Changed(what, _shown(old), _shown(new))


def _by_name(what: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Difference]:
    olds = {each.name: each for each in before}
    for new in after:
        old = olds.pop(new.name, None)
        if old is None:
            yield Added(f"{what}.{new.name}", _detail(new))
        else:
            yield from _tables(f"{what}.{new.name}.", old, new)
    for name in olds:
        yield Removed(f"{what}.{name}")
    names = [[each.name for each in both] for both in (before, after)]
    if names[0] != names[1] and sorted(names[0]) == sorted(names[1]):
        yield Changed(f"the order of {what}", ", ".join(names[0]), ", ".join(names[1]))


def _detail(added: object) -> str:
    """Where a new listener or backend is."""
    return str(getattr(added, "endpoint", getattr(added, "address", "")))


def _routes(before: Sequence[Route], after: Sequence[Route]) -> Iterator[Difference]:
    """Routes have no names: one that is changed is another one."""
    yield from (Added(_route(each)) for each in after if each not in before)
    yield from (Removed(_route(each)) for each in before if each not in after)
    stay = [[each for each in both if each in before and each in after] for both in (before, after)]
    if stay[0] != stay[1]:
        orders = [", ".join(map(_route, each)) for each in stay]
        yield Changed("the order of the routes", *orders)


def _route(route: Route) -> str:
    """A route by all that it says."""
    said = [
        f"{field.name}={_shown(value)}"
        for field in attrs.fields(Route)
        if (value := getattr(route, field.name)) != field.default
        or (field.name == "path" and route.sni is None)
    ]
    return f"routes[{' '.join(said)}]"


def _shown(value: object) -> str:
    """A value as the config writes it, or nearly so."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    kind: Any = type(value)
    if attrs.has(kind):
        fields = attrs.fields(kind)
        said = [f"{each.name} = {_shown(getattr(value, each.name))}" for each in fields]
        return "{ " + ", ".join(said) + " }"
    if isinstance(value, frozenset):
        return _shown(tuple(sorted(value)))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value)
