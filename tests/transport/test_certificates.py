"""PEM files: what is read from them, and what is told of those that cannot be used."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.certificates import (
    BadCertificate,
    Identity,
    check_ciphers,
    client_context,
    read_authorities,
    read_identity,
    shadowed,
    subject_of,
)
from tests.certificates import Authority
from tests.config.folder import temporary_folder

KEY = ec.generate_private_key(ec.SECP256R1())


def self_signed(name: x509.Name) -> x509.Certificate:
    """A certificate for `KEY` without alternative names."""
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2020, 12, 31))
        .sign(KEY, SHA256())
    )


def common_name(name: str) -> x509.Name:
    """A subject with only this."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class FileCase(SynchronousTestCase):
    """A folder for the files."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.authority = Authority(self.folder)

    def refused(self, file: Path) -> str:
        """What is told of a file, its path shortened."""
        error = self.assertRaises(BadCertificate, read_identity, str(file))
        return str(error).replace(f"{self.folder}/", "")


class IdentityTests(FileCase):
    def test_names(self) -> None:
        """The names of the certificate, in lower case; addresses are asked for by nobody."""
        file = self.authority.issue("a.pem", "Shop.Example", "*.shop.example", "127.0.0.1")
        identity = read_identity(str(file))
        self.assertEqual(sorted(identity.names), ["*.shop.example", "shop.example"])

    def test_old_certificate(self) -> None:
        """One without alternative names is for its common name; and it is told when it ended."""
        file = self.folder / "old.pem"
        file.write_bytes(
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + self_signed(common_name("old.example")).public_bytes(Encoding.PEM)
        )
        identity = read_identity(str(file))
        self.assertEqual(identity.names, ("old.example",))
        seconds = datetime(2020, 12, 31, tzinfo=UTC).timestamp()
        self.assertEqual(identity.ends, seconds)

    def test_doubts(self) -> None:
        """It is told when a certificate is not valid, or will not be soon."""
        day = 86400.0
        identity = Identity("a.pem", (), 10 * day, 100 * day)
        for now, doubt in (
            (9 * day, "a.pem is not valid before 1970-01-11"),
            (50 * day, None),
            (94 * day, "a.pem expires on 1970-04-11"),
            (101 * day, "a.pem expired on 1970-04-11"),
        ):
            self.assertEqual(identity.doubt(now), doubt)

    def test_shadowed(self) -> None:
        """A certificate is never used if one before it has all of its names."""
        both = Identity("a.pem", ("a", "b"), 0.0, 1.0)
        one = Identity("b.pem", ("b",), 0.0, 1.0)
        other = Identity("c.pem", ("b", "c"), 0.0, 1.0)
        self.assertEqual(shadowed([both, one, other]), [(1, 0)])
        self.assertEqual(shadowed([one, both, other]), [])


class RefusedTests(FileCase):
    def test_missing(self) -> None:
        """No file, and one that is a folder."""
        self.assertEqual(self.refused(self.folder / "no.pem"), "no such file: no.pem")
        (self.folder / "dir.pem").mkdir()
        self.assertEqual(
            self.refused(self.folder / "dir.pem"), "cannot read dir.pem: Is a directory"
        )

    def test_unreadable(self) -> None:
        """One that may not be read."""
        file = self.authority.issue("a.pem", "a.example")
        file.chmod(0)
        if os.access(file, os.R_OK):
            return  # Nothing is hidden from root.
        self.assertEqual(self.refused(file), "cannot read a.pem: Permission denied")

    def test_parts_missing(self) -> None:
        """One without a certificate, and one without its key."""
        file = self.authority.issue("a.pem", "a.example")
        key, _, rest = file.read_text().partition("-----BEGIN CERTIFICATE-----")
        file.write_text(key)
        self.assertEqual(self.refused(file), "a.pem has no certificate")
        file.write_text("-----BEGIN CERTIFICATE-----" + rest)
        no_key = "a.pem has no private key, which belongs beside its certificate"
        self.assertEqual(self.refused(file), no_key)

    def test_wrong_key(self) -> None:
        """A key that is not the certificate's; so it is too if the chain comes first."""
        mine = self.authority.issue("a.pem", "a.example").read_text()
        other = self.authority.issue("b.pem", "b.example").read_text()
        border = "-----BEGIN CERTIFICATE-----"
        file = self.folder / "c.pem"
        file.write_text(mine.partition(border)[0] + border + other.partition(border)[2])
        self.assertEqual(
            self.refused(file), "the key in c.pem is not that of its first certificate"
        )

    def test_encrypted(self) -> None:
        """A key that needs a passphrase: OpenSSL would wait for somebody at the terminal."""
        key = KEY.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        certificate = self_signed(common_name("a")).public_bytes(Encoding.PEM)
        file = self.folder / "a.pem"
        file.write_bytes(key + certificate)
        told = "the key in a.pem is encrypted, and nobody is asked for passphrases"
        self.assertEqual(self.refused(file), told)

    def test_broken(self) -> None:
        """What only looks like PEM."""
        file = self.authority.issue("a.pem", "a.example")
        file.write_text(file.read_text().replace("\nMI", "\nXX"))
        self.assertTrue(self.refused(file).startswith("a.pem cannot be used: "))

    def test_authorities(self) -> None:
        """A file of authorities needs a certificate, and nothing else."""
        read_authorities(str(self.authority.file))
        empty = self.folder / "empty.pem"
        empty.write_text("none\n")
        for use in (read_authorities, client_context):
            error = self.assertRaises(BadCertificate, use, str(empty))
            self.assertEqual(str(error), f"{empty} has no certificate")
            error = self.assertRaises(BadCertificate, use, f"{empty}.not")
            self.assertEqual(str(error), f"no such file: {empty}.not")

    def test_ciphers(self) -> None:
        """Ciphers are OpenSSL's words for those of TLS 1.2."""
        self.assertTrue(check_ciphers("ECDHE+AESGCM"))
        self.assertFalse(check_ciphers("ROT13"))


class SubjectTests(SynchronousTestCase):
    def subject(self, *parts: tuple[x509.ObjectIdentifier, str]) -> bytes:
        """What is told of a certificate for this."""
        name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
        return subject_of(self_signed(name).public_bytes(Encoding.DER))

    def test_order(self) -> None:
        """The most specific part comes first."""
        subject = self.subject(
            (NameOID.COUNTRY_NAME, "GR"),
            (NameOID.ORGANIZATION_NAME, "Shop, Ltd"),
            (NameOID.COMMON_NAME, "alice"),
        )
        self.assertEqual(subject, rb"CN=alice,O=Shop\, Ltd,C=GR")

    def test_nothing_breaks_a_line(self) -> None:
        """What is no printable ASCII is escaped, so that no certificate can add a field."""
        subject = self.subject((NameOID.COMMON_NAME, "a\r\nX-Admin: yes"))
        self.assertEqual(subject, rb"CN=a\0D\0AX-Admin: yes")
        self.assertEqual(self.subject((NameOID.COMMON_NAME, "Zoë")), rb"CN=Zo\C3\AB")

    def test_malformed(self) -> None:
        """What is no certificate is for nobody."""
        self.assertEqual(subject_of(b"x"), b"")
