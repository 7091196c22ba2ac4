"""Who a listener is to whom: its certificates by name, read anew when their files change."""

from __future__ import annotations

import os
import ssl

from twisted.logger import Logger

from lbproxy.transport.certificates import (
    BadCertificate,
    Identity,
    ServerSettings,
    read_identity,
    server_context,
)

#: Seconds after which all is made anew, and with it the keys of session tickets: OpenSSL would
#: keep those for as long as the process lives, and whoever took them could read all of that.
KEYS_LIVE = 86400.0

_Marks = dict[str, tuple[int, int, int] | None]


class Identities:
    """The certificates of a listener.

    All handshakes begin with one context, whose session tickets are therefore good for every name;
    the name that the client asks for (RFC 6066 section 3) then chooses the certificate.

    Attributes:
        context: What new connections begin with.
    """

    log = Logger()

    context: ssl.SSLContext
    _stale_from: float

    def __init__(self, settings: ServerSettings, now: float) -> None:
        """Read the files.

        Raises:
            BadCertificate: If one of them cannot be used.
        """
        self._settings = settings
        self._marks: _Marks = self._look()
        self._load(now)

    def refresh(self, now: float) -> None:
        """Read the files anew if they have changed; if they are bad, go on with what is there."""
        marks = self._look()
        changed = marks != self._marks
        if not changed and now < self._stale_from:
            return
        self._marks = marks
        try:
            self._load(now)
        except BadCertificate as error:
            self._stale_from = now + KEYS_LIVE
            self.log.error("{error}; going on with what was read before", error=error)
        else:
            if changed:
                self.log.info("read anew: {files}", files=", ".join(self._settings.all_files))

    def _load(self, now: float) -> None:
        """Everything is made before anything is used."""
        loaded: list[tuple[Identity, ssl.SSLContext]] = []
        for file in self._settings.files:
            identity = read_identity(file)
            loaded.append((identity, server_context(file, self._settings)))
        by_name: dict[str, ssl.SSLContext] = {}
        for identity, context in loaded:
            for name in identity.names:
                by_name.setdefault(name, context)
        first = loaded[0][1]

        def choose(skt: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name is not None:
                skt.context = _context_for(name.lower(), by_name) or first

        first.sni_callback = choose
        self.context = first
        self._stale_from = now + KEYS_LIVE
        for identity, _ in loaded:
            doubt = identity.doubt(now)
            if doubt is not None:
                self.log.warn("{doubt}", doubt=doubt)

    def _look(self) -> _Marks:
        return {file: _mark(file) for file in self._settings.all_files}


def _context_for(name: str, by_name: dict[str, ssl.SSLContext]) -> ssl.SSLContext | None:
    """The name itself, or `*.` in place of its first label (RFC 9525 section 6.3)."""
    found = by_name.get(name)
    return by_name.get("*." + name.partition(".")[2]) if found is None else found


def _mark(file: str) -> tuple[int, int, int] | None:
    """What changes with a file; `None` if it is not there."""
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
