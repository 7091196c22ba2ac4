"""A user's own policy, as the docs show it."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import twisted.plugins
from lbproxy.balance.registry import balancer_for
from lbproxy.config.load import load
from lbproxy.errors import ConfigError
from lbproxy.plugins import BalancerMaker, IBalancerMaker, balancer_maker, balancer_names
from tests.balance.candidates import One
from tests.config.folder import temporary_folder

PAGE = Path(__file__).parents[1] / "docs" / "balancers.md"

#: A block of code of the page, and the file that its first line names.
_MODULE = re.compile(r"```python\n# (\S+)\n(.*?)```", re.DOTALL)

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


class PluginTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Put the page's module where Twisted looks for plugins."""
        self.folder = temporary_folder(self)
        found = _MODULE.search(PAGE.read_text(encoding="utf-8"))
        assert found is not None
        file, self.source = self.folder / found[1], found[2]
        file.parent.mkdir(parents=True)
        file.write_text(self.source)
        path = [*twisted.plugins.__path__, str(file.parent)]
        self.patch(twisted.plugins, "__path__", path)
        self.addCleanup(sys.modules.pop, f"twisted.plugins.{file.stem}", None)
        self.file = self.folder / "lb.toml"

    def test_short(self) -> None:
        """The example is short."""
        self.assertLess(len(self.source.splitlines()), 20)

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
