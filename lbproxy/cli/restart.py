"""A command of the user's that starts a backend anew."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from lbproxy.cli.client import Failed


class _Ended(ProcessProtocol):
    """Hears of the end of a process that speaks for itself.

    Attributes:
        ended: Fires with how it was, or with nothing if it was well.
    """

    def __init__(self) -> None:
        self.ended: Deferred[str | None] = Deferred(lambda _: self._end())

    def _end(self) -> None:
        transport: Any = self.transport
        transport.signalProcess("TERM")

    def processEnded(self, reason: Failure) -> None:
        if self.ended.called:  # Nobody waits any more.
            return
        error: Any = reason.value
        how = None
        if isinstance(error, ProcessTerminated):
            how = "ended with exit status " + str(error.exitCode)
            if error.signal is not None:
                how = f"was ended by signal {error.signal}"
        self.ended.callback(how)


class Restart:
    """It, with what stands for the backend still in it."""

    def __init__(self, command: str) -> None:
        """Read it.

        Raises:
            Failed: If it cannot be read.
        """
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise Failed(f"--command: {error}") from None
        if not self._words:
            raise Failed("--command: is empty")

    def words(self, name: str, address: str) -> list[str]:
        """The command for one backend. No shell sees it, so that a name is never more than one."""
        values = {"{name}": name, "{address}": address}
        told = []
        for word in self._words:
            for key, value in values.items():
                word = word.replace(key, value)
            told.append(word)
        return told

    def check(self, name: str, address: str) -> None:
        """See that there is such a program.

        Raises:
            Failed: If there is none.
        """
        program = self.words(name, address)[0]
        if shutil.which(program) is None:
            raise Failed(f"--command: there is no program {program}")

    async def run(self, reactor: Any, name: str, address: str, seconds: float) -> None:
        """Run it to its end for one backend; it prints where we print.

        Args:
            reactor: Starts processes.
            name: The backend's.
            address: Where it listens.
            seconds: How long it may take; then it is ended, as it is if nobody waits any more.

        Raises:
            Failed: If it does not end well, or in time.
        """
        command = self.words(name, address)
        process = _Ended()
        told = shlex.join(command)
        try:
            reactor.spawnProcess(
                process, command[0], command, env=dict(os.environ), childFDs={0: 0, 1: 1, 2: 2}
            )
        except OSError as error:
            raise Failed(f"cannot run {told}: {error.strerror}") from None
        try:
            how = await process.ended.addTimeout(seconds, reactor)
        except TimeoutError:
            raise Failed(f"{told} has not ended within {seconds:g} s, and got SIGTERM") from None
        if how is not None:
            raise Failed(f"{told} {how}")
