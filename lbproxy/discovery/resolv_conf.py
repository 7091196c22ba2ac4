"""The system's `resolv.conf`: who is asked, and for which names in full (resolv.conf(5))."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

import attrs

#: What the system's own resolver takes of a file: so many servers, and no more dots than that.
SERVERS = 3
DOTS = 15


@attrs.frozen
class ResolvConf:
    """What such a file says.

    Attributes:
        servers: Addresses, in the order in which they are asked.
        search: What is put behind names that are not whole.
        dots: Names with so many dots are first taken as they are.
    """

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    dots: int = 1


def parse(text: str) -> ResolvConf:
    """Read a file; what cannot be understood is left out, as every resolver does."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    dots = 1
    for line in text.splitlines():
        word, *values = line.split() or [""]
        if word == "nameserver" and values:
            with suppress(ValueError):
                servers.append(str(ip_address(values[0])))
        elif word == "search":
            search = tuple(values)
        elif word == "domain":
            search = tuple(values[:1])
        elif word == "options":
            for value in values:
                number = value.removeprefix("ndots:")
                if number != value and number.isascii() and number.isdigit():
                    dots = min(int(number), DOTS)
    return ResolvConf(tuple(servers[:SERVERS]) or ("127.0.0.1",), search, dots)


def candidates(name: str, system: ResolvConf) -> list[str]:
    """The whole names that a name may stand for, in the order in which they are tried.

    One that ends with a dot is whole.
    """
    if name.endswith("."):
        return [name.rstrip(".")]
    longer = [f"{name}.{domain.strip('.')}" for domain in system.search if domain.strip(".")]
    return [name, *longer] if name.count(".") >= system.dots else [*longer, name]
