"""Which backends speak TLS, and what each of them has to show."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from weakref import WeakValueDictionary

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
        # Weak, since what a file said before it was written anew is of no use to anybody.
        self._contexts: WeakValueDictionary[_Source, ssl.SSLContext] = WeakValueDictionary()
        self._made: dict[str, dict[tuple[str, str], tuple[_Source, Trust]]] = {}

    def of(self, config: model.Pool) -> dict[str, Trust]:
        """Those of a pool's backends that speak TLS, by name.

        Raises:
            ConfigError: If a file of authorities cannot be used any more.
        """
        before = self._made.get(config.name, {})
        made, trusts = {}, {}
        for backend in config.backends:
            tls = config.tls_of(backend)
            if tls is None:
                continue
            key = backend.name, backend.address
            source = tls.verify, _written(tls.verify)
            known = before.get(key)
            if known is None or known[0] != source or known[1].name != tls.name:
                known = source, self._make(config.name, source, tls)
            made[key], trusts[backend.name] = known, known[1]
        # Nothing is kept of those that have gone: where DNS names them there is no end of them.
        self._made[config.name] = made
        return trusts

    def _make(self, pool: str, source: _Source, tls: model.UpstreamTLS) -> Trust:
        context = self._contexts.get(source)
        if context is None:
            try:
                self._contexts[source] = context = client_context(tls.verify)
            except BadCertificate as error:
                raise ConfigError(f"pools.{pool}.verify: {error}") from None
        return Trust(context, tls.name)


def _written(verify: bool | str) -> int:
    """When a file of authorities was written last; 0 if that is not the question."""
    if isinstance(verify, str):
        with suppress(OSError):
            return os.stat(verify).st_mtime_ns
    return 0
