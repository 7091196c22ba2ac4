"""Certificates by name, and their files when they change."""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.certificates import BadCertificate, ServerSettings
from lbproxy.transport.identities import KEYS_LIVE, Identities
from tests.certificates import Authority
from tests.config.folder import temporary_folder

#: A time at which the certificates of the tests are valid.
NOW = 1_790_000_000.0


class IdentitiesCase(SynchronousTestCase):
    """A folder with certificates; and what is logged of them."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.authority = Authority(self.folder)
        self.logged: list[dict[str, Any]] = []
        observer: Any = self.logged.append
        self.patch(Identities, "log", Logger(observer=observer))

    def build(self, *files: Path, **more: Any) -> Identities:
        """The certificates of these files."""
        return Identities(ServerSettings(tuple(map(str, files)), **more), NOW)

    def shown(self, identities: Identities, name: str | None) -> list[str]:
        """The names in the certificate that a client sees who asks for this one."""
        context = self.authority.client()
        context.check_hostname = False
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname=name)
        server = identities.context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(3):
            for one in (client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    one.do_handshake()
        certificate = client.getpeercert()
        assert certificate is not None
        alternatives: Any = certificate["subjectAltName"]
        return [value for _, value in alternatives]

    def errors(self) -> int:
        """How many errors have been logged."""
        return sum(event["log_level"] is LogLevel.error for event in self.logged)


class NameTests(IdentitiesCase):
    def test_choice(self) -> None:
        """The name itself, then a wildcard for one label, then the first."""
        identities = self.build(
            self.authority.issue("first.pem", "first.example"),
            self.authority.issue("wild.pem", "*.shop.example"),
            self.authority.issue("exact.pem", "a.shop.example"),
        )
        for asked, shown in (
            ("a.shop.example", "a.shop.example"),
            ("A.Shop.example", "a.shop.example"),
            ("b.shop.example", "*.shop.example"),
            ("c.b.shop.example", "first.example"),
            ("shop.example", "first.example"),
            ("other.example", "first.example"),
            (None, "first.example"),
        ):
            self.assertEqual(self.shown(identities, asked), [shown], asked)

    def test_first_wins(self) -> None:
        """Of two certificates for one name the first is shown."""
        identities = self.build(
            self.authority.issue("a.pem", "a.example"),
            self.authority.issue("b.pem", "a.example", "b.example"),
        )
        self.assertEqual(self.shown(identities, "a.example"), ["a.example"])

    def test_bad(self) -> None:
        """All must be good to begin with."""
        good = self.authority.issue("a.pem", "a.example")
        self.assertRaises(BadCertificate, self.build, good, self.folder / "no.pem")
        self.assertRaises(BadCertificate, self.build, good, client_ca=f"{good}.not")

    def test_expired(self) -> None:
        """One that is not valid any more is shown all the same, and spoken of."""
        file = self.authority.issue("a.pem", "a.example")
        Identities(ServerSettings((str(file),)), 1e11)
        self.assertEqual([event["log_level"] for event in self.logged], [LogLevel.warn])


class RefreshTests(IdentitiesCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.authority.issue("a.pem", "a.example")
        self.identities = self.build(self.file)
        self.context = self.identities.context

    def test_unchanged(self) -> None:
        """Nothing is done, so that session tickets stay good."""
        self.identities.refresh(NOW + 5)
        self.assertIs(self.identities.context, self.context)

    def test_changed(self) -> None:
        """A new file is shown to the next client."""
        self.authority.issue("a.pem", "b.example")
        self.identities.refresh(NOW + 5)
        self.assertEqual(self.shown(self.identities, None), ["b.example"])

    def test_bad(self) -> None:
        """A bad file changes nothing, and is spoken of once; a good one afterwards is shown."""
        good = self.file.read_bytes()
        for bad in (b"", b"nonsense", good[: len(good) // 2]):
            self.file.write_bytes(bad)
            before = self.errors()
            for _ in range(3):
                self.identities.refresh(NOW + 5)
            self.assertEqual(self.errors(), before + 1)
            self.assertIs(self.identities.context, self.context)
            self.assertEqual(self.shown(self.identities, None), ["a.example"])
        self.authority.issue("a.pem", "b.example")
        self.identities.refresh(NOW + 5)
        self.assertEqual(self.shown(self.identities, None), ["b.example"])

    def test_gone(self) -> None:
        """A file that is gone for a moment is a bad one."""
        os.rename(self.file, f"{self.file}.old")
        self.identities.refresh(NOW + 5)
        self.assertEqual(self.errors(), 1)
        os.rename(f"{self.file}.old", self.file)
        self.identities.refresh(NOW + 10)
        self.assertEqual(self.errors(), 1)

    def test_all_or_none(self) -> None:
        """A good new file waits for the bad one beside it."""
        other = self.authority.issue("b.pem", "b.example")
        identities = self.build(self.file, other)
        self.authority.issue("a.pem", "new.example")
        other.write_text("bad")
        identities.refresh(NOW + 5)
        self.assertEqual(self.shown(identities, None), ["a.example"])
        self.assertEqual(self.shown(identities, "b.example"), ["b.example"])

    def test_keys_grow_old(self) -> None:
        """After a day the keys of session tickets are new ones, without a word."""
        self.identities.refresh(NOW + KEYS_LIVE)
        self.assertIsNot(self.identities.context, self.context)
        self.assertEqual(self.logged, [])
