"""Visitors in great numbers: wrk, which asks as fast as it is answered."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from typing import Self

from tests.processes import PATIENCE

#: The program, if it is installed.
WRK = shutil.which("wrk")


class Wrk:
    """GETs of one target on many connections, from the beginning of the context to its end.

    Attributes:
        requests: How many were answered, at the end.
        trouble: What wrk says of errors, at the end; empty if there were none.
    """

    def __init__(self, url: str, connections: int) -> None:
        assert WRK is not None
        self.requests = 0
        self.trouble = ""
        # An hour is longer than any test; it is told when to end.
        self._process = subprocess.Popen(
            [WRK, "-t1", f"-c{connections}", "-d1h", f"--timeout={PATIENCE:.0f}s", url],
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)  # At which it tells what it saw.
        try:
            said = self._process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        requests = re.search(r"(\d+) requests in", said)
        self.requests = int(requests[1]) if requests else 0
        self.trouble = "; ".join(re.findall(r"Non-2xx.*|Socket errors.*", said))
