"""The machine that a run was made on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import attrs

PAGE = os.sysconf("SC_PAGE_SIZE")


@attrs.frozen
class Machine:
    """What the numbers depend on.

    Attributes:
        processor: As it calls itself.
        cores: That the run could use.
        memory: In bytes.
        system: Of which kernel and which distribution.
        python: Which Python ran lbproxy.
    """

    processor: str
    cores: int
    memory: int
    system: str
    python: str

    def told(self) -> str:
        """All of it in a line."""
        memory = f"{self.memory / 2**30:.0f} GiB"
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{self.processor}, {cores}, {memory}, {self.system}, {self.python}"


def this() -> Machine:
    """The machine that we are on."""
    return Machine(
        processor=processor_of(Path("/proc/cpuinfo").read_text("utf-8", "replace")),
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PHYS_PAGES") * PAGE,
        system=_system(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def processor_of(cpuinfo: str) -> str:
    """The processor's name in `/proc/cpuinfo`; its architecture where that has none."""
    found = re.search(r"^model name\s*:\s*(\S.*)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _system() -> str:
    kernel = f"Linux {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel
