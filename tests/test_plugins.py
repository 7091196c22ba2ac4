"""A user's own policy and own probe, as the docs show them."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import twisted.plugins
from lbproxy.balance.registry import balancer_for
from lbproxy.config import model
from lbproxy.config.load import load
from lbproxy.errors import ConfigError
from lbproxy.health.outcome import ProbeOutcome
from lbproxy.plugins import (
    BalancerMaker,
    IBalancerMaker,
    IProbeMaker,
    ProbeMaker,
    balancer_maker,
    balancer_names,
    probe_maker,
    probe_names,
)
from lbproxy.probe import choice
from lbproxy.probe.choice import check_of
from tests.balance.candidates import One
from tests.config.folder import temporary_folder
from tests.probe.test_tcp import Reactor

DOCS = Path(__file__).parents[1] / "docs"

#: A plugin's module on a page, and the file that its first line names.
_MODULE = re.compile(r"```python\n# (twisted/plugins/\S+)\n(.*?)```", re.DOTALL)

CONFIG = """\
[listeners.web]
endpoint = "tcp:0"
[[routes]]
path = "/"
pool = "api"
[pools.api]
balancer = "near_first"
backends = [{ name = "eu-1", address = "h:1" }, { name = "us-1", address = "h:2" }]
"""


class PluginCase(SynchronousTestCase):
    """The module on a page, where Twisted looks for plugins."""

    page: str

    def setUp(self) -> None:
        """Put it there."""
        self.folder = temporary_folder(self)
        found = _MODULE.search((DOCS / self.page).read_text(encoding="utf-8"))
        assert found is not None
        file, self.source = self.folder / found[1], found[2]
        file.parent.mkdir(parents=True)
        file.write_text(self.source)
        path = [*twisted.plugins.__path__, str(file.parent)]
        self.patch(twisted.plugins, "__path__", path)
        self.addCleanup(sys.modules.pop, f"twisted.plugins.{file.stem}", None)
        self.file = self.folder / "lb.toml"


class BalancerTests(PluginCase):
    page = "balancers.md"

    def test_short(self) -> None:
        """The example is short."""
        self.assertLess(len(self.source.split("\n")), 20)

    def test_chosen(self) -> None:
        """The config may name it, and it chooses."""
        self.file.write_text(CONFIG)
        (pool,) = load(self.file).pools
        policy = balancer_for(pool, random.Random(0), balancer_maker)
        near, far = One("eu-1"), One("us-1")
        self.assertIs(policy.choose([near, far], 0.0, None), near)
        near.in_flight = 10
        self.assertIs(policy.choose([near, far], 0.0, None), far)
        self.assertIs(policy.choose([near], 0.0, None), near)

    def test_named(self) -> None:
        """It stands beside ours where a name is wrong."""
        self.assertEqual(balancer_names(), ["near_first"])
        self.file.write_text(CONFIG.replace("near_first", "near_frist"))
        error = self.assertRaises(ConfigError, load, self.file)
        self.assertIn('found "near_frist"; did you mean near_first?', str(error))
        self.assertIsNone(balancer_maker("near_frist"))

    def test_broken(self) -> None:
        """A file that cannot be imported is told once, however often a name is looked up."""
        (self.folder / "twisted" / "plugins" / "broken.py").write_text("import no_such_module")
        self.file.write_text(CONFIG)
        for _ in range(3):
            self.assertEqual(len(load(self.file).pools), 1)
            self.assertEqual(probe_names(), [])
            self.assertIsNotNone(balancer_maker("near_first"))
        self.assertEqual(len(self.flushLoggedErrors(ModuleNotFoundError)), 1)

    def test_comes_later(self) -> None:
        """A file is found, or not any more, without a new start."""
        self.assertEqual(balancer_names(), ["near_first"])
        file = self.folder / "twisted" / "plugins" / "late.py"
        file.write_text(self.source.replace('"near_first"', '"late"'))
        self.addCleanup(sys.modules.pop, "twisted.plugins.late", None)
        self.assertEqual(balancer_names(), ["late", "near_first"])
        file.unlink()
        self.assertEqual(balancer_names(), ["near_first"])

    def test_cannot_be_made(self) -> None:
        """Whatever is raised, or made instead, is told with the pool and the name."""
        self.file.write_text(CONFIG)
        (pool,) = load(self.file).pools

        def refuses(config: model.Pool, chance: random.Random) -> None:
            raise ValueError("no such region")

        for make, why in (
            (refuses, "ValueError: no such region"),
            (lambda config, chance: None, "TypeError: NoneType has no method choose"),
        ):
            maker = BalancerMaker("near_first", make)
            error = self.assertRaises(
                ConfigError, balancer_for, pool, random.Random(0), lambda name, maker=maker: maker
            )
            told = f'pools.api.balancer: "near_first" cannot be made, it raised {why}'
            self.assertEqual(str(error), told)

    def test_key(self) -> None:
        """It may have a key of each request."""
        self.file.write_text(CONFIG.replace("backends", 'hash = { key = "path" }\nbackends'))
        (pool,) = load(self.file).pools
        assert pool.hash_key is not None
        self.assertEqual(pool.hash_key.key, "path")

    def test_interface(self) -> None:
        """What most plugins need has all that one needs."""
        maker = balancer_maker("near_first")
        self.assertIsInstance(maker, BalancerMaker)
        verifyObject(IBalancerMaker, maker)


class ProbeTests(PluginCase):
    page = "health.md"

    def setUp(self) -> None:
        """Have a config name it."""
        super().setUp()
        self.config = CONFIG.replace('"near_first"', '"round_robin"').replace(
            "backends", 'health = { check = "redis_master", port = 9 }\nbackends'
        )
        self.reactor = Reactor()

    def ask(self) -> Deferred[ProbeOutcome]:
        """Ask the first backend."""
        self.file.write_text(self.config)
        (pool,) = load(self.file).pools
        assert pool.health is not None
        return check_of(self.reactor, pool, False, {})(pool.backends[0], pool.health)

    def answer(self, data: bytes) -> StringTransport:
        """Take its connection, and answer."""
        protocol: Any = self.reactor.tcpClients[0][2].buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(data)
        return transport

    def test_short(self) -> None:
        """The example is short."""
        self.assertLess(len([line for line in self.source.split("\n") if line.strip()]), 22)

    def test_judged(self) -> None:
        """The config may name it, and it judges."""
        for role, passed in ((b"master", True), (b"slave", False)):
            self.reactor = Reactor()
            asking = self.ask()
            transport = self.answer(b"$99\r\n# Replication\r\nrole:%b\r\nmore" % role)
            self.assertIs(self.successResultOf(asking).passed, passed)
            self.assertEqual(transport.value(), b"INFO replication\r\n")
            self.assertTrue(transport.disconnecting)

    def test_quiet(self) -> None:
        """The log does not have each of its connections."""
        self.ask()
        factory: Any = self.reactor.tcpClients[0][2]
        with capturedLogs() as logged:
            factory.doStart()
            factory.doStop()
        self.assertEqual(logged, [])

    def test_cannot_be_made(self) -> None:
        """What is raised instead of making it is told with the pool and the name."""
        maker = ProbeMaker("broken", lambda reactor, config: config.nothing)
        self.patch(choice, "probe_maker", lambda name: maker)
        pool = model.Pool("api", (), health=model.Health(check="broken"))
        error = self.assertRaises(ConfigError, check_of, self.reactor, pool, False, {})
        told = 'pools.api.health.check: "broken" cannot be made, it raised AttributeError: '
        self.assertTrue(str(error).startswith(told), error)

    def test_refused(self) -> None:
        """What it raises is told."""
        asking = self.ask()
        factory: Any = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        outcome = self.successResultOf(asking)
        self.assertEqual((outcome.passed, outcome.reached), (False, False))
        self.assertIn("refused", outcome.detail)

    def test_given_up(self) -> None:
        """When its time is over its connection goes."""
        asking = self.ask()
        transport = self.answer(b"$99\r\n")
        asking.cancel()
        self.failureResultOf(asking)
        self.assertTrue(transport.disconnecting)

    def test_named(self) -> None:
        """A wrong name is told with the right one, and what does not go with it."""
        self.assertEqual(probe_names(), ["redis_master"])
        self.file.write_text(self.config.replace("master", "maestro"))
        error = self.assertRaises(ConfigError, load, self.file)
        self.assertIn('there is no probe "redis_maestro"; known are redis_master', str(error))
        self.assertIn("; did you mean redis_master?", str(error))
        self.file.write_text(self.config.replace("port = 9", "json = true, tcp = true"))
        error = self.assertRaises(ConfigError, load, self.file)
        self.assertEqual(str(error).count("does not go with check, which judges by itself"), 2)
        self.assertIsNone(probe_maker("redis_maestro"))

    def test_interface(self) -> None:
        """What most plugins need has all that one needs."""
        maker = probe_maker("redis_master")
        self.assertIsInstance(maker, ProbeMaker)
        verifyObject(IProbeMaker, maker)
