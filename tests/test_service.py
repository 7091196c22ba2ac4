"""What only building the service shows to be wrong, and a reload of all of it in one process."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config import model
from lbproxy.errors import ConfigError
from lbproxy.service import Balancer, Options, makeService
from tests.config.folder import temporary_folder
from tests.transport.turning import TransportCase


class MakeServiceTests(SynchronousTestCase):
    def test_folder_gone(self) -> None:
        """A folder that cannot be served is told in one line, and no traceback."""
        folder = Path(self.mktemp())
        folder.mkdir()
        options = Options()
        options.parseOptions(["--static", str(folder)])
        folder.rmdir()
        with self.assertRaises(SystemExit) as ended:
            makeService(options)
        said = f"lbproxy: cannot serve the folder {str(folder.absolute())!r}: "
        self.assertEqual(ended.exception.code, said + "No such file or directory")


class ReloadTests(TransportCase):
    """A balancer with one worker, on Unix sockets, whose config is changed."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = temporary_folder(self)
        self.written = model.Config(
            (self.listener("one"),),
            (model.Route("/", static=str(self.folder)),),
            access_log=str(self.folder / "access.log"),
            admin=None,
        )
        self.balancer = Balancer(
            self.reactor, self.written, random.Random(1), None, lambda: self.written
        )
        self.balancer.privilegedStartService()
        self.balancer.startService()
        self.stopped: Deferred[Any] | None = None
        self.addCleanup(self.end)

    def end(self) -> None:
        """All ends, and leaves nothing behind."""
        stopped = self.stopped or self.balancer.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.watched, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def listener(self, name: str) -> model.Listener:
        """One on a Unix socket in the folder."""
        return model.Listener(name, f"unix:{self.folder / name}")

    def reload(self, **fields: Any) -> list[str]:
        """Change something in the config and have it read; what is logged of it."""
        self.written = attrs.evolve(self.written, **fields)
        with capturedLogs() as logged:
            self.balancer.reload()
            self.reactor.settle()
        lines = [formatEvent(event) or "" for event in logged]
        return [line for line in lines if "reload" in line]

    def ask(self, name: str) -> bytes:
        """The status that a client of a listener gets, or nothing if nobody listens there."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.folder / name))
            except OSError:
                return b""
            client.setblocking(False)
            client.send(b"GET /x HTTP/1.1\r\nHost: shop\r\n\r\n")
            self.reactor.settle()
            return self.read(client)[9:12]

    def test_taken(self) -> None:
        """Listeners, routes and the log are what the new config says."""
        (self.folder / "page").mkdir()
        (self.folder / "page" / "x").write_text("here")
        log = self.folder / "other.log"
        told = self.reload(
            listeners=(self.listener("two"),),
            routes=(model.Route("/", static=str(self.folder / "page")),),
            access_log=str(log),
        )
        self.assertEqual(told[0], f"reload: + listeners.two (unix:{self.folder / 'two'})")
        self.assertEqual(told[-1], "reload: = 0 listeners, 0 pools, 0 backends, 0 routes unchanged")
        self.assertEqual((self.ask("one"), self.ask("two")), (b"", b"200"))
        self.reactor.advance(1.0)
        self.reactor.advance(1.0)
        self.assertEqual(json.loads(log.read_text())["listener"], "two")

    def test_backends(self) -> None:
        """A new pool is served when it has been probed."""
        door = self.listening()
        address = f"127.0.0.1:{door.getsockname()[1]}"
        pool = model.Pool("api", (model.Backend("a", address),))
        told = self.reload(pools=(pool,), routes=(model.Route("/", pool="api"),))
        self.assertEqual((told, self.ask("one")), ([], b"404"))
        probe, _ = door.accept()
        with probe:
            probe.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.reactor.settle()
        self.assertEqual([each.name for each in self.balancer.control.pools], ["api"])
        self.assertEqual(self.balancer.control.pools[0].backends[0].state.value, "up")
        self.assertEqual(self.balancer.reloader.config, self.written)
        self.reload(pools=(), routes=())
        self.assertEqual(self.ask("one"), b"404")

    def test_refused(self) -> None:
        """What cannot be had changes nothing, and each mistake is one line of the log."""
        taken = self.listening().getsockname()[1]
        bad = model.Listener("bad", f"tcp:{taken}:interface=127.0.0.1")
        cases: Any = (
            (
                "listeners.bad.endpoint: cannot listen on port",
                {"listeners": (self.listener("two"), bad)},
            ),
            (
                "cannot serve the folder '/nowhere'",
                {"routes": (model.Route("/", static="/nowhere"),)},
            ),
            ("access_log: cannot write to /nowhere/log", {"access_log": "/nowhere/log"}),
            ("~ workers: 1 -> 2: needs a restart", {"workers": 2}),
        )
        for told, fields in cases:
            before = self.written
            (line,) = self.reload(**fields)
            self.assertIn(told, line)
            self.assertTrue(line.startswith("reload refused: "), line)
            self.assertEqual((self.ask("one"), self.ask("two")), (b"404", b""))
            self.written = before
        self.assertEqual(len(self.reload()), 1)

    def test_mistake(self) -> None:
        """So does what cannot be read."""

        def wrong() -> model.Config:
            raise ConfigError("lb.toml:1: wokers: unknown key")

        self.patch(self.balancer.reloader, "_read", wrong)
        self.assertEqual(self.reload(), ["reload refused: lb.toml:1: wokers: unknown key"])
        self.assertEqual(self.ask("one"), b"404")

    def test_fault(self) -> None:
        """A fault of ours is logged, and all goes on."""

        def wrong() -> model.Config:
            raise ZeroDivisionError

        self.patch(self.balancer.reloader, "_read", wrong)
        self.assertEqual(self.reload(), ["a reload failed"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.ask("one"), b"404")

    def test_rotated(self) -> None:
        """The log is opened anew, whether the config has changed or is refused."""
        log = self.folder / "access.log"
        changes: list[dict[str, Any]] = [{}, {"workers": 2}]
        for place, fields in enumerate(changes):
            log.rename(f"{log}.{place}")
            self.reload(**fields)
            self.ask("one")
            self.reactor.advance(1.0)
            self.reactor.advance(1.0)
            self.assertEqual(log.read_text().count("\n"), 1)

    def test_at_the_end(self) -> None:
        """Whoever asks for it while all ends is refused, and what was opened is closed."""
        address = f"127.0.0.1:{self.listening().getsockname()[1]}"  # It says nothing.
        pool = model.Pool("api", (model.Backend("a", address),))
        self.assertEqual(self.reload(listeners=(self.listener("two"),), pools=(pool,)), [])
        with capturedLogs() as logged:
            self.stopped = self.balancer.stopService()
            self.reactor.settle()
            self.balancer.reload()
            self.reactor.advance(1.0)
            self.reactor.settle()
        lines = [formatEvent(event) or "" for event in logged]
        refused = [line for line in lines if "reload" in line]
        self.assertEqual(refused, ["reload refused: the balancer is about to end"] * 2)
        self.assertEqual((self.ask("one"), self.ask("two")), (b"", b""))
