"""Files that are written to without waiting."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import ConfigError
from lbproxy.observe.accesslog import check_writable
from lbproxy.transport import output
from lbproxy.transport.output import Output, free_stdout, goes_nowhere, open_file, stdout

PIECE = b"x" * (select.PIPE_BUF - 1) + b"\n"


class OutputTests(SynchronousTestCase):
    def fill(self, made: Output) -> int:
        """Write pieces until the reader is behind; how many."""
        for pieces in range(10_000):
            if made.write(PIECE) is None:
                return pieces
        raise AssertionError("it is never full")

    def pipe(self) -> tuple[int, int]:
        """The ends of a pipe; the one to read from is closed at the end."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        return reading, writing

    def as_stdout(self, descriptor: int) -> None:
        """Have this for standard output, which it is not."""
        self.patch(output, "STDOUT", descriptor)

    def test_fifo(self) -> None:
        """One that nobody reads is a mistake, and one that somebody reads is not waited for."""
        path = self.mktemp()
        os.mkfifo(path)
        error = self.assertRaises(ConfigError, check_writable, path)
        told = f"access_log: cannot write to {path}: nobody reads this FIFO"
        self.assertEqual(str(error), told)
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        made = Output(open_file(path))
        self.assertGreater(self.fill(made), 1)
        os.close(reading)
        self.assertRaises(BrokenPipeError, made.write, b"x\n")
        made.close()

    def test_stdout_pipe(self) -> None:
        """A pipe that others write to as well stays as it is for them."""
        _, writing = self.pipe()
        self.as_stdout(writing)
        made = Output(stdout())
        self.assertGreater(self.fill(made), 1)
        self.assertTrue(os.get_blocking(writing))
        made.close()
        os.close(writing)

    def test_foreign_pipe(self) -> None:
        """One that cannot be opened anew is asked before each write."""
        reading, writing = self.pipe()
        made = Output(writing)
        full = self.fill(made)
        self.assertTrue(os.get_blocking(writing))
        os.read(reading, len(PIECE))
        self.assertEqual(made.write(PIECE), len(PIECE))
        self.assertEqual((made.write(PIECE), full > 1), (None, True))
        made.close()

    def test_socket(self) -> None:
        """The journal's is a socket, which cannot be opened anew."""
        ours, theirs = socket.socketpair()
        self.as_stdout(ours.fileno())
        made = Output(stdout())
        self.assertGreater(self.fill(made), 1)
        self.assertTrue(ours.getblocking())
        made.close()
        ours.close()
        theirs.close()

    def test_terminal(self) -> None:
        """One that is held, as by Ctrl-S, holds nobody up."""
        reading, writing = pty.openpty()
        self.as_stdout(writing)
        made = Output(stdout())
        self.assertEqual(made.write(b"line\n"), 5)
        os.set_blocking(reading, False)
        with contextlib.suppress(AssertionError):
            self.fill(made)
        self.assertTrue(os.get_blocking(writing))
        made.close()
        os.close(writing)
        os.close(reading)

    def test_file(self) -> None:
        """A file takes all at once, at its end."""
        path = Path(self.mktemp())
        path.write_bytes(b"before\n")
        made = Output(open_file(str(path)))
        self.assertGreater(made.at_once, 1 << 30)
        self.assertEqual(made.write(PIECE * 100), len(PIECE) * 100)
        made.close()
        self.assertEqual(path.stat().st_size, 7 + len(PIECE) * 100)

    def test_freed(self) -> None:
        """A log of twistd's does not wait either, and other owners of the pipe see nothing."""
        _, writing = self.pipe()
        shared = os.dup(writing)
        self.as_stdout(writing)
        free_stdout()
        self.assertFalse(os.get_blocking(writing))
        self.assertTrue(os.get_blocking(shared))
        os.close(writing)
        os.close(shared)

    def test_nowhere(self) -> None:
        """What a daemon has for standard output is known."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        self.as_stdout(nowhere)
        self.assertTrue(goes_nowhere())
        free_stdout()
        os.close(nowhere)
        _, writing = self.pipe()
        self.as_stdout(writing)
        self.assertFalse(goes_nowhere())
        os.close(writing)
