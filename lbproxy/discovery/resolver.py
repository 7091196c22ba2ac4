"""Names looked up in the system's hosts file and in DNS."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, TimeoutError
from twisted.names import dns
from twisted.names.hosts import searchFileForAll
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

from lbproxy.config import kinds
from lbproxy.config.dns_kinds import PORT
from lbproxy.config.model import DNS
from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.discovery.records import ALIASES, Found, found
from lbproxy.discovery.resolv_conf import candidates, parse
from lbproxy.discovery.wire import query
from lbproxy.errors import ConnectFailed, Unresolved

#: How often each server is asked before a look-up has failed.
TRIES = 2

#: Questions on their way at once, each of which has a socket: a service may have many targets.
AT_ONCE = 16

#: Seconds for which what the hosts file says holds: nobody tells when it changes.
HOSTS_TTL = 30.0

#: The versions of IP that a family has, and the type of records that has its addresses.
_VERSIONS = {"both": (4, 6), "ipv4": (4,), "ipv6": (6,)}
_TYPES = {4: dns.A, 6: dns.AAAA}

#: How a server says that it cannot tell (RFC 1035, section 4.1.1).
_REFUSALS = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}

T = TypeVar("T")

Server = tuple[str, int]


@attrs.frozen
class _Addresses:
    """Those of a host.

    Attributes:
        all: Of both versions of IP, as far as they are wanted.
        ttl: Seconds for which that holds.
        unanswered: Versions whose question failed.
    """

    all: tuple[str, ...]
    ttl: float
    unanswered: tuple[int, ...] = ()


class SystemResolver:
    """Asks as the system's own resolver does, and for services too; it knows how long it holds.

    `twisted.names` has the messages. Its resolver is not used, for reasons that are in
    `docs/decisions/0018-questions-to-dns.md`.
    """

    def __init__(
        self,
        reactor: Any,
        config: DNS,
        hosts: str = "/etc/hosts",
        resolv_conf: str = "/etc/resolv.conf",
    ) -> None:
        """Prepare; the files are read anew with each look-up.

        Args:
            reactor: Network and time.
            config: Whom to ask, and for what.
            hosts: The hosts file, which goes first.
            resolv_conf: Says whom to ask if the config does not.
        """
        self._reactor = reactor
        self._config = config
        self._hosts = FilePath(hosts)
        self._resolv_conf = Path(resolv_conf)
        self._room = DeferredSemaphore(AT_ONCE)
        self._last: Server | None = None

    def resolve(self, question: Question) -> Deferred[Answer]:
        """Look a name up; see `Resolver`."""
        look_up = self._service if question.service else self._host
        return Deferred.fromCoroutine(look_up(question.name))

    async def _host(self, name: str) -> Answer:
        servers, names = self._whom_and_what(name)
        known = self._listed(name)
        for candidate in names:
            addresses = known or await self._addresses(servers, candidate)
            if addresses.all:
                return Answer(
                    frozenset(Place(address) for address in addresses.all),
                    addresses.ttl,
                    frozenset(("", version) for version in addresses.unanswered),
                )
        raise Unresolved("there is no such name, or it has no address")

    async def _service(self, name: str) -> Answer:
        servers, names = self._whom_and_what(name)
        for candidate in names:
            records = await self._records(servers, candidate, dns.SRV)
            places = [place for place in map(place_of, records.payloads) if place is not None]
            if places:
                return await self._places(servers, places, records.ttl)
        raise Unresolved("there is no such service")

    async def _places(self, servers: list[Server], places: list[Place], ttl: float) -> Answer:
        """The places at each of the addresses of their targets."""
        targets = sorted({place.target for place in places})
        told = await _all(self._target(servers, target) for target in targets)
        of = dict(zip(targets, told, strict=True))
        complete: set[Place] = set()
        unanswered: set[tuple[str, int]] = set()
        trouble = "none of its targets has an address"
        for place in places:
            addresses = of[place.target]
            if isinstance(addresses, Failure):
                trouble = f"{place.target}: {addresses.getErrorMessage()}"
                unanswered |= {(place.target, version) for version in self._versions}
                continue
            complete |= {attrs.evolve(place, address=address) for address in addresses.all}
            unanswered |= {(place.target, version) for version in addresses.unanswered}
            ttl = min(ttl, addresses.ttl)
        if not complete:
            raise Unresolved(trouble)
        return Answer(frozenset(complete), ttl, frozenset(unanswered))

    async def _target(self, servers: list[Server], target: str) -> _Addresses:
        return self._listed(target) or await self._addresses(servers, target)

    def _listed(self, name: str) -> _Addresses | None:
        """What the hosts file has for a name; if it is there, nobody else is asked."""
        known = searchFileForAll(self._hosts, name.rstrip(".").encode())
        listed = [ip_address(address) for address in known if "%" not in address]
        wanted = [str(address) for address in listed if address.version in self._versions]
        return _Addresses(tuple(wanted), HOSTS_TTL) if wanted else None

    async def _addresses(self, servers: list[Server], name: str) -> _Addresses:
        """Ask for both versions of IP at once; one that fails does not take the other with it."""
        told = await _all(self._records(servers, name, _TYPES[each]) for each in self._versions)
        answers = [each for each in told if not isinstance(each, Failure)]
        payloads = [payload for each in answers for payload in each.payloads]
        failed = [each for each in told if isinstance(each, Failure)]
        if failed and not payloads:
            failed[0].raiseException()
        return _Addresses(
            tuple(str(ip_address(payload.address)) for payload in payloads),
            min((each.ttl for each in answers), default=0.0),
            tuple(
                version
                for version, each in zip(self._versions, told, strict=True)
                if isinstance(each, Failure)
            ),
        )

    async def _records(self, servers: list[Server], name: str, kind: int) -> Found:
        """Ask for records of one type, also of what the name is an alias of."""
        asked, ttl = dns.Name(name.encode()), float("inf")
        for _ in range(ALIASES):
            answer = found(asked, kind, await self._ask(servers, dns.Query(asked.name, kind)))
            ttl = min(ttl, answer.ttl)
            if answer.payloads or answer.name == asked:
                return attrs.evolve(answer, ttl=ttl)
            asked = answer.name  # The server has told only half of the way.
        raise Unresolved(f"{name} is an alias of an alias, and so on")

    async def _ask(self, servers: list[Server], wanted: dns.Query) -> list[dns.RRHeader]:
        """Ask one server after the other; that there is no such name is an answer too."""
        trouble = "there is no server to ask"
        # The one that answered last goes first, so that a dead one is not waited for each time.
        for server in sorted(servers, key=lambda server: server != self._last) * TRIES:
            where = f"{server[0]} port {server[1]}"
            await self._room.acquire()
            try:
                message = await query(self._reactor, server, wanted, self._config.timeout)
            except TimeoutError:
                trouble = f"{where} does not answer within {self._config.timeout:g} s"
            except ConnectFailed as error:
                trouble = f"{where}: {error}"
            else:
                if message.rCode in (dns.OK, dns.ENAME):
                    self._last = server
                    return message.answers
                trouble = f"{where} says {_REFUSALS.get(message.rCode, message.rCode)}"
            finally:
                self._room.release()
        raise Unresolved(trouble)

    @property
    def _versions(self) -> tuple[int, ...]:
        return _VERSIONS[self._config.family]

    def _whom_and_what(self, name: str) -> tuple[list[Server], list[str]]:
        """The servers, and the whole names that a name may stand for."""
        if self._config.servers:
            return [_server(each) for each in self._config.servers], [name.rstrip(".")]
        text = ""
        with suppress(OSError):
            text = self._resolv_conf.read_text(errors="replace")
        system = parse(text)
        return [(host, PORT) for host in system.servers], candidates(name, system)


def _server(address: str) -> Server:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def place_of(record: dns.Record_SRV) -> Place | None:
    """What a service's record says, without an address; `None` if it says that there is none.

    What DNS has for a name may be any bytes, and the target's will stand in headers and logs.
    """
    try:
        target = kinds.host(record.target.name.decode("ascii").rstrip(".").lower())
    except ValueError:  # Also for the root, which says so (RFC 2782).
        return None
    if record.port == 0:
        return None
    return Place("", target, record.port, record.priority, record.weight)


async def _all(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T | Failure]:
    """What comes of several questions, each of which may find nothing."""
    told = await DeferredList([Deferred.fromCoroutine(each) for each in asked], consumeErrors=True)
    for _, each in told:
        if isinstance(each, Failure) and not each.check(Unresolved):
            each.raiseException()
    return [each for _, each in told]
