"""Tests of the `lbproxy` command line."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from lbproxy import __version__
from lbproxy.cli.main import main


class MainTests(SynchronousTestCase):
    """What the command does before any subcommand."""

    def ended(self, *words: str) -> tuple[object, str, str]:
        """Its exit code, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            ended = self.assertRaises(SystemExit, main, words)
        return ended.code, output.getvalue(), errors.getvalue()

    def test_version(self) -> None:
        """It tells its version."""
        self.assertEqual(self.ended("--version"), (0, f"lbproxy {__version__}\n", ""))

    def test_help(self) -> None:
        """Its help lists the subcommands."""
        status, output, _ = self.ended("--help")
        self.assertEqual(status, 0)
        self.assertIn("check a config file", output)

    def test_wrong(self) -> None:
        """No subcommand, or one that there is not, is a wrong command line."""
        for words in ((), ("chekc", "a.toml"), ("check",)):
            status, output, errors = self.ended(*words)
            self.assertEqual((status, output), (2, ""))
            self.assertIn("usage: lbproxy", errors)
