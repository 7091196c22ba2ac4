"""Whether a request may be sent again, and the body that this takes."""

from __future__ import annotations

from enum import Enum

from lbproxy.errors import Stage
from lbproxy.http1.grammar import field_named
from lbproxy.http1.message import RequestHead

#: Bytes of a body that are kept for a retry, for one request and for all together.
REQUEST_LIMIT, PROCESS_LIMIT = 65536, 16 * 1024 * 1024


class MethodClass(Enum):
    """What sending a request twice would do (RFC 9110 section 9.2)."""

    SAFE = "safe"
    IDEMPOTENT = "idempotent"
    UNSAFE = "unsafe"
    UNSAFE_WITH_KEY = "unsafe_with_key"


class Verdict(Enum):
    """What the table says; `FREE` is a retry that costs nothing of the budget."""

    NO = "no"
    RETRY = "retry"
    FREE = "free"


_METHODS = {
    b"GET": MethodClass.SAFE,
    b"HEAD": MethodClass.SAFE,
    b"OPTIONS": MethodClass.SAFE,
    b"TRACE": MethodClass.SAFE,
    b"PUT": MethodClass.IDEMPOTENT,
    b"DELETE": MethodClass.IDEMPOTENT,
}

_NO, _RETRY, _FREE = Verdict.NO, Verdict.RETRY, Verdict.FREE

#: How far the attempt got; then a verdict for each class of methods, in their order.
_TABLE = {
    Stage.NOTHING_SENT: (_RETRY, _RETRY, _RETRY, _RETRY),
    Stage.REUSED_AND_CLOSED: (_FREE, _FREE, _NO, _FREE),
    Stage.SENT: (_RETRY, _RETRY, _NO, _RETRY),
    Stage.TIMED_OUT: (_RETRY, _NO, _NO, _RETRY),
    Stage.GATEWAY_STATUS: (_RETRY, _RETRY, _NO, _RETRY),
    Stage.ANSWERED: (_NO, _NO, _NO, _NO),
}

_VERDICTS = {
    (stage, method_class): verdict
    for stage, verdicts in _TABLE.items()
    for method_class, verdict in zip(MethodClass, verdicts, strict=True)
}


_KEY = field_named(b"idempotency-key")


def method_class(head: RequestHead) -> MethodClass:
    """The class of a request's method; an unknown one counts as POST."""
    known = _METHODS.get(head.method)
    if known is not None:
        return known
    keyed = _KEY.search(head.kept) is not None
    return MethodClass.UNSAFE_WITH_KEY if keyed else MethodClass.UNSAFE


def may_retry(stage: Stage, method_class: MethodClass) -> Verdict:
    """What may follow an attempt that broke at this stage."""
    return _VERDICTS[stage, method_class]


class ReplayMemory:
    """The account of what all requests of a process keep together.

    Attributes:
        free: Bytes that may still be kept.
    """

    __slots__ = ("free",)

    def __init__(self, limit: int = PROCESS_LIMIT) -> None:
        self.free = limit


class Tee:
    """Keeps the body of one request while it is small enough to be sent again.

    Attributes:
        pieces: What is kept, framed as it goes on the wire.
        whole: Whether that is all that came; past a limit nothing is kept any more.
    """

    __slots__ = ("_kept", "_memory", "pieces", "whole")

    def __init__(self, memory: ReplayMemory) -> None:
        self._memory = memory
        self._kept = 0
        self.pieces: list[bytes] = []
        self.whole = True

    def append(self, data: bytes) -> None:
        """Keep a piece, or give up."""
        if not self.whole:
            return
        if self._kept + len(data) > REQUEST_LIMIT or len(data) > self._memory.free:
            self.release()
            return
        self._kept += len(data)
        self._memory.free -= len(data)
        self.pieces.append(data)

    def release(self) -> None:
        """Forget what was kept: it is too much, or nothing will be sent again."""
        self._memory.free += self._kept
        self._kept = 0
        self.pieces = []
        self.whole = False


class NoBody(Tee):
    """For the requests without a body, all of which can share it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(ReplayMemory(0))

    def release(self) -> None:
        """There is nothing to forget, and always nothing to be sent again."""
