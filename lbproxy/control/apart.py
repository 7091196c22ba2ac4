"""`python -m lbproxy.control.apart MODULE ARGUMENTS`: runs a program that only its parent stops."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the module in a process group of its own.

    A terminal sends Ctrl-C to its whole foreground group at once. Outside it, the program goes on
    answering until its parent has finished what runs, and asks it to stop.
    """
    os.setpgid(0, 0)
    if sys.platform == "linux":
        # The terminal does not reach it any more, so it must not outlive a parent that is killed.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
