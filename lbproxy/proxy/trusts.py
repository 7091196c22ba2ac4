"""Which backends speak TLS, and what each of them has to show."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress

from lbproxy.config import model
from lbproxy.errors import ConfigError
from lbproxy.transport.certificates import BadCertificate, client_context
from lbproxy.transport.trust import Trust

#: What a context is made from: whom to believe, and when that file was written.
_Source = tuple[bool | str, int]


class Trusts:
    """What backends have to show, pool by pool.

    What was made once is given again while nothing of it has changed, and with it the sessions that
    spare handshakes. A file of authorities is read anew when it was written anew.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._contexts: dict[_Source, ssl.SSLContext] = {}
        self._made: dict[tuple[str, str], tuple[_Source, Trust]] = {}

    def of(self, config: model.Pool) -> dict[str, Trust]:
        """Those of a pool's backends that speak TLS, by name.

        Raises:
            ConfigError: If a file of authorities cannot be used any more.
        """
        return {
            backend.name: self._trust(config.name, backend, tls)
            for backend in config.backends
            if (tls := config.tls_of(backend)) is not None
        }

    def _trust(self, pool: str, backend: model.Backend, tls: model.UpstreamTLS) -> Trust:
        source = tls.verify, _written(tls.verify)
        key = pool, f"{backend.name} {backend.address}"
        made = self._made.get(key)
        if made is not None and made[0] == source and made[1].name == tls.name:
            return made[1]
        if source not in self._contexts:
            try:
                self._contexts[source] = client_context(tls.verify)
            except BadCertificate as error:
                raise ConfigError(f"pools.{pool}.verify: {error}") from None
        trust = Trust(self._contexts[source], tls.name)
        self._made[key] = source, trust
        return trust


def _written(verify: bool | str) -> int:
    """When a file of authorities was written last; 0 if that is not the question."""
    if isinstance(verify, str):
        with suppress(OSError):
            return os.stat(verify).st_mtime_ns
    return 0
