"""Commands against an admin listener in memory, with the time moved by the test."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli.client import Client, ended
from lbproxy.cli.main import parser
from lbproxy.cli.where import Where
from lbproxy.config import model
from lbproxy.control.guard import Guard
from lbproxy.control.link import Load
from lbproxy.control.pages import Pages
from tests.control.staff import Staff, Supervisor


class StoryCase(SynchronousTestCase):
    """A balancer with two workers, whose one pool has the backends a and b.

    Attributes:
        ill: The backends whose probes fail.
        restarted: Those that were started anew, in order.
        file: The balancer's config.
        output: What the command has printed.
        errors: The same on standard error.
    """

    def setUp(self) -> None:
        self.staff = Staff()
        self.staff.start()
        for hand in self.staff.hands:
            hand.load = Load({}, {"api": 0}, 0)
        self.ill: set[str] = set()
        self.restarted: list[str] = []
        self.file: str | None = None
        self.output, self.errors = io.StringIO(), io.StringIO()
        self.supervise(self.restart)

    def supervise(self, restart: Callable[[model.Backend], Deferred[None]] | None) -> None:
        """Have the balancer restart backends in this way, or not at all."""
        backends = None if restart is None else Supervisor(restart)
        pages = Pages(self.staff.parent, self.staff.reloader.reload, backends, self.file)
        self.treq: Any = StubTreq(Guard(self.staff.clock, pages.app.resource()))

    def stand_for(self, *numbers: int) -> None:
        """Have a stand for members with these numbers, as DNS would."""
        members = [model.Backend(f"a@{number}", f"10.0.0.{number}:1") for number in numbers]
        self.staff.members["a"] = tuple(members)
        self.staff.reloader.refresh()
        self.staff.answer(**{name: name not in self.ill for name in self.staff.probes})

    def restart(self, backend: model.Backend) -> Deferred[None]:
        """Start a backend anew."""
        self.restarted.append(backend.name)
        return succeed(None)

    def begin(self, *words: str) -> Deferred[int]:
        """Start a command."""
        author = () if words[0] == "status" else ("--author", "ann")
        arguments = parser().parse_args([*words, *author])
        client = Client(self.treq, self.staff.clock, Where())
        with self.heard():
            return Deferred.fromCoroutine(ended(arguments.story, client, arguments))

    def run_to_end(self, *words: str, seconds: float = 0.0) -> int:
        """Run a command; its exit status."""
        status = self.begin(*words)
        self.pass_time(seconds)
        return self.successResultOf(status)

    def pass_time(self, seconds: float) -> None:
        """Let time pass; all probes are answered."""
        with self.heard():
            for _ in range(round(seconds / 0.25)):
                self.staff.clock.advance(0.25)
                self.staff.answer(**{name: name not in self.ill for name in self.staff.probes})
                self.treq.flush()

    def heard(self) -> contextlib.ExitStack:
        """What is printed meanwhile is kept."""
        stack = contextlib.ExitStack()
        stack.enter_context(contextlib.redirect_stdout(self.output))
        stack.enter_context(contextlib.redirect_stderr(self.errors))
        return stack

    @property
    def weights(self) -> list[int]:
        """Those of a and b, as the workers know them."""
        first, second = (hand.weights for hand in self.staff.hands[:2])
        self.assertEqual(first, second)
        return first
