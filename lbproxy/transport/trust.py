"""How one backend is spoken to under TLS: what it must show, and the session that it gave us."""

from __future__ import annotations

import socket
import ssl


class Trust:
    """A backend's name and who vouches for it.

    A session of an earlier connection spares the next one most of its handshake, and with it the
    look at the certificate.

    Attributes:
        name: The name or address that the certificate is for; a name is also asked for (SNI).
    """

    def __init__(self, context: ssl.SSLContext, name: str, resumes: bool = True) -> None:
        """Prepare.

        Args:
            context: As `client_context` makes it; backends may share it.
            name: As the attribute; empty for none.
            resumes: Whether earlier sessions are gone on with.
        """
        self._resumes = resumes
        self._context = context
        self.name = name
        self._newest: ssl.SSLSocket | None = None
        self._session: ssl.SSLSession | None = None

    def afresh(self) -> Trust:
        """The same without sessions: each connection looks at the certificate."""
        return Trust(self._context, self.name, resumes=False)

    def wrap(self, skt: socket.socket) -> ssl.SSLSocket:
        """A connected socket under TLS, its handshake to be done."""
        return self._context.wrap_socket(
            skt,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
            server_hostname=self.name or None,
            session=self._last_session(),
        )

    def stands(self, skt: ssl.SSLSocket) -> None:
        """A connection has done its handshake. TLS 1.3 brings the session some time after that."""
        if self._resumes:
            self._newest = skt

    def lost(self, skt: ssl.SSLSocket) -> None:
        """A connection is about to be closed."""
        if skt is self._newest:
            self._last_session()
            self._newest = None

    def _last_session(self) -> ssl.SSLSession | None:
        if self._newest is not None:
            self._session = self._newest.session or self._session
        return self._session
