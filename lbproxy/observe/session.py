"""What the access log says of a session of TCP mode: one line, when it has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _text

from lbproxy.observe.accesslog import Attempt


class SessionRecord:
    """What is known of a session.

    Attributes:
        started: When the client was accepted, in the clock's seconds.
        client: Its address.
        listener: The listener's name.
        server_name: The name in its ClientHello, where that was looked at and had one.
        reason: Why it ended: `ended` if both sides closed in order, else a reason code.
        detail: The reason in words, for what is not told by its code.
        pool: The pool that it went to, if to one.
        attempts: Each try at a backend, in order.
        queued: Seconds for which it waited for a backend with room.
        bytes_in: Bytes that came from the client.
        bytes_out: Bytes that came from the backend.
    """

    server_name: str | None = None
    reason = "ended"
    detail = ""
    pool: str | None = None
    queued = 0.0
    bytes_in = 0
    bytes_out = 0

    def __init__(self, started: float, client: str, listener: str) -> None:
        self.started = started
        self.client = client
        self.listener = listener
        self.attempts: list[Attempt] = []

    def line(self, ended: float) -> str:
        """The record as a line of JSON.

        Args:
            ended: When the session ended, in the clock's seconds.
        """
        time = datetime.fromtimestamp(self.started, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        said = f',"detail":{_text(self.detail)}' if self.detail else ""
        if self.server_name is not None:
            said += f',"server_name":{_text(self.server_name)}'
        if self.pool is not None:
            tried = ",".join([attempt.json() for attempt in self.attempts])
            said += f',"pool":{_text(self.pool)},"attempts":[{tried}]'
        return (
            f'{{"time":"{time}Z","kind":"session","client":{_text(self.client)}'
            f',"listener":{_text(self.listener)},"reason":"{self.reason}"{said}'
            f',"bytes_in":{self.bytes_in},"bytes_out":{self.bytes_out}'
            f',"seconds":{{"queue":{self.queued:.6f},"total":{ended - self.started:.6f}}}}}\n'
        )
