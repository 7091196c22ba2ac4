"""How the C library treats memory that is freed: it is to be kept, not given back and fetched anew.

By default glibc gives the top of its heap back to the kernel once 128 KiB of it are free. A read of
64 KiB, freed when it is sent, then costs a call, and a page fault for each of its pages, every
time: a quarter of the processor time of such an answer.
"""

from __future__ import annotations

import ctypes

#: Parameters of `mallopt(3)`.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

#: Free bytes at the heap's top from which on they are given back.
KEPT = 8 << 20

#: Bytes from which on a piece of memory is the kernel's own. It grows by itself, but not any more
#: when the other is set.
MAPPED = 4 << 20


def keep_freed() -> bool:
    """Have freed memory kept; whether the C library knows how."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # It is not glibc.
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT) and mallopt(_MMAP_THRESHOLD, MAPPED))
