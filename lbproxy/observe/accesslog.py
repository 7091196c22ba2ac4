"""The access log: one JSON object a line, one line an exchange."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Protocol

from twisted.application.service import Service
from twisted.logger import Logger

from lbproxy.errors import ConfigError, UpstreamError
from lbproxy.transport.output import STDOUT, Output, open_file, stdout
from lbproxy.transport.timer import NEVER, RESOLUTION, CoarseTimer

#: Lines are made and written at once when there are so many, else at the timer's next tick. One
#: after another they take half the time of what each takes between two exchanges, since the
#: processor has all that it needs at hand.
BATCH = 128

#: Bytes that wait for a reader who is behind; beyond that lines are lost.
MOST_WAITING = 1_048_576

#: Seconds for which a reader who is behind is waited for at the end, each time until he has taken
#: something.
LAST_WAIT = 1.0

#: Why, for people.
BEHIND = "whoever reads it is behind"

_text = encode_basestring_ascii


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    """A second as RFC 3339 writes it, without its zone."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


#: The outcome of an attempt that was given up, since its exchange ended in another one.
OUTRUN = "outrun"


class Attempt:
    """One try of an exchange at one backend.

    Attributes:
        backend: The backend's name.
        started: When it was chosen, in the clock's seconds.
        reused: Whether a kept-alive connection was taken.
        degraded: Whether it was tried although no backend counts as healthy.
        hedge: Whether it was made while another one was running.
        outcome: `answered`, `OUTRUN`, or the reason code of what broke it; `None` while it runs.
        stage: How far it got, if it broke.
        decision: What was done about it: `retry`, `retry_free`, or why not; of one that answered
            why an answer that is tried elsewhere was not.
        detail: What broke it, in words.
        connected: Seconds until the connection stood; 0.0 for a kept-alive one.
        first_byte: Seconds until the answer's head, if one came.
    """

    hedge = False

    def __init__(self, backend: str, started: float, degraded: bool = False) -> None:
        self.backend = backend
        self.started = started
        self.degraded = degraded
        self.reused = False
        self.outcome: str | None = None
        self.stage: str | None = None
        self.decision = ""
        self.detail = ""
        self.connected: float | None = None
        self.first_byte: float | None = None

    def failed(self, error: UpstreamError, decision: str) -> None:
        """It broke, and something was decided about that."""
        self.outcome, self.stage = error.reason, error.reached.value
        self.detail, self.decision = error.detail, decision

    def json(self) -> str:
        """The attempt as a JSON object."""
        said = ""
        if self.stage is not None:
            said = f',"stage":"{self.stage}"'
        if self.decision:
            said += f',"decision":"{self.decision}"'
        if self.detail:
            said += f',"detail":{_text(self.detail)}'
        if self.degraded:
            said += ',"degraded":true'
        if self.hedge:
            said += ',"hedge":true'
        if self.reused:
            said += ',"reused":true'
        if self.connected is not None:
            said += f',"connect":{self.connected:.6f}' if self.connected else ',"connect":0'
        if self.first_byte is not None:
            said += f',"first_byte":{self.first_byte:.6f}'
        return f'{{"backend":{_text(self.backend)},"outcome":"{self.outcome or "open"}"{said}}}'


def caller(client: str, listener: str, tls: str = "") -> str:
    """Who asks, as members of a line.

    Args:
        client: The peer's address.
        listener: The listener's name.
        tls: The version and cipher of the client's connection; empty if that is plain.
    """
    said = f'"client":{_text(client)},"listener":{_text(listener)}'
    return f'{said},"tls":{_text(tls)}' if tls else said


def asked(method: str, host: str, target: str, minor: int) -> str:
    """What is asked for, as members of a line: all as it came, and the minor version."""
    return (
        f'"method":{_text(method)},"host":{_text(host)},"target":{_text(target)}'
        f',"version":"1.{minor}"'
    )


_NOTHING = asked("", "", "", 1)


