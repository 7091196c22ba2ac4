"""What is read from /proc."""

from __future__ import annotations

import os
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro import machine, processes
from benchmarks.macro.processes import Stat

LINE = (
    "4711 (a (bad) name) S 4242 4711 4711 0 -1 4194560 1012 0 0 0 "
    "150 50 7 3 20 0 4 0 5330 17199104 2048 18446744073709551615 1 1 0 0 0"
)


class ParseTests(SynchronousTestCase):
    def test_stat(self) -> None:
        """The fields are counted from behind the name, which may have parentheses."""
        self.assertEqual(processes.parse_stat(LINE), Stat(4242, ticks=200, ended=10, pages=2048))

    def test_schedstat(self) -> None:
        """The first number is the time that a thread has run."""
        self.assertEqual(processes.parse_schedstat("542992 59150 1\n"), 542992)

    def test_cpuinfo(self) -> None:
        """The processor's name, if it tells one."""
        cpuinfo = "processor\t: 0\nmodel name\t: Abacus 3000\n\nmodel name\t: Other\n"
        self.assertEqual(machine.processor_of(cpuinfo), "Abacus 3000")
        self.assertTrue(machine.processor_of("BogoMIPS : 48.00\n"))


class TreeTests(SynchronousTestCase):
    def test_children(self) -> None:
        """A process's children are in its tree, and their memory in its."""
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
            self.assertIn(child.pid, processes.tree(os.getpid()))
            self.assertNotIn(os.getpid(), processes.tree(child.pid))
            alone = processes.resident(child.pid)
            self.assertGreater(processes.resident(os.getpid()), alone)

    def test_this_process(self) -> None:
        """We have had of the processor."""
        self.assertGreater(processes.cpu_seconds(os.getpid()), 0.0)

    def test_gone(self) -> None:
        """A process that has ended has nothing."""
        with subprocess.Popen(["true"]) as child:
            child.wait()
        self.assertEqual(processes.tree(child.pid), {})
        self.assertEqual((processes.cpu_seconds(child.pid), processes.resident(child.pid)), (0, 0))

    def test_machine(self) -> None:
        """The machine can be told in a line."""
        self.assertNotIn("\n", machine.this().told())
