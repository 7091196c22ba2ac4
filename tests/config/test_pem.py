"""The TLS keys of a config: what they give, and what is told of mistakes in them."""

from __future__ import annotations

from pathlib import Path

from lbproxy.cli.main import main
from lbproxy.config.load import load
from lbproxy.config.model import Backend, ListenerTLS, Pool, UpstreamTLS
from lbproxy.config.pem import doubts
from tests.certificates import Authority
from tests.config.test_load import LoadTestCase

EXAMPLE = Path(__file__).parents[2] / "examples" / "tls.toml"

LISTENER = """\
[listeners.secure]
endpoint = "tcp:3443"
[listeners.secure.tls]
{}
[[routes]]
path = "/"
static = "."
"""

POOL = """\
[listeners.web]
endpoint = "tcp:3000"
[[routes]]
path = "/"
pool = "api"
[pools.api]
{}
[[pools.api.backends]]
name = "one"
address = "one.internal:443"
"""


class PEMCase(LoadTestCase):
    """A folder with certificates and a config."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(self.folder)
        self.authority.issue("site.pem", "shop.example", "www.shop.example")

    def told(self, text: str) -> str:
        """The only mistake, with the file's folder left out."""
        (line,) = self.mistakes(text)
        return line.replace(f"{self.folder}/", "")


class ListenerTests(PEMCase):
    def told_of(self, *lines: str) -> str:
        """What is told of a listener's `tls`."""
        return self.told(LISTENER.format("\n".join(lines)))

    def test_defaults(self) -> None:
        """Certificates are enough."""
        config = self.load(LISTENER.format('certificates = ["site.pem"]'))
        tls = config.listeners[0].tls
        self.assertEqual(tls, ListenerTLS((str(self.folder / "site.pem"),)))
        assert tls is not None
        self.assertEqual((tls.client_ca, tls.min_version), (None, "1.2"))

    def test_everything(self) -> None:
        """Each key arrives at its field, and paths start from the file's folder."""
        lines = (
            'certificates = ["site.pem"]\nclient_ca = "ca.pem"\nclient_auth = "optional"\n'
            'min_version = "1.2"\nciphers = "ECDHE+AESGCM"'
        )
        config = self.load(LISTENER.format(lines))
        place = self.folder
        expected = ListenerTLS(
            (str(place / "site.pem"),), str(place / "ca.pem"), "optional", "1.2", "ECDHE+AESGCM"
        )
        self.assertEqual(config.listeners[0].tls, expected)

    def test_mistakes(self) -> None:
        """Each is one line with the key at fault."""
        site = 'certificates = ["site.pem"]'
        authority = 'client_ca = "ca.pem"'
        key = "listeners.secure.tls"
        for lines, told in (
            (("certificates = []",), f"4: {key}.certificates: at least one is needed"),
            (("certificates = 'a'",), f'4: {key}.certificates: expected a list, found "a"'),
            (("certificates = [1]",), f"4: {key}.certificates[0]: expected a string, found 1"),
            ((site, "client_auth = 'required'"), f"5: {key}.client_auth: goes only with client_ca"),
            ((site, authority, "client_auth = 'none'"), f"6: {key}.client_auth: expected required"),
            ((site, "min_version = '1.1'"), f"5: {key}.min_version: expected 1.2 or 1.3"),
            ((site, "ciphers = 'ROT13'"), f"5: {key}.ciphers: expected ciphers of TLS 1.2"),
            (
                (site, "ciphers = 'AESGCM'", "min_version = '1.3'"),
                f"5: {key}.ciphers: are those of TLS 1.2, and min_version is 1.3",
            ),
            ((site, "certs = 1"), f"5: {key}.certs: unknown key"),
        ):
            self.assertTrue(self.told_of(*lines).startswith(told), (self.told_of(*lines), told))

    def test_files(self) -> None:
        """What is wrong with a file is told of the key that names it."""
        (self.folder / "empty.pem").write_text("")
        key = "listeners.secure.tls"
        told = self.told_of('certificates = ["site.pem",', '"gone.pem"]')
        self.assertEqual(told, f"5: {key}.certificates[1]: no such file: gone.pem")
        told = self.told_of('certificates = ["empty.pem"]')
        self.assertEqual(told, f"4: {key}.certificates[0]: empty.pem has no certificate")
        told = self.told_of('certificates = ["site.pem"]', 'client_ca = "empty.pem"')
        self.assertEqual(told, f"5: {key}.client_ca: empty.pem has no certificate")

    def test_never_used(self) -> None:
        """A certificate all of whose names are in one before it."""
        self.authority.issue("www.pem", "www.shop.example")
        told = self.told_of('certificates = ["site.pem", "www.pem"]')
        first = "listeners.secure.tls.certificates[0] has all of its names"
        self.assertEqual(told, f"4: listeners.secure.tls.certificates[1]: never used: {first}")
        self.load(LISTENER.format('certificates = ["www.pem", "site.pem"]'))

    def test_behind_haproxy(self) -> None:
        """TLS behind a PROXY header is not there yet."""
        text = LISTENER.format('certificates = ["site.pem"]').replace("tcp:", "haproxy:tcp:")
        self.assertIn("listeners.secure.tls: does not go with a haproxy: endpoint", self.told(text))

    def test_doubts(self) -> None:
        """A certificate that is not valid can be used; `lbproxy check` warns of it."""
        config = self.load(LISTENER.format('certificates = ["site.pem"]'))
        self.assertEqual(doubts(config, 1_790_000_000.0), [])
        (doubt,) = doubts(config, 1e11)
        self.assertTrue(doubt.startswith("listeners.secure.tls.certificates[0]: "), doubt)
        self.assertIn("site.pem expired on ", doubt)
        self.assertEqual(main(["check", str(self.file)]), 0)


