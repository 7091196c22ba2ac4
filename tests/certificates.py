"""Certificates for tests, in files as the config names them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme


class Authority:
    """Signs certificates.

    Attributes:
        file: Its own certificate.
    """

    def __init__(self, folder: Path, name: str = "ca.pem") -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.file = folder / name
        self._authority.cert_pem.write_to_path(str(self.file))

    def issue(self, file: str, *names: str, **more: Any) -> Path:
        """Write a key, a certificate for some names, and its chain, into one file.

        Args:
            file: Its name in the authority's folder; what stands there goes in one step.
            names: Host names, IP addresses, or mail addresses.
            more: As `trustme.CA.issue_cert` has it.
        """
        path, new = self._folder / file, self._folder / f"{file}.new"
        issued = self._authority.issue_cert(*names, **more)
        issued.private_key_and_cert_chain_pem.write_to_path(str(new))
        return new.replace(path)

    def client(self, *, certificate: Path | None = None) -> ssl.SSLContext:
        """How a client that trusts this authority speaks, with a certificate or without."""
        context = ssl.create_default_context(cafile=self.file)
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def server(self, certificate: Path) -> ssl.SSLContext:
        """How a server with this certificate speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context
