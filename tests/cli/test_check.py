"""Tests of `lbproxy check`."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli.main import main
from tests.config.folder import temporary_folder

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "lbproxy.toml")


class CheckTests(SynchronousTestCase):
    """What is said of a file."""

    def check(self, file: str) -> tuple[int, str, str]:
        """The exit status, standard output and standard error."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = main(["check", file])
        return status, output.getvalue(), errors.getvalue()

    def test_right(self) -> None:
        """What is in it, if it is right."""
        said = f"{EXAMPLE}: ok (1 listener, 2 routes, 1 pool, 2 backends)\n"
        self.assertEqual(self.check(EXAMPLE), (0, said, ""))

    def test_no_pool(self) -> None:
        """Files alone need no pool."""
        path = temporary_folder(self) / "lb.toml"
        path.write_text('[listeners.a]\nendpoint = "tcp:0"\n[[routes]]\npath = "/"\nstatic = "."\n')
        said = f"{path}: ok (1 listener, 1 route, 0 pools, 0 backends)\n"
        self.assertEqual(self.check(str(path)), (0, said, ""))

    def test_typo(self) -> None:
        """One line with file, line and key, and the likely key, if there is a typo."""
        path = temporary_folder(self) / "lb.toml"
        path.write_text('[listeners.a]\nendpiont = "tcp:0"\n[[routes]]\npath = "/"\nstatic = "."\n')
        said = f"{path}:2: listeners.a.endpiont: unknown key; did you mean endpoint?\n"
        self.assertEqual(self.check(str(path)), (1, "", said))

    def test_missing(self) -> None:
        """One line if there is no such file."""
        said = "gone.toml: cannot read the config: No such file or directory\n"
        self.assertEqual(self.check("gone.toml"), (1, "", said))
