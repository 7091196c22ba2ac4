"""What a config says of DNS, and of names in the backends' addresses."""

from __future__ import annotations

from lbproxy.config.model import DNS, Backend
from tests.config.test_load import BASE, LoadTestCase

#: Lines of the table, and what is told of which key.
MISTAKES = (
    ('servers = ["ns.test"]', "dns.servers[0]", 'expected an IP address such as "10.0.0.2"'),
    ('servers = ["10.0.0.256"]', "dns.servers[0]", "expected an IP address"),
    ('servers = ["[10.0.0.2]:53"]', "dns.servers[0]", "expected an IP address"),
    ('servers = ["10.0.0.2:0"]', "dns.servers[0]", "expected a port from 1 to 65535, found 0"),
    ('servers = "10.0.0.2"', "dns.servers", "expected a list"),
    ("timeout = 0", "dns.timeout", "expected seconds above 0"),
    ("min_ttl = 400", "dns.min_ttl", "400 s are longer than max_ttl, 300.0 s"),
    ("max_ttl = 0.5", "dns.min_ttl", "1.0 s are longer than max_ttl, 0.5 s"),
    ('family = "ipv5"', "dns.family", "expected both or ipv4 or ipv6"),
    ("ttl = 1", "dns.ttl", "unknown key"),
)


def at(address: str, more: str = "") -> str:
    """A config with a backend there."""
    return BASE.replace('"127.0.0.1:3001"', f'"{address}"') + more


class DNSTests(LoadTestCase):
    def test_table(self) -> None:
        """Each key arrives at its field; a server's port is 53 unless it has one."""
        config = self.load(
            BASE + "[dns]\n"
            'servers = ["10.0.0.2", "10.0.0.3:5353", "[2001:DB8::1]:54", "::1"]\n'
            'timeout = 0.5\nmin_ttl = 2\nmax_ttl = 20\nfamily = "ipv4"\n'
        )
        servers = ("10.0.0.2:53", "10.0.0.3:5353", "[2001:db8::1]:54", "[::1]:53")
        self.assertEqual(config.dns, DNS(servers, 0.5, 2.0, 20.0, "ipv4"))

    def test_mistakes(self) -> None:
        """Each mistake is told with its line, its key and what was expected."""
        for line, key, message in MISTAKES:
            (told,) = self.mistakes(f"{BASE}[dns]\n{line}\n")
            self.assertIn(f" {key}: {message}", told)

    def test_services(self) -> None:
        """A service is named without a port: its records have it."""
        backend = self.load(at("srv:_http._tcp.api.internal")).pools[0].backends[0]
        self.assertEqual((backend.address, backend.host), ("srv:_http._tcp.api.internal", ""))
        for address in ("srv:", "srv:a b", "srv:_http._tcp.api:80", "srv:10.0.0.1"):
            (told,) = self.mistakes(at(address))
            self.assertIn('"unix:/path" or "srv:name", found', told)

    def test_certificates_of_services(self) -> None:
        """Whose certificates the targets have is for the config to say, not for DNS."""
        service = "srv:_http._tcp.api.internal"
        (told,) = self.mistakes(at(service, "tls = true\n"))
        self.assertIn("without sni there is no name to verify for a srv: address", told)
        for more in ('tls = true\nsni = "api.internal"\n', "tls = true\nverify = false\n"):
            self.load(at(service, more))

    def test_hedge(self) -> None:
        """One name may be several backends, so a hedge may have a second one to ask."""
        hedge = BASE.replace("[pools.api]", "[pools.api]\nhedge = { after = 0.1 }")
        self.assertIn("needs a second backend", self.mistakes(hedge)[0])
        for address in ("api.internal:80", "srv:_http._tcp.api.internal"):
            self.load(hedge.replace("127.0.0.1:3001", address))

    def test_names(self) -> None:
        """An `@` in a name would be taken for a member's."""
        (told,) = self.mistakes(BASE.replace('"one"', '"one@home"'))
        self.assertIn('pools.api.backends[0].name: expected a name without "@"', told)

    def test_host(self) -> None:
        """The name that a certificate is for by default."""
        self.assertEqual(Backend("a", "srv:_http._tcp.api.internal").host, "")
        self.assertEqual(Backend("a", "api.internal:80").host, "api.internal")
