"""Who holds a port that we want, from Linux' `/proc`; elsewhere nobody is named."""

from __future__ import annotations

import os
from pathlib import Path

_LISTEN = "0A"

OURSELVES = "this balancer itself"


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on a port, from `/proc/net/tcp` (proc_net_tcp in the kernel)."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for row in Path("/proc/net", table).read_text().splitlines()[1:]:
            columns = row.split()
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(columns[9])
    return inodes


def holder_of(port: int) -> str | None:
    """The process that listens on a TCP port, if it can be seen.

    Returns:
        `name, pid N`; `OURSELVES` if it is this one, whichever others have the socket too.
    """
    try:
        wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    except OSError:
        return None
    for process in (Path("/proc/self"), *Path("/proc").glob("[0-9]*")):
        try:
            descriptors = list((process / "fd").iterdir())
            if any(os.readlink(descriptor) in wanted for descriptor in descriptors):
                if process.name == "self":
                    return OURSELVES
                return f"{(process / 'comm').read_text().strip()}, pid {process.name}"
        except OSError:
            continue  # It has ended, or is not ours to look at.
    return None
