"""What backends have to show, config after config."""

from __future__ import annotations

import gc
import os
import ssl
from pathlib import Path
from typing import Any
from weakref import ref

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config import model
from lbproxy.errors import ConfigError
from lbproxy.proxy.trusts import Trusts
from lbproxy.transport.trust import Trust
from tests.certificates import Authority
from tests.config.folder import temporary_folder


class TrustsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.file = Authority(self.folder).file
        self.trusts = Trusts()

    def pool(self, *backends: model.Backend, **more: Any) -> model.Pool:
        """A pool that speaks TLS; with one backend by default."""
        known = {"verify": str(self.file), **more}
        return model.Pool(
            "api", backends or (model.Backend("a", "a.example:1"),), tls=True, **known
        )

    def context(self, trust: Trust) -> ssl.SSLContext:
        """What its connections are made with."""
        return trust._context

    def written_anew(self) -> None:
        """The file of authorities has other ones now, and another time."""
        Authority(self.folder, "other.pem").file.replace(self.file)
        written = os.stat(self.file).st_mtime_ns + 1_000_000_000
        os.utime(self.file, ns=(written, written))

    def test_gone(self) -> None:
        """Of a backend that has left the pool nothing is kept."""
        gone = ref(self.trusts.of(self.pool())["a"])
        self.trusts.of(self.pool(model.Backend("b", "b.example:1")))
        gc.collect()
        self.assertIsNone(gone())

    def test_plain(self) -> None:
        """Only who speaks TLS has something to show."""
        plain = model.Backend("b", "b.example:1", tls=False)
        told = self.trusts.of(self.pool(model.Backend("a", "a.example:1"), plain))
        self.assertEqual([(name, trust.name) for name, trust in told.items()], [("a", "a.example")])

    def test_shared(self) -> None:
        """Those who believe the same have one context, in whichever pool."""
        a, b = model.Backend("a", "a.example:1"), model.Backend("b", "b.example:1", sni="b")
        told = self.trusts.of(self.pool(a, b))
        other = self.trusts.of(attrs.evolve(self.pool(a), name="other"))
        contexts = {self.context(each) for each in (*told.values(), *other.values())}
        self.assertEqual(len(contexts), 1)
        self.assertIsNot(other["a"], told["a"])
        lax = self.trusts.of(self.pool(attrs.evolve(a, verify=False)))
        self.assertNotIn(self.context(lax["a"]), contexts)

    def test_kept(self) -> None:
        """While nothing of it changes it is the same, with the sessions that it has."""
        before = self.trusts.of(self.pool())["a"]
        for pool in (
            self.pool(),
            self.pool(max_in_flight=3),
            self.pool(model.Backend("a", "a.example:1", weight=5), model.Backend("b", "b:1")),
        ):
            self.assertIs(self.trusts.of(pool)["a"], before)

    def test_changed(self) -> None:
        """Another name, another address, or to believe somebody else."""
        before = self.trusts.of(self.pool())["a"]
        for pool in (
            self.pool(sni="other.example"),
            self.pool(model.Backend("a", "a.example:2")),
            self.pool(verify=False),
        ):
            self.assertIsNot(self.trusts.of(pool)["a"], before)
            self.trusts.of(self.pool())

    def test_written_anew(self) -> None:
        """A file that was written anew is read anew, and what it said before is let go."""
        before = self.trusts.of(self.pool())["a"]
        context = ref(self.context(before))
        self.written_anew()
        after = self.trusts.of(self.pool())["a"]
        self.assertIsNot(after, before)
        self.assertNotEqual(self.context(after).get_ca_certs(), self.context(before).get_ca_certs())
        self.assertIs(self.trusts.of(self.pool())["a"], after)
        del before
        gc.collect()
        self.assertIsNone(context())

    def test_unreadable(self) -> None:
        """One that cannot be used is told with its knob, and all is as it was."""
        before = self.trusts.of(self.pool())["a"]
        good = Path(f"{self.file}.good")
        self.file.rename(good)
        error = self.assertRaises(ConfigError, self.trusts.of, self.pool())
        self.assertEqual(str(error), f"pools.api.verify: no such file: {self.file}")
        good.rename(self.file)
        self.assertIs(self.trusts.of(self.pool())["a"], before)