class Record:
    """What is known of an exchange; a line of the log when it ends.

    Attributes:
        started: When its first bytes were read, in the clock's seconds.
        request_id: As in `X-Request-Id`.
        caller: What `caller` gave.
        asked: What `asked` gave; empty strings if no head could be read.
        status: What the client was told; 499 if it was gone before, 0 if nothing could be said.
        reason: Why it ended as it did: `answered`, or a reason code.
        detail: The reason in words, for what is not told by its code.
        route: The path of the route that matched.
        pool: The pool that served it, if one did.
        bytes_in: Bytes of the request's body.
        bytes_out: Bytes of the answer's body.
        attempts: Each try at a backend, in order.
        queued: Seconds for which it waited for a backend with room.
        held: Seconds for which it waited while no backend could take anything.
        headed: Seconds until the request's head was whole.
        answered: Seconds until the answer's head was written.
    """

    def __init__(self, started: float, request_id: str, caller: str) -> None:
        self.started = started
        self.request_id = request_id
        self.caller = caller
        self.asked = _NOTHING
        self.status = 0
        self.reason = "answered"
        self.detail = ""
        self.route: str | None = None
        self.pool: str | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.attempts: list[Attempt] = []
        self.queued = 0.0
        self.held = 0.0
        self.headed = 0.0
        self.answered: float | None = None

    def line(self, ended: float) -> str:
        """The record as a line of JSON.

        Args:
            ended: When the exchange ended, in the clock's seconds.
        """
        second, micro = divmod(int(self.started * 1e6), 1_000_000)
        said = f',"detail":{_text(self.detail)}' if self.detail else ""
        if self.route is not None:
            said += f',"route":{_text(self.route)}'
        if self.pool is not None:
            tried = ",".join([attempt.json() for attempt in self.attempts])
            said += f',"pool":{_text(self.pool)},"attempts":[{tried}]'
        held = f',"held":{self.held:.6f}' if self.held else ""
        answered = "" if self.answered is None else f',"answer":{self.answered:.6f}'
        return (
            f'{{"time":"{_second(second)}.{micro:06d}Z","id":"{self.request_id}",{self.caller}'
            f',{self.asked},"status":{self.status},"reason":"{self.reason}"{said}'
            f',"bytes_in":{self.bytes_in},"bytes_out":{self.bytes_out}'
            f',"seconds":{{"head":{_seconds(self.headed)},"queue":{_seconds(self.queued)}'
            f'{held}{answered},"total":{ended - self.started:.6f}}}}}\n'
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:.6f}" if seconds else "0"


class Line(Protocol):
    """A record of something that has ended."""

    def line(self, ended: float) -> str:
        """The record as a line of JSON."""


def cannot_write(path: str, error: OSError) -> ConfigError:
    """What is told of a log that cannot be opened, with the reason and the knob."""
    return ConfigError(f"access_log: cannot write to {path}: {error.strerror}")


def check_writable(path: str | None) -> None:
    """See that a log could be written, given its path as in the config.

    Raises:
        ConfigError: If not, with the reason and the knob.
    """
    if path is None or path == "-":
        return
    try:
        Output(open_file(path)).close()
    except OSError as error:
        raise cannot_write(path, error) from None


