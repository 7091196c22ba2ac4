"""The client of the admin listener, and what all commands have that ask it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater, react
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from lbproxy.cli.where import Where, find
from lbproxy.errors import AdminError, ConfigError

#: Seconds for an answer.
PATIENCE = 10.0

#: The same for what takes its time: a supervised backend may need 25 of them to end, and 10 to
#: begin anew.
LONG_PATIENCE = 40.0
_LONG = ("/restart", "/reload")

#: How the admin listener calls what it does not do; what else answers has other words.
_REASONS = frozenset(each.reason for each in AdminError.__subclasses__())

#: Seconds from one look to the next, while something is waited for.
STEP = 0.25


class Failed(Exception):
    """A command does not do what it should; the text is for people as it stands."""


@implementer(IAgentEndpointFactory)
@attrs.frozen
class _Socket:
    """Connects to a Unix socket, whatever the URL says."""

    reactor: Any
    path: str

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return UNIXClientEndpoint(self.reactor, self.path)


class Client:
    """Asks one balancer.

    Attributes:
        reactor: Time and processes.
    """

    def __init__(self, http: Any, reactor: Any, where: Where) -> None:
        """Prepare.

        Args:
            http: An `HTTPClient` of treq.
            reactor: Time and processes.
            where: Where to ask.
        """
        self._http = http
        self._where = where
        self.reactor = reactor

    @classmethod
    def of(cls, reactor: Any, where: Where) -> Client:
        """One that goes over the network, on a new connection each time."""
        pool = HTTPConnectionPool(reactor, persistent=False)
        if where.socket is None:
            agent = Agent(reactor, connectTimeout=5.0, pool=pool)
        else:
            sockets = _Socket(reactor, where.socket)
            agent = Agent.usingEndpointFactory(reactor, sockets, pool=pool)
        return cls(HTTPClient(agent), reactor, where)

    async def status(self) -> dict[str, Any]:
        """How all is.

        Raises:
            Failed: If that is not told.
        """
        return await self._ask("GET", "/status")

    async def tell(self, path: str, said: dict[str, Any]) -> dict[str, Any]:
        """Ask for a change.

        Raises:
            Failed: If it is not made, with the reason.
        """
        return await self._ask("POST", path, json=said)

    async def eventually(self, seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
        """Wait until something holds, for so many seconds at most; whether it did."""
        end = self.reactor.seconds() + seconds
        while not await holds():
            if self.reactor.seconds() >= end:
                return False
            await deferLater(self.reactor, STEP)
        return True

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        where = self._where
        patience = LONG_PATIENCE if path in _LONG else PATIENCE
        try:
            asked = Deferred.fromCoroutine(self._exchange(method, path, **more))
            told = await asked.addTimeout(patience, self.reactor)
        except TimeoutError:
            raise Failed(
                f"the balancer at {where} does not answer within {patience:g} s; it hangs, or is"
                " stopped"
            ) from None
        except (ConnectError, DNSLookupError) as error:
            cause = getattr(error, "osError", None)
            reason = (cause and os.strerror(cause)) or str(error).rstrip(".")
            raise Failed(
                f"no lbproxy answers at {where}: {reason}; is it running, and is that its [admin]"
                " endpoint or socket? Name its config with --config, or the place with --admin"
            ) from None
        except (ResponseFailed, ValueError):
            told = None
        if not isinstance(told, dict) or not ("complete" in told or told.get("reason") in _REASONS):
            raise Failed(f"what answers at {where} is no admin listener of lbproxy")
        if "complete" not in told:
            raise Failed(str(told["detail"]))
        return told

    async def _exchange(self, method: str, path: str, **more: Any) -> Any:
        """What was answered, whole."""
        try:
            answer = await self._http.request(method, f"{self._where.url}{path}", **more)
            return await answer.json()
        except ConnectingCancelledError:
            raise CancelledError from None
        except ResponseFailed as error:
            # So it is told that somebody has given up.
            if any(reason.check(CancelledError) for reason in error.reasons):
                raise CancelledError from None
            raise


#: What a command does, given who it asks and its arguments; its exit status.
Story = Callable[[Client, argparse.Namespace], Coroutine[Deferred[Any], Any, int]]


def run(arguments: argparse.Namespace) -> int:
    """Run the command whose `story` is among its arguments; the exit status."""
    try:
        where = find(arguments.config, arguments.admin)
        react(lambda reactor: _in_reactor(reactor, where, arguments))
    except ConfigError as error:
        print(f"lbproxy: {error}", file=sys.stderr)
        return 1
    except SystemExit as ended:  # Which is how `react` returns.
        return int(ended.code or 0)
    raise AssertionError("react has returned")


def _in_reactor(reactor: Any, where: Where, arguments: argparse.Namespace) -> Deferred[None]:
    told = Deferred.fromCoroutine(ended(arguments.story, Client.of(reactor, where), arguments))
    # Ctrl-C ends the reactor: whoever waits is to hear of it, and say what is left undone.
    reactor.addSystemEventTrigger("before", "shutdown", told.cancel)

    def leave(status: int) -> None:
        raise SystemExit(status)

    return told.addCallback(leave)


async def ended(story: Story, client: Client, arguments: argparse.Namespace) -> int:
    """Run a command; what keeps it from its end is told in one line, and is status 1."""
    try:
        return await story(client, arguments)
    except Failed as error:
        print(f"lbproxy: {error}", file=sys.stderr)
    except CancelledError:
        print("lbproxy: interrupted", file=sys.stderr)
    return 1
