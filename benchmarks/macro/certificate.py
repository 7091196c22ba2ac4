"""The certificate of the TLS workloads."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make(folder: Path) -> Path:
    """Write a key and a certificate for the loopback address into one PEM file.

    Raises:
        OSError: If there is no openssl.
        subprocess.CalledProcessError: If it refuses.
    """
    key, chain, both = folder / "key.pem", folder / "chain.pem", folder / "site.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(chain)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    both.write_bytes(chain.read_bytes() + key.read_bytes())
    both.chmod(0o600)
    return both
