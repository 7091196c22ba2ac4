"""What a pool becomes by the answers of DNS: each address is a backend of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

import attrs

from lbproxy.config.dns_kinds import SERVICE, asked_of_dns
from lbproxy.config.model import Backend, Pool
from lbproxy.discovery.answer import Answer, Place, Question

#: Members of one name: so many backends have been measured in a pool (`docs/balancers.md`).
MOST = 1000


def question_of(address: str) -> Question | None:
    """What DNS is asked for a backend's address, if anything."""
    if not asked_of_dns(address):
        return None
    if address.startswith(SERVICE):
        return Question(address.removeprefix(SERVICE).lower(), service=True)
    return Question(address.rpartition(":")[0].lower())


def configured_name(name: str) -> str:
    """The name in the config of a backend or of a member; there no name has an `@`."""
    return name.partition("@")[0]


def goes_by(backend: str, name: str) -> bool:
    """Whether a backend is meant by a name: its own, or the one in the config of all members."""
    return name in (backend, configured_name(backend))


def expanded(pool: Pool, answers: Mapping[Question, Answer]) -> Pool:
    """The pool with members in the place of each backend whose name is resolved.

    The order is that of the config, and among members by address: it does not hang on the order of
    an answer. Without an answer a backend stays as it is.
    """
    backends: list[Backend] = []
    for backend in pool.backends:
        question = question_of(backend.address)
        answer = None if question is None else answers.get(question)
        backends += [backend] if answer is None else _members(pool, backend, answer)
    return attrs.evolve(pool, backends=tuple(backends))


def _members(pool: Pool, backend: Backend, answer: Answer) -> Iterator[Backend]:
    places = _distinct(answer)[:MOST]
    alike = Counter((place.target, place.port) for place in places)
    first = min((place.priority for place in places), default=0)
    tls = pool.tls_of(backend)
    for place in places:
        share = max(place.weight, 1)
        where = _host_and_port(place.address, place.port or _port(backend.address))
        called = where
        if place.target:
            # The record's name outlives its address, and so does what is hashed to it.
            called = f"{place.target}:{place.port}"
            if alike[place.target, place.port] > 1:
                called += f"/{place.address}"
        yield attrs.evolve(
            backend,
            name=f"{backend.name}@{called}",
            address=where,
            weight=backend.weight * share,
            record_weight=share,
            backup=backend.backup or place.priority > first,
            # Its certificate is for a name, as before, and not for what DNS has for that.
            sni=backend.sni if tls is None else tls.name.rstrip(".") or place.target or None,
        )


def _distinct(answer: Answer) -> list[Place]:
    """The places in order; of those that several records have, the best one."""
    distinct: dict[tuple[str, int, int, int], Place] = {}
    for place in sorted(answer.places, key=lambda place: (place.priority, -place.weight)):
        address = ip_address(place.address)
        distinct.setdefault((place.target, place.port, address.version, int(address)), place)
    return [distinct[each] for each in sorted(distinct)]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _host_and_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
