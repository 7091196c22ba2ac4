"""What workers in processes of their own inherit, under one config after another."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import attrs

from lbproxy.config import model
from lbproxy.control.children import Children
from lbproxy.errors import ConfigError
from tests.config.folder import temporary_folder
from tests.transport.turning import TransportCase

TCP = "tcp:0:interface=127.0.0.1"


class ChildrenTests(TransportCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = temporary_folder(self)
        self.config = model.Config(
            (model.Listener("web", TCP),), access_log=self.path("access.log"), workers=2
        )
        self.children = Children(self.reactor, self.config)
        self.children.bind()
        self.addCleanup(self.end)

    def end(self) -> None:
        """No socket is left when it is closed."""
        self.children.close()
        self.reactor.settle()
        log = self.children.access_log
        if log is not None and log > 2:
            os.close(log)

    def path(self, name: str) -> str:
        """A place in the folder."""
        return str(self.folder / name)

    def changed(self, *names: str, **fields: Any) -> model.Config:
        """The config with these Unix sockets besides."""
        more = tuple(model.Listener(name, f"unix:{self.path(name)}") for name in names)
        return attrs.evolve(self.config, listeners=(*self.config.listeners, *more), **fields)

    def connects(self, name: str) -> bool:
        """Whether somebody listens there."""
        self.reactor.settle()
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(self.path(name))
            except OSError:
                return False
            return True

    def test_adopted(self) -> None:
        """What stays keeps its sockets, what is new has its own, and what is gone is closed."""
        (before,) = self.children.doors(self.config).values()
        self.assertEqual(len(before), 2)
        config = self.changed("new")
        self.children.prepare(config)
        self.assertTrue(self.connects("new"))
        self.children.adopt(config)
        doors = self.children.doors(config)
        self.assertEqual(doors[TCP], before)
        self.assertEqual(len(doors[config.listeners[1].endpoint]), 1)
        self.children.prepare(self.config)
        self.assertTrue(self.connects("new"))
        self.children.adopt(self.config)
        self.assertFalse(self.connects("new"))
        self.assertEqual(self.children.doors(self.config), {TCP: before})

    def test_given_up(self) -> None:
        """What was opened for a config that is not served is closed, and can be opened again."""
        config = self.changed("new")
        for _ in range(2):
            self.children.prepare(config)
            self.assertTrue(self.connects("new"))
            self.children.give_up()
            self.assertFalse(self.connects("new"))
        self.assertEqual(list(self.children.doors(self.config)), [TCP])

    def test_refused(self) -> None:
        """If one cannot be bound, those that were before it are closed."""
        port = self.listening().getsockname()[1]
        taken = model.Listener("bad", f"tcp:{port}:interface=127.0.0.1")
        config = self.changed("new")
        config = attrs.evolve(config, listeners=(*config.listeners, taken))
        error = self.assertRaises(ConfigError, self.children.prepare, config)
        self.assertIn(f"listeners.bad.endpoint: cannot listen on port {port}", str(error))
        self.assertFalse(self.connects("new"))

    def test_shares(self) -> None:
        """Each worker has its part of a new config."""
        pool = model.Pool("api", (model.Backend("a", "a:80"),), max_in_flight=5)
        share = self.children.share(self.changed(pools=(pool,)))
        self.assertEqual(share.pools[0].max_in_flight, 3)

    def test_reopened(self) -> None:
        """The log is where the config says now, and the file before is closed here."""
        before = self.children.access_log
        assert before is not None
        rotated = Path(self.path("access.log")).rename(self.path("access.log.1"))
        self.children.reopen()
        log = self.children.access_log
        assert log is not None
        os.write(log, b"line\n")
        self.assertEqual(rotated.read_bytes(), b"")
        self.assertEqual(Path(self.path("access.log")).read_bytes(), b"line\n")
        self.assertNotEqual(os.fstat(log).st_ino, rotated.stat().st_ino)
        self.assertRaises(OSError, os.fstat, before)

    def test_not_reopened(self) -> None:
        """If it cannot be opened, the one before is gone on with."""
        before = self.children.access_log
        self.children.adopt(self.changed(access_log=self.path("nowhere/access.log")))
        self.assertRaises(OSError, self.children.reopen)
        assert before is not None
        self.assertEqual(self.children.access_log, before)
        os.fstat(before)

    def test_log_elsewhere(self) -> None:
        """It can go to standard output, to nowhere, and back."""
        for where, descriptor in (("-", 1), (None, None)):
            self.children.adopt(self.changed(access_log=where))
            self.children.reopen()
            self.assertEqual(self.children.access_log, descriptor)
        os.fstat(1)
        self.children.adopt(self.config)
        self.children.reopen()
        self.assertGreater(self.children.access_log or 0, 2)
