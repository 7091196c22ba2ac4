"""Pipes, through which `splice(2)` moves bytes from one socket to another."""

from __future__ import annotations

import fcntl
import os

#: What a pipe may hold, in bytes: the most that Linux gives to those who are not root
#: (`/proc/sys/fs/pipe-max-size`). The pages are the sockets' own, not copies.
PIPE_SIZE = 1 << 20

#: Empty pipes that are kept for the next one: making one takes three calls.
KEPT_PIPES = 32


class Pipe:
    """A pipe, non-blocking and as large as the kernel lets it be.

    Attributes:
        reader: The descriptor to read from.
        writer: The descriptor to write to.
        size: Bytes that it holds at most.
    """

    __slots__ = ("reader", "size", "writer")

    def __init__(self) -> None:
        """Make it.

        Raises:
            OSError: If the process has too many descriptors already.
        """
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.size = fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:  # The user's pipes together are at their limit (`pipe(7)`).
            self.size = fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ)

    def close(self) -> None:
        """Close both ends, and drop what is in it."""
        os.close(self.reader)
        os.close(self.writer)


class Pipes:
    """Pipes that wait to be used again: empty ones, `KEPT_PIPES` at most."""

    def __init__(self) -> None:
        self._idle: list[Pipe] = []

    def take(self) -> Pipe | None:
        """A pipe, or `None` if there can be none: then bytes are copied."""
        if self._idle:
            return self._idle.pop()
        try:
            return Pipe()
        except OSError:
            return None

    def give(self, pipe: Pipe, *, empty: bool) -> None:
        """Take a pipe back; one that still holds bytes is closed."""
        if empty and len(self._idle) < KEPT_PIPES:
            self._idle.append(pipe)
        else:
            pipe.close()


#: Those of this process.
PIPES = Pipes()
