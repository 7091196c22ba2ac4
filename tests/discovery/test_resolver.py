"""Names looked up over real sockets, on a clock that the test moves."""

from __future__ import annotations

import socket
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.names import dns

from lbproxy.config.model import DNS
from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.discovery.records import found
from lbproxy.discovery.resolver import AT_ONCE, HOSTS_TTL, SystemResolver, place_of
from lbproxy.discovery.wire import answer_to
from lbproxy.errors import Unresolved
from tests.nameserver import Nameserver, a, aaaa, srv
from tests.processes import free_port
from tests.transport.turning import TransportCase

SERVICE = "_http._tcp.shop.test"


def refuse(code: int, message: dns.Message) -> None:
    """A server's answer that it cannot tell."""
    message.rCode = code


class ResolverTests(TransportCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.reactor.settle)
        self.server = self.serve()
        self.hosts = Path("hosts")
        self.hosts.write_text("")
        self.servers: tuple[str, ...] = (f"127.0.0.1:{self.server.port}",)

    def heard(self, count: int) -> None:
        """Wait until the server has heard so many questions, and nothing moves any more."""
        self.reactor.until(lambda: len(self.server.asked) >= count)
        self.reactor.settle()

    def serve(self) -> Nameserver:
        """One more server."""
        server = Nameserver()
        self.addCleanup(server.close)
        return server

    def resolver(self, family: str = "both") -> SystemResolver:
        """One that asks the test's servers."""
        config = DNS(servers=self.servers, timeout=2.0, family=family)
        return SystemResolver(self.reactor, config, str(self.hosts), "none")

    def ask(self, name: str, *, service: bool = False, **more: Any) -> Deferred[Answer]:
        """Look a name up, to its end."""
        asking = self.resolver(**more).resolve(Question(name, service))
        self.reactor.until(lambda: asking.called)
        self.reactor.settle()
        self.assertEqual(self.reactor.watched, [])
        return asking

    def resolved(self, name: str, **more: Any) -> Answer:
        """What a name stands for."""
        answer: Answer = self.successResultOf(self.ask(name, **more))
        return answer

    def addresses(self, name: str, **more: Any) -> set[str]:
        """The addresses of a name."""
        return {place.address for place in self.resolved(name, **more).places}

    def trouble(self, name: str, **more: Any) -> str:
        """Why a name is not found."""
        return str(self.failureResultOf(self.ask(name, **more), Unresolved).value)

    def test_both_versions(self) -> None:
        """All addresses of a name, for as long as the shortest-lived record says."""
        self.server.put("api.test", a("10.0.0.1"), a("10.0.0.2"), aaaa("2001:db8::1"), ttl=7)
        answer = self.resolved("api.test")
        self.assertEqual(
            {each.address for each in answer.places}, {"10.0.0.1", "10.0.0.2", "2001:db8::1"}
        )
        self.assertEqual((answer.ttl, answer.unanswered), (7, frozenset()))
        self.assertEqual({place.target for place in answer.places}, {""})

    def test_family(self) -> None:
        """Of one version only those are wanted, nor is the other asked for."""
        self.server.put("api.test", a("10.0.0.1"), aaaa("2001:db8::1"))
        self.assertEqual(self.addresses("api.test", family="ipv4"), {"10.0.0.1"})
        self.assertEqual(self.addresses("api.test", family="ipv6"), {"2001:db8::1"})
        self.assertEqual([kind for _, kind, _ in self.server.asked], [dns.A, dns.AAAA])

    def test_nothing(self) -> None:
        """No such name, or no address: an answer, after which no other server is asked."""
        self.server.put("text.test", dns.Record_TXT(b"x"))
        for name in ("gone.test", "text.test"):
            self.assertIn("no such name", self.trouble(name, family="ipv4"))
        self.assertEqual(len(self.server.asked), 2)
        self.assertIn("no such service", self.trouble(SERVICE, service=True))

    def test_single_label(self) -> None:
        """The name of a service of docker compose is a name."""
        self.server.put("api", a("10.0.0.1"))
        self.assertEqual(self.addresses("api"), {"10.0.0.1"})

    def test_alias(self) -> None:
        """An alias is followed; that its record lives shorter counts."""
        self.server.put("api.test", dns.Record_CNAME(b"node.test"), ttl=5)
        self.server.put("node.test", a("10.0.0.1"), ttl=600)
        answer = self.resolved("api.test")
        self.assertEqual(({each.address for each in answer.places}, answer.ttl), ({"10.0.0.1"}, 5))

    def test_half_an_alias(self) -> None:
        """A server that knows only the alias is asked for the rest of the way."""
        self.server.put("api.test", dns.Record_CNAME(b"node.test"), ttl=5)
        self.server.put("node.test", a("10.0.0.1"), ttl=600)

        def only_alias(message: dns.Message) -> None:
            message.answers = message.answers[:1]

        self.server.twist = only_alias
        answer = self.resolved("api.test", family="ipv4")
        self.assertEqual(({each.address for each in answer.places}, answer.ttl), ({"10.0.0.1"}, 5))

    def test_circle(self) -> None:
        """Aliases in a circle end."""
        self.server.put("a.test", dns.Record_CNAME(b"b.test"))
        self.server.put("b.test", dns.Record_CNAME(b"a.test"))

        def one(message: dns.Message) -> None:
            message.answers = message.answers[:1]

        self.server.twist = one
        self.assertIn("alias of an alias", self.trouble("a.test", family="ipv4"))

    def test_long_answer(self) -> None:
        """What is cut by UDP comes whole by TCP."""
        wanted = {f"10.0.{place}.1" for place in range(200)}
        self.server.put("api.test", *map(a, sorted(wanted)))
        self.assertEqual(self.addresses("api.test", family="ipv4"), wanted)
        self.assertEqual([way for *_, way in self.server.asked], ["udp", "tcp"])

    def test_foreign_records(self) -> None:
        """Records of names that nobody asked for are not heeded."""
        self.server.put("api.test", a("10.0.0.1"))

        def more(message: dns.Message) -> None:
            message.answers.append(dns.RRHeader(b"bank.test", dns.A, payload=a("10.6.6.6")))

        self.server.twist = more
        self.assertEqual(self.addresses("api.test", family="ipv4"), {"10.0.0.1"})

    def test_next_server(self) -> None:
        """Who refuses to tell, or is not there, is followed by the next one."""
        self.server.put("api.test", a("10.0.0.1"))
        other = self.serve()
        for code in (2, 4, 5, 9):
            other.twist = partial(refuse, code)
            self.servers = (f"127.0.0.1:{other.port}", *self.servers[-1:])
            self.assertEqual(self.addresses("api.test"), {"10.0.0.1"})
        self.servers = (f"127.0.0.1:{free_port()}", *self.servers[-1:])
        self.assertEqual(self.addresses("api.test"), {"10.0.0.1"})

    def test_last_server_first(self) -> None:
        """The one that has answered is asked first from then on."""
        self.server.put("api.test", a("10.0.0.1"))
        other = self.serve()
        other.twist = partial(refuse, dns.ESERVER)
        self.servers = (f"127.0.0.1:{other.port}", *self.servers)
        resolver = self.resolver(family="ipv4")
        for _ in range(3):
            asking = resolver.resolve(Question("api.test"))
            self.reactor.until(partial(getattr, asking, "called"))
            self.successResultOf(asking)
        self.assertEqual((len(other.asked), len(self.server.asked)), (1, 3))

    def test_refusals(self) -> None:
        """If nobody tells, the reason is the last one's."""
        self.server.twist = partial(refuse, dns.ESERVER)
        said = f"127.0.0.1 port {self.server.port} says SERVFAIL"
        self.assertEqual(self.trouble("api.test", family="ipv4"), said)
        self.assertEqual(len(self.server.asked), 2)
        self.servers = (f"127.0.0.1:{free_port()}",)
        self.assertIn("Connection refused", self.trouble("api.test"))

    def test_silence(self) -> None:
        """Who does not answer is asked twice, and waited for each time."""
        self.server.silent = True
        asking = self.resolver("ipv4").resolve(Question("api.test"))
        for count in (1, 2):
            self.heard(count)
            self.assertNoResult(asking)
            self.reactor.advance(2.0)
            self.reactor.settle()
        said = str(self.failureResultOf(asking, Unresolved).value)
        self.assertEqual(said, f"127.0.0.1 port {self.server.port} does not answer within 2 s")
        self.assertEqual(self.reactor.watched, [])

    def test_silence_by_tcp(self) -> None:
        """The same for the whole answer of one that was cut."""
        self.server.put("api.test", *(a(f"10.0.{place}.1") for place in range(200)))

        def mute(message: dns.Message) -> None:
            self.server.silent = self.server.asked[-1][2] == "tcp"

        self.server.twist = mute
        asking = self.resolver("ipv4").resolve(Question("api.test"))
        for count in (2, 4):
            self.heard(count)
            self.assertNoResult(asking)
            self.reactor.advance(2.0)
            self.reactor.settle()
        self.assertIn("does not answer", str(self.failureResultOf(asking, Unresolved).value))
        self.assertEqual(self.reactor.watched, [])

    def test_cut_off(self) -> None:
        """A server that ends the connection has told nothing."""
        self.server.put("api.test", *(a(f"10.0.{place}.1") for place in range(200)))
        self.server.rude = True
        self.assertIn("closed the connection", self.trouble("api.test", family="ipv4"))

    def test_one_version_fails(self) -> None:
        """The other one counts, and it is told of what nothing is known."""
        self.server.put("api.test", a("10.0.0.1"), ttl=9)

        def no_v6(message: dns.Message) -> None:
            message.rCode = dns.ESERVER if message.queries[0].type == dns.AAAA else dns.OK

        self.server.twist = no_v6
        self.assertEqual(
            self.resolved("api.test"),
            Answer(frozenset({Place("10.0.0.1")}), 9, frozenset({("", 6)})),
        )
        self.server.put("api.test", dns.Record_TXT(b"x"))
        self.assertIn("SERVFAIL", self.trouble("api.test"))

    def test_service(self) -> None:
        """Each target at each of its addresses, with what the record says of it."""
        self.server.put(SERVICE, srv("one.test", 81, 1, 5), srv("TWO.test", 82, 2, 0), ttl=30)
        self.server.put("one.test", a("10.0.0.1"), a("10.0.0.2"), ttl=20)
        self.server.put("two.test", aaaa("2001:db8::1"))
        self.assertEqual(
            self.resolved(SERVICE, service=True),
            Answer(
                frozenset(
                    {
                        Place("10.0.0.1", "one.test", 81, 1, 5),
                        Place("10.0.0.2", "one.test", 81, 1, 5),
                        Place("2001:db8::1", "two.test", 82, 2, 0),
                    }
                ),
                20,
            ),
        )

    def test_targets(self) -> None:
        """One target that cannot be looked up does not take the others with it."""
        self.server.put(SERVICE, srv("one.test", 81), srv("two.test", 82))
        self.server.put("one.test", a("10.0.0.1"))

        def not_two(message: dns.Message) -> None:
            if str(message.queries[0].name) == "two.test":
                message.rCode = dns.ESERVER

        self.server.twist = not_two
        answer = self.resolved(SERVICE, service=True)
        self.assertEqual({place.target for place in answer.places}, {"one.test"})
        self.assertEqual(answer.unanswered, {("two.test", 4), ("two.test", 6)})
        self.server.remove("one.test")
        self.assertIn("two.test: ", self.trouble(SERVICE, service=True))
        self.server.put(SERVICE, srv("one.test", 81))
        self.assertIn("none of its targets", self.trouble(SERVICE, service=True))

    def test_bad_targets(self) -> None:
        """The root says that there is no such service; what is no host name is no target."""
        bad = [
            srv("", 81),
            srv("a b", 81),
            srv("a\r\nX: y", 81),
            srv("\xff", 81),
            srv("ok.test", 0),
        ]
        self.server.put(SERVICE, *bad)
        self.assertIn("no such service", self.trouble(SERVICE, service=True))
        self.assertEqual(len(self.server.asked), 1)

    def test_hosts_file(self) -> None:
        """What the hosts file has is not asked of DNS, targets of services included."""
        self.hosts.write_text(
            "10.0.0.9 API.test other\n2001:DB8::9 api.test\nfe80::1%eth0 api.test\n"
        )
        answer = self.resolved("api.test")
        self.assertEqual({each.address for each in answer.places}, {"10.0.0.9", "2001:db8::9"})
        self.assertEqual((answer.ttl, self.server.asked), (HOSTS_TTL, []))
        self.server.put(SERVICE, srv("api.test", 81))
        self.assertEqual(self.addresses(SERVICE, service=True, family="ipv4"), {"10.0.0.9"})
        self.assertEqual(self.server.asked, [(SERVICE, dns.SRV, "udp")])

    def test_resolv_conf(self) -> None:
        """Without servers in the config the system's are asked, by its search list."""
        system = Path("resolv.conf")
        system.write_text("nameserver 127.0.0.9\nsearch one.test two.test\n")
        resolver = SystemResolver(self.reactor, DNS(), str(self.hosts), str(system))
        self.assertEqual(
            resolver._whom_and_what("api"),
            ([("127.0.0.9", 53)], ["api.one.test", "api.two.test", "api"]),
        )
        system.unlink()
        self.assertEqual(resolver._whom_and_what("api"), ([("127.0.0.1", 53)], ["api"]))

    def test_search(self) -> None:
        """The first whole name that has an address counts."""
        self.server.put("api.two.test", a("10.0.0.2"))
        self.server.put("api", a("10.0.0.3"))
        resolver = self.resolver()
        names = ["api.one.test", "api.two.test", "api"]
        servers = [("127.0.0.1", self.server.port)]
        self.patch(resolver, "_whom_and_what", lambda name: (servers, names))
        asking = resolver.resolve(Question("api"))
        self.reactor.until(lambda: asking.called)
        self.assertEqual(self.successResultOf(asking).places, {Place("10.0.0.2")})

    def test_cancelled(self) -> None:
        """Cancelling gives up all that is under way."""
        self.server.silent = True
        for service in (False, True):
            resolver = self.resolver()
            asking = resolver.resolve(Question("api.test", service))
            self.reactor.settle()
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
            self.reactor.settle()
            self.assertEqual((self.reactor.watched, self.reactor.getDelayedCalls()), ([], []))

    def test_many_targets(self) -> None:
        """However many targets there are, so many sockets are open at once."""
        self.server.silent = True
        self.server.put(SERVICE, *(srv(f"n{place}.test", 81) for place in range(30)))
        self.server.twist = lambda message: setattr(
            self.server, "silent", message.queries[0].type != dns.SRV
        )
        asking = self.resolver().resolve(Question(SERVICE, service=True))
        self.reactor.until(lambda: len(self.server.asked) > AT_ONCE)
        self.reactor.settle()
        questions = [name for name, *_ in self.server.asked if name != SERVICE]
        self.assertEqual((len(self.reactor.watched), len(questions)), (AT_ONCE, AT_ONCE))
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.reactor.settle()
        self.assertEqual((self.reactor.watched, self.reactor.getDelayedCalls()), ([], []))

    def test_ipv6_server(self) -> None:
        """A server may have an IPv6 address."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
            server.bind(("::1", 0))
            self.servers = (f"[::1]:{server.getsockname()[1]}",)
            asking = self.resolver("ipv4").resolve(Question("api.test"))
            data, client = server.recvfrom(512)
            message = dns.Message()
            message.fromStr(data)
            message.answer = 1
            message.answers = [dns.RRHeader(b"api.test", dns.A, ttl=5, payload=a("10.0.0.1"))]
            server.sendto(message.toStr(), client)
            self.reactor.until(lambda: asking.called)
        self.assertEqual(self.successResultOf(asking).places, {Place("10.0.0.1")})


class AnswerTests(TransportCase):
    """What is taken for the answer to a question."""

    def setUp(self) -> None:
        super().setUp()
        self.question = dns.Message(7, recDes=1)
        self.question.queries = [dns.Query(b"api.test", dns.A)]

    def test_fits(self) -> None:
        """One with the number and the question of ours, in whatever case."""
        for number, name, kind, answer in (
            (7, b"API.test", dns.A, 1),
            (8, b"api.test", dns.A, 1),
            (7, b"bank.test", dns.A, 1),
            (7, b"api.test", dns.AAAA, 1),
            (7, b"api.test", dns.A, 0),
        ):
            message = dns.Message(number, answer=answer)
            message.queries = [dns.Query(name, kind)]
            fits = answer_to(self.question, message.toStr()) is not None
            self.assertEqual(fits, name == b"API.test", (number, name, kind, answer))

    @given(st.dictionaries(st.integers(12, 200), st.integers(0, 255), max_size=4), st.integers())
    def test_nearly_right(self, changes: dict[int, int], end: int) -> None:
        """Nor does anything break of an answer that is right but for a few bytes."""
        message = dns.Message(7, answer=1)
        message.queries = self.question.queries
        for record in (dns.Record_CNAME(b"b.test"), a("10.0.0.1"), aaaa("::1"), srv("n.test", 81)):
            for name in (b"api.test", b"b.test"):
                message.answers.append(dns.RRHeader(name, record.TYPE, payload=record))
        data = bytearray(message.toStr())
        for place, byte in changes.items():
            data[place % len(data)] = byte
        heard = answer_to(self.question, bytes(data[: end % (len(data) + 1) or None]))
        if heard is not None:
            for kind in (dns.A, dns.AAAA, dns.SRV):
                for payload in found(dns.Name(b"api.test"), kind, heard.answers).payloads:
                    place_of(payload) if kind == dns.SRV else ip_address(payload.address)

    @given(st.binary(max_size=64), st.binary(max_size=64))
    def test_anything(self, head: bytes, tail: bytes) -> None:
        """Whatever comes, nothing breaks."""
        answer_to(self.question, head)
        self.question.answer = 1
        whole = self.question.toStr()
        answer_to(self.question, whole[:12] + tail)
        answer_to(self.question, whole + tail)
