"""What the system's `resolv.conf` says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.discovery.resolv_conf import ResolvConf, candidates, parse

KUBERNETES = """\
search shop.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
"""


class ParseTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """An empty file has the system's defaults."""
        self.assertEqual(parse(""), ResolvConf(("127.0.0.1",), (), 1))

    def test_everything(self) -> None:
        """Comments and what is not known are left out; the last of search and domain counts."""
        text = """\
# nameserver 10.0.0.1
; nameserver 10.0.0.2
nameserver 10.0.0.3
nameserver not.an.address
nameserver
nameserver 2001:DB8::1
domain one.test
search two.test three.test
options timeout:2 ndots:3 ndots:x rotate
sortlist 10.0.0.0
"""
        wanted = ResolvConf(("10.0.0.3", "2001:db8::1"), ("two.test", "three.test"), 3)
        self.assertEqual(parse(text), wanted)
        self.assertEqual(parse(text + "domain four.test").search, ("four.test",))

    def test_bounds(self) -> None:
        """Of servers and dots there are no more than the system's own resolver takes."""
        text = "".join(f"nameserver 10.0.0.{place}\n" for place in range(9))
        self.assertEqual(len(parse(text).servers), 3)
        self.assertEqual(parse("options ndots:99").dots, 15)


class CandidatesTests(SynchronousTestCase):
    def test_kubernetes(self) -> None:
        """A service's name is looked for where the pod is, before anywhere else."""
        system = parse(KUBERNETES)
        domains = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
        for name in ("api", "api.other"):
            wanted = [*(f"{name}.{domain}" for domain in domains), name]
            self.assertEqual(candidates(name, system), wanted)
        self.assertEqual(
            candidates("api.shop.svc.cluster.local.", system), ["api.shop.svc.cluster.local"]
        )

    def test_dots(self) -> None:
        """With enough dots a name is first taken as it is."""
        system = parse("search one.test. .")
        self.assertEqual(candidates("api.test", system), ["api.test", "api.test.one.test"])
        self.assertEqual(candidates("api", system), ["api.one.test", "api"])
        self.assertEqual(candidates("api", parse("options ndots:0\nsearch a")), ["api", "api.a"])
        self.assertEqual(candidates("api", parse("")), ["api"])
