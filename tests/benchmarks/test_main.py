"""What the command line refuses before anything is started."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.__main__ import main


class MainTests(SynchronousTestCase):
    def refusal(self, *arguments: str) -> str:
        """What it says and ends with."""
        with self.assertRaises(SystemExit) as caught:
            main(arguments)
        return str(caught.exception.code)

    def test_unknown(self) -> None:
        """Workloads and peers that are not there are named."""
        self.assertIn("dance", self.refusal("--workloads", "small,dance"))
        self.assertIn("squid", self.refusal("--peers", "lbproxy,squid"))

    def test_part_is_not_recorded(self) -> None:
        """The docs show whole runs."""
        for part in (["--quick"], ["--workloads", "small"], ["--peers", "haproxy"]):
            self.assertIn("whole run", self.refusal("--record", "1", *part))