class AccessLog(Service):
    """Writes records to a file or to standard output, in batches.

    A disk that is full, a file that cannot be written or a reader who is behind loses lines, never
    requests, nor does any wait: the loss is said once, with the number of lines when writing works
    again.

    Attributes:
        deadline: When the waiting lines are written.
    """

    log = Logger()

    def __init__(self, timer: CoarseTimer, path: str | None, descriptor: int | None = None) -> None:
        """Prepare; nothing is opened yet.

        Args:
            timer: Says when it is time to write.
            path: Where to; `-` is standard output, `None` nowhere.
            descriptor: The file, if another process has opened it and writes to it as well; it
                becomes the log's, unless it is standard output.
        """
        self._timer = timer
        self._path = path
        self._descriptor = descriptor
        self._file: Output | None = None
        self._ended: list[tuple[Line, float]] = []
        self._waiting = b""
        self._lost = 0
        self._torn = False
        self.deadline = NEVER

    def privilegedStartService(self) -> None:
        """Open the file.

        Raises:
            ConfigError: If that is not possible, with the reason and the knob.
        """
        super().privilegedStartService()
        try:
            self.open()
        except OSError as error:
            raise cannot_write(self._path or "", error) from None

    def startService(self) -> None:
        super().startService()
        self._timer.add(self)

    def stopService(self) -> None:
        super().stopService()
        self._timer.discard(self)
        self.expired(0.0)
        before = 0
        while self._file is not None and len(self._waiting) != before:
            before = len(self._waiting)
            if self._file.wait(LAST_WAIT):
                self._flush(self._file)
        self._lose(self._waiting.count(b"\n"), BEHIND)
        if self._lost:
            told = "access_log: {lines} lost"
            self.log.warn(told, lines=_counted(self._lost), lost=self._lost)
        self._close()

    def open(self) -> None:
        """Open the file, anew if it was open: what log rotation asks for."""
        if self._path is None:
            self._close()
            return
        if self._descriptor is not None and self._descriptor != STDOUT:
            descriptor = self._descriptor
        elif self._path == "-":
            # twistd replaces `sys.stdout` with its own log, so standard output is the descriptor.
            descriptor = stdout()
        else:
            descriptor = open_file(self._path)
        opened = Output(descriptor)
        self._close()
        self._file = opened
        if self._torn:  # The rest of a line is none in another file.
            _, _, self._waiting = self._waiting.partition(b"\n")
            self._torn = False

    def renew(self, path: str | None, descriptor: int | None = None) -> None:
        """Open the file anew, which may be another one; the arguments are as at first.

        Raises:
            OSError: If it cannot be opened; then the one before is gone on with.
        """
        self.expired(0.0)
        before = self._path, self._descriptor
        self._path, self._descriptor = path, descriptor
        try:
            self.open()
        except OSError:
            self._path, self._descriptor = before
            raise

    def write(self, record: Line, ended: float) -> None:
        """Take a record of what has ended, which changes no more."""
        if self._path is None:
            return
        self._ended.append((record, ended))
        if len(self._ended) >= BATCH:
            self.expired(0.0)
        elif self.deadline == NEVER:
            self.deadline = ended + RESOLUTION / 2

    def expired(self, now: float) -> None:
        """Write what waits."""
        self.deadline = NEVER
        records, self._ended = self._ended, []
        if self._file is None or not (records or self._waiting):
            return
        whole = self._flush(self._file)
        if len(self._waiting) >= MOST_WAITING:
            self._lose(len(records), BEHIND)
        elif records:
            lines = "".join([record.line(ended) for record, ended in records])
            if self._torn and not self._waiting:  # A line that was cut must not garble the next.
                lines = "\n" + lines
            self._waiting += lines.encode("ascii")
            whole = self._flush(self._file)
        if self._waiting:
            self.deadline = 0.0  # It is tried again with the next tick.
        elif whole and self._lost:
            told = "access_log: works again; {lines} lost"
            self.log.warn(told, lines=_counted(self._lost), lost=self._lost)
            self._lost = 0

    # The rest is ours.

    def _flush(self, file: Output) -> bool:
        """Write what can be written now, and lose what cannot be at all; whether that was all."""
        data, written = self._waiting, 0
        try:
            while written < len(data):
                sent = file.write(self._piece(data, written, file.at_once))
                if sent is None:
                    break
                written += sent
        except OSError as error:
            self._waiting = b""
            # What only a cut line needed to end is no line.
            self._lose(data[written:].lstrip(b"\n").count(b"\n"), error)
            return False
        else:
            self._waiting = data[written:]
            return not self._waiting
        finally:
            if written:
                self._torn = not data.endswith(b"\n", 0, written)

    def _lose(self, lines: int, reason: object) -> None:
        if lines and not self._lost:
            self.log.error(
                "access_log: cannot write to {path}: {reason}; lines are lost until it works",
                path="standard output" if self._path == "-" else self._path,
                reason=reason,
            )
        self._lost += lines

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _piece(self, data: bytes, start: int, most: int) -> bytes:
        """What is written next: whole lines, if it cannot be all."""
        if len(data) - start <= most:
            return data[start:] if start else data
        end = data.rfind(b"\n", start, start + most) + 1
        return data[start : end or data.find(b"\n", start) + 1]


def _counted(lines: int) -> str:
    return "1 line was" if lines == 1 else f"{lines} lines were"
