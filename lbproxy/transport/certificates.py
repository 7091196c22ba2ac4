"""Certificates and keys from PEM files, and the TLS settings that go with them.

A file is read and judged whole before anything of it is used, and what is wrong with it is one
line for its owner.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime

import attrs
from cryptography import x509
from cryptography.x509.oid import NameOID

#: What clients of the last ten years speak with forward secrecy: Mozilla's "intermediate", without
#: the finite-field groups that nobody needs any more. It is about TLS 1.2: those of 1.3 are fixed.
CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

#: Seconds before its end from which a certificate is spoken of.
SOON = 7 * 86400.0


class BadCertificate(Exception):
    """A file that cannot be used; the text names it and says why, in one line."""


@attrs.frozen
class Identity:
    """What a PEM file says of the server: a certificate, its key, and the chain behind it.

    Attributes:
        file: Where it was read.
        names: The names that it is for, in lower case; some may begin with `*.`.
        begins: When it becomes valid, in seconds since 1970.
        ends: When it was valid last.
    """

    file: str
    names: tuple[str, ...]
    begins: float
    ends: float

    def doubt(self, now: float) -> str | None:
        """What its owner should know although it can be used, if anything."""
        if now < self.begins:
            return f"{self.file} is not valid before {_day(self.begins)}"
        if now > self.ends:
            return f"{self.file} expired on {_day(self.ends)}"
        if now > self.ends - SOON:
            return f"{self.file} expires on {_day(self.ends)}"
        return None


@attrs.frozen
class ServerSettings:
    """How a listener speaks TLS.

    Attributes:
        files: PEM files with key and chain; who asks for no name of theirs gets the first.
        client_ca: A PEM file with those who may have signed a client's certificate, if clients
            have such.
        required: Whether a client without a certificate is refused.
        min_version: A key of `VERSIONS`.
        ciphers: Those of TLS 1.2, as OpenSSL writes them.
        protocols: What is offered by ALPN (RFC 7301).
    """

    files: tuple[str, ...]
    client_ca: str | None = None
    required: bool = True
    min_version: str = "1.2"
    ciphers: str = CIPHERS
    protocols: tuple[str, ...] = ("http/1.1",)

    @property
    def all_files(self) -> tuple[str, ...]:
        """Every file that a change of is a change of what clients see."""
        return self.files if self.client_ca is None else (*self.files, self.client_ca)


def read_identity(file: str) -> Identity:
    """Read a PEM file with a certificate, its key, and the chain behind it.

    Raises:
        BadCertificate: If it cannot be used.
    """
    data = _read(file)
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise BadCertificate(f"{file} has no certificate")
    if b"PRIVATE KEY-----" not in data:
        raise BadCertificate(f"{file} has no private key, which belongs beside its certificate")
    _load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), file)
    try:
        certificate = x509.load_pem_x509_certificate(data)
        names = tuple(_names(certificate))
    except ValueError as error:
        raise BadCertificate(f"{file} has a malformed certificate: {error}") from None
    return Identity(
        file,
        names,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def read_authorities(file: str) -> None:
    """Look whether a PEM file has certificates of authorities.

    Raises:
        BadCertificate: If it has none, or cannot be read.
    """
    _load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), file)


def check_ciphers(ciphers: str) -> bool:
    """Whether OpenSSL knows any of these."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(ciphers)
    except ssl.SSLError:
        return False
    return True


def server_context(file: str, settings: ServerSettings) -> ssl.SSLContext:
    """What one certificate is shown with.

    Raises:
        BadCertificate: If a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[settings.min_version]
    context.set_ciphers(settings.ciphers)
    context.options |= ssl.OP_NO_RENEGOTIATION
    # All of these ciphers are good: the client knows best which of them it computes fast.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _tell_cuts(context)
    if settings.protocols:
        context.set_alpn_protocols(settings.protocols)
    _load_chain(context, file)
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if settings.required else ssl.CERT_OPTIONAL
        _load_authorities(context, settings.client_ca)
    return context


def client_context(verify: bool | str) -> ssl.SSLContext:
    """How backends are spoken to.

    Args:
        verify: Whether they must show a certificate for their name, signed by one whom the system
            trusts, or, by a PEM file, by whom.

    Raises:
        BadCertificate: If the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    _tell_cuts(context)
    context.set_alpn_protocols(["http/1.1"])
    if verify is True:
        context.load_default_certs()
    elif verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _load_authorities(context, verify)
    return context


def subject_of(certificate: bytes) -> bytes:
    r"""Whom a certificate is for, as RFC 4514 writes it, in ASCII that no field line breaks on.

    Args:
        certificate: In DER.

    Returns:
        The subject, most specific part first; what is not printable ASCII is escaped as `\XX`,
        byte by byte of its UTF-8 (RFC 4514 section 2.4).
    """
    try:
        subject = x509.load_der_x509_certificate(certificate).subject
    except ValueError:  # OpenSSL has verified it, so it is only too odd for us.
        return b""
    return b"".join(
        b"%c" % byte if 0x20 <= byte < 0x7F else b"\\%02X" % byte
        for byte in subject.rfc4514_string().encode()
    )


def shadowed(identities: Iterable[Identity]) -> list[tuple[int, int]]:
    """Which certificates nobody would ever see, and behind which other one, by their places."""
    found = []
    seen: list[Identity] = []
    for place, identity in enumerate(identities):
        for earlier, other in enumerate(seen):
            if identity.names and set(identity.names) <= set(other.names):
                found.append((place, earlier))
                break
        seen.append(identity)
    return found


def _tell_cuts(context: ssl.SSLContext) -> None:
    """A connection that is cut must not look as if it had been closed (RFC 8446 section 6.1)."""
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        raise BadCertificate(f"no such file: {file}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadCertificate(f"cannot read {file}: {reason}") from None


def _load_chain(context: ssl.SSLContext, file: str) -> None:
    def no_passphrase() -> str:
        raise BadCertificate(f"the key in {file} is encrypted, and nobody is asked for passphrases")

    try:
        context.load_cert_chain(file, password=no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"the key in {file} is not that of its first certificate"
            raise BadCertificate(message) from None
        raise BadCertificate(f"{file} cannot be used: {in_words(error)}") from None
    except OSError as error:
        raise BadCertificate(f"cannot read {file}: {error.strerror or error}") from None


def _load_authorities(context: ssl.SSLContext, file: str) -> None:
    _read(file)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        if error.reason in ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"):
            raise BadCertificate(f"{file} has no certificate") from None
        raise BadCertificate(f"{file} cannot be used: {in_words(error)}") from None
    except OSError as error:
        raise BadCertificate(f"cannot read {file}: {error.strerror or error}") from None


def in_words(error: OSError) -> str:
    """What TLS or the socket under it complains of."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLEOFError):
        return "closed by the other side"
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        return reason.lower().replace("_", " ")
    return error.strerror or os.strerror(error.errno or 0)


def _names(certificate: x509.Certificate) -> Iterable[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = [str(name.value) for name in common]
    return (name.lower() for name in names)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
