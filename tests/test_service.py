"""What only building the service shows to be wrong."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.service import Options, makeService


class MakeServiceTests(SynchronousTestCase):
    def test_folder_gone(self) -> None:
        """A folder that cannot be served is told in one line, and no traceback."""
        folder = Path(self.mktemp())
        folder.mkdir()
        options = Options()
        options.parseOptions(["--static", str(folder)])
        folder.rmdir()
        with self.assertRaises(SystemExit) as ended:
            makeService(options)
        said = f"lbproxy: cannot serve the folder {str(folder.absolute())!r}: "
        self.assertEqual(ended.exception.code, said + "No such file or directory")
