"""One question to one DNS server."""

from __future__ import annotations

import random
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

from lbproxy.errors import ConnectFailed
from lbproxy.transport.datagram import ask

#: Whoever forges an answer has to guess the number of the question.
_CHANCE = random.SystemRandom()


class _Stream(Int16StringReceiver):
    """A connection for one answer (RFC 1035, section 4.2.2)."""

    def __init__(self, question: dns.Message) -> None:
        self._question = question
        self.answer: Deferred[dns.Message] = Deferred()

    def connectionMade(self) -> None:
        self.sendString(self._question.toStr())

    def stringReceived(self, data: bytes) -> None:
        message = answer_to(self._question, data)
        if message is not None and not self.answer.called:
            self.answer.callback(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.answer.called:
            self.answer.errback(ConnectFailed("it closed the connection without an answer"))


async def query(
    reactor: Any, server: tuple[str, int], query: dns.Query, timeout: float
) -> dns.Message:
    """Ask a server, by UDP, and by TCP for an answer that is too long for that.

    Args:
        reactor: Network and time.
        server: Its address and port.
        query: What is asked.
        timeout: Seconds for each of the two.

    Raises:
        ConnectFailed: If it cannot be reached.
        TimeoutError: If it does not answer in time (Twisted's).
    """
    host, port = server
    question = dns.Message(_CHANCE.getrandbits(16), recDes=1)
    question.queries = [query]
    heard: list[dns.Message] = []

    def fits(data: bytes) -> bool:
        message = answer_to(question, data)
        if message is not None:
            heard.append(message)
        return message is not None

    await ask(reactor, host, port, question.toStr(), fits).addTimeout(timeout, reactor)
    if not heard[0].trunc:
        return heard[0]
    longer = Deferred.fromCoroutine(_by_tcp(reactor, server, question))
    return await longer.addTimeout(timeout, reactor)


async def _by_tcp(reactor: Any, server: tuple[str, int], question: dns.Message) -> dns.Message:
    make = TCP6ClientEndpoint if ":" in server[0] else TCP4ClientEndpoint
    stream = _Stream(question)
    try:
        await connectProtocol(make(reactor, *server), stream)
    except ConnectError as error:
        raise ConnectFailed(f"by TCP: {error}") from error
    try:
        return await stream.answer
    finally:
        cast(ITCPTransport, stream.transport).abortConnection()


def answer_to(question: dns.Message, data: bytes) -> dns.Message | None:
    """The message if it is one, and the answer to this question."""
    message = dns.Message()
    try:
        message.fromStr(data)
    except (EOFError, ValueError):
        return None
    fits = message.answer and message.id == question.id and message.queries == question.queries
    return message if fits else None
