"""Workers in processes of their own, as far as those can be told apart from outside."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure

from lbproxy.control.link import DUTY, Duty
from lbproxy.testing.inside import left_by
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.pipe import Pipe
from lbproxy.testing.reactor import SimReactor
from lbproxy.worker.channel import ParentLink
from lbproxy.worker.serve import Worker

#: The number of the first process.
FIRST_PID = 101

#: Seconds until a process that was made runs, at least and at most: Python starts, or has to wait.
BOOT = 0.05, 3.0


class Process:
    """One worker's: its descriptors, its reactor, and its end of the link (`IProcessTransport`).

    What it holds is its own. When it is killed the kernel closes its connections, nothing of it is
    called any more, and what it was about to tell is lost.

    Attributes:
        pid: Its number.
        kernel: Its descriptors.
        worker: What runs in it, once it does.
        hung: Whether it does nothing.
    """

    def __init__(
        self, processes: Processes, protocol: Any, duty: Duty, pipe: Pipe, kernel: Kernel
    ) -> None:
        self.pid = processes.next_pid()
        self.kernel = kernel
        self.worker: Worker | None = None
        self.hung = False
        self._processes = processes
        self._protocol = protocol
        self._duty = duty
        self._pipe = pipe
        self._reactor = processes.reactor.fork(
            kernel, random.Random(f"order {processes.chance} {self.pid}")
        )

    @property
    def running(self) -> bool:
        """Whether its worker is there, and has not ended."""
        return self.worker is not None and self in self._processes.living

    def boot(self) -> None:
        """Run what `lbproxy.worker.main` does."""
        if self not in self._processes.living:
            return
        chance = random.Random(f"worker {self.pid} {self._processes.chance}")
        self.worker = worker = Worker(self._reactor, self._duty, chance)
        worker.link = link = ParentLink(worker, worker.drain)
        self._processes.watch(worker, self)
        worker.privilegedStartService()
        worker.startService()
        worker.drained.addBoth(lambda _: self._processes.soon(self._exit))
        self._pipe.connect(link)

    def signalProcess(self, name: str) -> None:
        """End it at once, in the middle of whatever it is.

        Raises:
            ProcessExitedAlready: If it has ended before.
        """
        assert name == "KILL", name
        if self not in self._processes.living:
            raise ProcessExitedAlready
        self.kernel.killed = True
        self._end(ProcessTerminated(signal=9))

    def leave(self) -> None:
        """SIGTERM, from somebody else than its parent."""
        assert self.worker is not None
        self.kernel.left_at = self._reactor.now
        self.worker.leave()

    def hang(self) -> None:
        """Do nothing any more, as after SIGSTOP: what comes for it waits."""
        self.hung = True
        self._pipe.hold()
        self._processes.reactor.hold(self._reactor)

    def go_on(self) -> None:
        """Do what there is to do, if it has not been killed meanwhile."""
        if self.running:
            self.hung = False
            self._processes.reactor.release(self._reactor)
            self._pipe.release()

    def _exit(self) -> None:
        """It has come to its end by itself: then it has closed what it had."""
        if self in self._processes.living:
            for left in left_by(self.worker):
                self._processes.complain(f"worker {self.pid} ends, and there is {left}")
            for fd in self.kernel.sockets:
                self._processes.complain(f"worker {self.pid} ends, and has {fd} open")
            self._end(ProcessDone(0))

    def _end(self, how: Exception) -> None:
        self._processes.living.remove(self)
        self._processes.unwatch(self)
        self._processes.reactor.reap(self._reactor)
        self.kernel.close()
        self._pipe.close()
        self._processes.soon(lambda: self._protocol.processExited(Failure(how)))


class Processes:
    """Makes processes for the parent's reactor, and carries what passes between them.

    Attributes:
        reactor: The parent's.
        chance: What is random in a process is drawn from this and its number.
        living: Those that have not ended.
        latency: Seconds from one end of a link to the other.
    """

    def __init__(
        self,
        reactor: SimReactor,
        seed: int,
        watch: Callable[[Worker, Process], None],
        unwatch: Callable[[Process], None],
        complain: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            reactor: The parent's, which asks for processes.
            seed: Decides how long each takes to begin, and all chance in it.
            watch: Gets each worker before it starts.
            unwatch: Gets its process when that has ended.
            complain: Is told what must not be.
        """
        self.reactor = reactor
        self.chance = seed
        self.living: list[Process] = []
        self.watch = watch
        self.unwatch = unwatch
        self.complain = complain
        self._draw = random.Random(f"processes {seed}")
        self.latency = self._draw.choice((0.0001, 0.001, 0.02))
        self._pid = FIRST_PID - 1
        self._theirs: Pipe
        reactor.processes = self

    def next_pid(self) -> int:
        """A number that no process had before."""
        self._pid += 1
        return self._pid

    def soon(self, act: Callable[[], object]) -> None:
        """Do something when whoever runs now has come to its end."""
        self.reactor.call_at(self.reactor.now + self.latency, act)

    def adopt(self, protocol: Any) -> None:
        """Connect the parent's end of the link to the process that is made next."""
        ours, self._theirs = Pipe.pair(self.reactor, self.latency)
        ours.connect(protocol)

    def spawn(self, protocol: Any, descriptors: Mapping[int, int]) -> Process:
        """Make a process.

        Args:
            protocol: Hears that it has ended.
            descriptors: Those of the parent that it has, by their numbers there.
        """
        # A file of which the parent has just written all, and which it closes when we return.
        size = os.lseek(descriptors[DUTY], 0, os.SEEK_END)
        duty = pickle.loads(os.pread(descriptors[DUTY], size, 0))
        assert isinstance(duty, Duty)
        kernel = self.reactor.kernel.fork(descriptors)
        process = Process(self, protocol, duty, self._theirs, kernel)
        self.living.append(process)
        self.reactor.call_at(self.reactor.now + self._draw.uniform(*BOOT), process.boot)
        return process