class UpstreamTests(PEMCase):
    def upstream(self, *lines: str, backend: str = "") -> UpstreamTLS | None:
        """How the backend is spoken to."""
        pool = self.load(POOL.format("\n".join(lines)) + backend).pools[0]
        return pool.tls_of(pool.backends[0])

    def test_off(self) -> None:
        """Plain, unless it is said."""
        self.assertIsNone(self.upstream())
        self.assertIsNone(self.upstream("tls = true", backend="tls = false"))

    def test_verified(self) -> None:
        """By default the system's authorities, for the host of the address."""
        self.assertEqual(self.upstream("tls = true"), UpstreamTLS(True, "one.internal"))
        authority = str(self.folder / "ca.pem")
        said = ("tls = true", 'verify = "ca.pem"', 'sni = "shop.internal"')
        self.assertEqual(self.upstream(*said), UpstreamTLS(authority, "shop.internal"))

    def test_backend(self) -> None:
        """What a backend says goes before what its pool says."""
        found = self.upstream(backend='tls = true\nverify = "ca.pem"')
        self.assertEqual(found, UpstreamTLS(str(self.folder / "ca.pem"), "one.internal"))
        found = self.upstream("tls = true", "sni = 'a'", backend="verify = false\nsni = 'b'")
        self.assertEqual(found, UpstreamTLS(False, "b"))
        found = self.upstream("verify = false", "sni = 'a'", backend="tls = true")
        self.assertEqual(found, UpstreamTLS(False, "a"))

    def test_hosts(self) -> None:
        """The name that an address gives."""
        pool = Pool("api", (), tls=True)
        for address, name in (
            ("[::1]:443", "::1"),
            ("127.0.0.1:443", "127.0.0.1"),
            ("unix:/run/a.sock", ""),
        ):
            self.assertEqual(pool.tls_of(Backend("a", address)), UpstreamTLS(True, name))

    def test_mistakes(self) -> None:
        """Each is one line with the key at fault."""
        for line, told in (
            ("tls = 1", "7: pools.api.tls: expected true or false, found 1"),
            ("verify = false", "7: pools.api.verify: goes only with tls = true"),
            ("sni = 'a'", "7: pools.api.sni: goes only with tls = true"),
            ("tls = true\nverify = 1", "8: pools.api.verify: expected true, false or a PEM file"),
            ("tls = true\nverify = 'no.pem'", "8: pools.api.verify: no such file: no.pem"),
            ("tls = true\nsni = '10.0.0.1'", "8: pools.api.sni: expected a host name"),
            ("tls = true\nsni = '*.a'", "8: pools.api.sni: expected a host name"),
        ):
            found = self.told(POOL.format(line))
            self.assertTrue(found.startswith(told), (found, told))

    def test_backend_mistakes(self) -> None:
        """The same for a backend's own keys."""
        key = "pools.api.backends[0]"
        found = self.told(POOL.format("") + "verify = true")
        self.assertEqual(found, f"11: {key}.verify: goes only with tls = true")
        text = POOL.format("tls = true").replace("one.internal:443", "unix:/run/one.sock")
        self.assertIn(f"{key}: without sni there is no name to verify", self.told(text))
        for line in ("verify = false", "sni = 'one.internal'"):
            self.load(text + line)


class ExampleTests(PEMCase):
    def test_example(self) -> None:
        """The example is right, once its files are there."""
        self.file.write_text(EXAMPLE.read_text())
        self.authority.issue("wildcard.pem", "*.shop.example")
        config = load(self.file)
        self.assertEqual(len(config.listeners), 2)
        names = [config.pools[0].tls_of(backend) for backend in config.pools[0].backends]
        self.assertEqual([tls and tls.name for tls in names], ["one.internal", "two.internal"])

    def test_comments(self) -> None:
        """What is a comment in it is right as well."""
        Authority(self.folder, "clients.pem")
        self.authority.issue("wildcard.pem", "*.shop.example")
        text = EXAMPLE.read_text()
        for line in text.splitlines():
            if line.startswith("# ") and " = " in line:
                text = text.replace(line, line[2:])
        tls = self.load(text).listeners[1].tls
        assert tls is not None
        self.assertEqual((tls.client_auth, tls.min_version), ("required", "1.2"))
