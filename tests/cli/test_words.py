"""How answers read for people."""

from __future__ import annotations

import shlex

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli import words
from lbproxy.cli.main import parser


class CommandTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """It reads as somebody would type it."""
        self.assertEqual(words.command("undrain", "api", "a"), "lbproxy undrain a --pool api")
        told = "lbproxy weight a N --pool api"
        self.assertEqual(words.command("weight", "api", "a", "N"), told)

    def test_read_again(self) -> None:
        """Whatever the names are, a shell and the command line read them as they are."""
        for pool, name in (("a p", "b; touch x"), ("-p", "-x"), ("'", "web@10.0.0.1:80")):
            program, *rest = shlex.split(words.command("undrain", pool, name))
            asked = parser().parse_args(rest)
            self.assertEqual((program, asked.pool, asked.name), ("lbproxy", pool, name))
