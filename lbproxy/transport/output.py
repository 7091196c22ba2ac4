"""Files that are written to without ever waiting for whoever reads them.

A pipe whose reader has stalled is full after 64 KiB, and the next write waits for as long as that
lasts, and all that this process does with it.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import sys
from contextlib import suppress

STDOUT = 1


def open_file(path: str) -> int:
    """Open a file to be added to; its descriptor.

    Raises:
        OSError: If that is not possible; its `strerror` is for people.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.ENXIO, "nobody reads this FIFO", path) from None
        raise


def stdout() -> int:
    """Standard output, for ourselves; its descriptor.

    Not to wait is a matter of the open file (`open(2)`), which other processes have too: a shell,
    and whoever else writes to its terminal or pipe. So it is opened once more, where it can be.
    """
    mode = os.fstat(STDOUT).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        with suppress(OSError):  # There is no /proc, or it was made by another user.
            return os.open(f"/proc/self/fd/{STDOUT}", flags)
    return os.dup(STDOUT)


def free_stdout() -> None:
    """Have nothing wait for the reader of a pipe that is standard output: not this log either."""
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(STDOUT).st_mode):
            ours = stdout()
            os.dup2(ours, STDOUT)
            os.close(ours)


def goes_nowhere() -> bool:
    """Whether what is written to standard output is thrown away."""
    try:
        return os.path.samestat(os.fstat(STDOUT), os.stat(os.devnull))
    except OSError:
        return True


class Output:
    """Writes to a descriptor, which becomes its own.

    Attributes:
        at_once: Bytes that are written as a whole or not at all. More than that could end up
            within the lines of another process (`pipe(7)`).
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        self.at_once = sys.maxsize if stat.S_ISREG(mode) else select.PIPE_BUF
        self._socket: socket.socket | None = None
        self._poll: select.poll | None = None
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=descriptor)
        elif not stat.S_ISREG(mode) and os.get_blocking(descriptor):
            # One that others have too. It may block after all, if one of them is faster.
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    def write(self, data: bytes) -> int | None:
        """Write what can be written now, of `at_once` bytes at most.

        Returns:
            How many bytes; `None` if the reader is behind.
        """
        try:
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            if self._poll is not None and not self._poll.poll(0):
                return None
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return None

    def wait(self, seconds: float) -> bool:
        """Wait until something can be written, for so many seconds at most; whether it can."""
        looking = select.poll()
        looking.register(self._descriptor, select.POLLOUT)
        return bool(looking.poll(seconds * 1000))

    def close(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._descriptor)
