"""What the C library does with freed memory."""

from __future__ import annotations

import ctypes
import platform

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.transport.heap import keep_freed


class HeapTests(SynchronousTestCase):
    def test_glibc(self) -> None:
        """glibc takes both settings."""
        self.assertEqual(keep_freed(), platform.libc_ver()[0] == "glibc")

    def test_others(self) -> None:
        """Another library is left as it is."""
        self.patch(ctypes, "CDLL", lambda name: object())
        self.assertFalse(keep_freed())
