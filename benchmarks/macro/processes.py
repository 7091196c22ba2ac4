"""What the kernel says of a process and its children, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

PROC = Path("/proc")


@attrs.frozen
class Stat:
    """A line of `/proc/PID/stat` (proc_pid_stat(5)); all threads of the process are in it.

    Attributes:
        parent: The parent's pid.
        ticks: User and system time, its own.
        ended: The same of its children that have ended and were waited for.
        pages: Pages that are in memory.
    """

    parent: int
    ticks: int
    ended: int
    pages: int


def parse_stat(line: str) -> Stat:
    """Read the line; the program's name in it may have spaces and parentheses."""
    fields = line.rpartition(")")[2].split()
    user, system, user_of_ended, system_of_ended = map(int, fields[11:15])
    return Stat(int(fields[1]), user + system, user_of_ended + system_of_ended, int(fields[21]))


def parse_schedstat(line: str) -> int:
    """Nanoseconds that a thread has run, from its `schedstat`."""
    return int(line.split()[0])


def tree(pid: int) -> dict[int, Stat]:
    """A process and all that descends from it, as they are now, by pid."""
    stats = dict(_all())
    family, found = {}, [pid]
    for member in found:
        if member in stats:
            family[member] = stats[member]
            found += [other for other, stat in stats.items() if stat.parent == member]
    return family


def cpu_seconds(pid: int) -> float:
    """What a process and its children have had of the processor so far."""
    return sum(
        _nanoseconds(member, stat) / 1e9 + stat.ended / TICKS for member, stat in tree(pid).items()
    )


def resident(pid: int) -> int:
    """Bytes of memory that they hold; what they share counts for each."""
    return sum(stat.pages for stat in tree(pid).values()) * PAGE


def _nanoseconds(pid: int, stat: Stat) -> int:
    # A tick is 10 ms on most systems. The scheduler counts nanoseconds, but a file of its own for
    # each thread, and not every kernel shows them.
    try:
        lines = list(_schedstats(os.listdir(PROC / str(pid) / "task"), pid))
    except OSError:
        lines = []
    return sum(map(parse_schedstat, lines)) if lines else stat.ticks * (10**9 // TICKS)


def _schedstats(threads: Iterable[str], pid: int) -> Iterator[str]:
    for thread in threads:
        try:
            yield (PROC / str(pid) / "task" / thread / "schedstat").read_text("ascii")
        except OSError:
            continue  # It has just ended.


def _all() -> Iterator[tuple[int, Stat]]:
    for entry in os.scandir(PROC):
        if entry.name.isdecimal():
            try:
                yield int(entry.name), parse_stat(Path(entry, "stat").read_text("utf-8", "replace"))
            except (OSError, IndexError):
                continue  # It has just ended.
