"""What a config says of DNS: the servers, and which addresses of backends they are asked for."""

from __future__ import annotations

import re
from ipaddress import ip_address

from lbproxy.config.kinds import Wrong, expected, text

#: Before the name of a service in a backend's address: its SRV records (RFC 2782) have the rest.
SERVICE = "srv:"

#: Where DNS servers listen (RFC 1035, section 4.2).
PORT = 53

_SERVER = re.compile(r"\[([^\[\]]+)\]:([0-9]{1,5})|([0-9.]+):([0-9]{1,5})|([0-9A-Fa-f:.]+)")


def server(value: object) -> str:
    """A DNS server: an address of its own, whose port is 53, or `host:port` or `[v6]:port`."""
    where = text(value)
    wrong = expected('an IP address such as "10.0.0.2", or with its port "10.0.0.2:53"', where)
    found = _SERVER.fullmatch(where)
    if found is None:
        raise wrong
    v6, v6_port, v4, v4_port, alone = found.groups()
    port = int(v6_port or v4_port or PORT)
    if not 1 <= port <= 65535:
        raise Wrong(f"expected a port from 1 to 65535, found {port}")
    try:
        address = ip_address(v6 or v4 or alone)
    except ValueError:
        raise wrong from None
    if v6 and address.version != 6:
        raise wrong
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def asked_of_dns(address: str) -> bool:
    """Whether a backend's address has a name for which DNS is asked.

    Every system knows `localhost` and the names below it by itself (RFC 6761, section 6.3).

    Args:
        address: As `kinds.address` has checked it.
    """
    if address.startswith(SERVICE):
        return True
    if address.startswith("unix:"):
        return False
    host = address.rpartition(":")[0]
    if host.startswith("[") or re.fullmatch(r"[0-9.]+", host):
        return False
    return host.lower().rstrip(".").rpartition(".")[2] != "localhost"
