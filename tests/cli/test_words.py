"""How answers read for people."""

from __future__ import annotations

import shlex

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli import words
from lbproxy.cli.main import parser


class CommandTests(SynchronousTestCase):
    def command(self, *words_of: str, given: tuple[str, ...] = ()) -> str:
        """One that is told by a roll with these options."""
        return words.command(parser().parse_args(["roll", *given]), *words_of)

    def test_plain(self) -> None:
        """It reads as somebody would type it."""
        self.assertEqual(self.command("undrain", "api", "a"), "lbproxy undrain a --pool api")
        told = "lbproxy weight a N --pool api"
        self.assertEqual(self.command("weight", "api", "a", "N"), told)

    def test_same_balancer(self) -> None:
        """It is for the balancer that was asked."""
        for option, value in (("--config", "my shop.toml"), ("--admin", "localhost:3901")):
            told = self.command("undrain", "api", "a", given=(option, value))
            expected = ["lbproxy", "undrain", option, value, "a", "--pool", "api"]
            self.assertEqual(shlex.split(told), expected)

    def test_read_again(self) -> None:
        """Whatever the names are, a shell and the command line read them as they are."""
        for pool, name in (("a p", "b; touch x"), ("-p", "-x"), ("'", "web@10.0.0.1:80")):
            program, *rest = shlex.split(self.command("undrain", pool, name))
            asked = parser().parse_args(rest)
            self.assertEqual((program, asked.pool, asked.name), ("lbproxy", pool, name))
