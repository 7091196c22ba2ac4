"""Configs with much that is not simulated."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.scenario.play import play
from tests.certificates import Authority
from tests.testing.scenario.plays import folder_with

CONFIG = """\
workers = 4
[listeners.web]
endpoint = "unix:/run/web.sock"
[listeners.secure]
endpoint = "tcp:3443:interface=127.0.0.1"
tls = { certificates = ["site.pem"] }
[listeners.announced]
endpoint = "haproxy:tcp:3200"
[listeners.six]
endpoint = "tcp6:3443:interface=\\\\:\\\\:1"
[listeners.raw]
endpoint = "tcp:3100"
mode = "tcp"
pool = "raw"
[[routes]]
path = "/"
pool = "api"
[pools.api]
tls = true
backends = [
    { name = "named", address = "one.internal:443" },
    { name = "six", address = "[::1]:3001", tls = false },
    { name = "local", address = "unix:/run/local.sock", sni = "local.internal" },
    { name = "service", address = "srv:_https._tcp.shop.internal", sni = "shop.internal" },
]
[pools.raw]
send_proxy = "v1"
backends = [{ name = "db", address = "10.0.0.1:5432" }]
"""

SCENARIO = """\
duration = 5.0
expect = [
    "failed == 0",
    "share.named > 0.2",
    "share.six > 0.2",
    "share.local > 0.2",
    "share.service > 0.2",
]
events = [{ at = 1.0, restart = "*", every = 0.1, seconds = 0.05 }]
load = [
    { rate = 20.0, arrivals = "even" },
    { rate = 20.0, arrivals = "even", listener = "secure" },
    { rate = 20.0, arrivals = "even", listener = "six" },
    { rate = 20.0, arrivals = "even", listener = "announced" },
]
"""


class ReachableTests(SynchronousTestCase):
    def test_notes(self) -> None:
        """All of it is played, and what is different is said."""
        folder = folder_with(self, SCENARIO, CONFIG)
        Authority(folder).issue("site.pem", "localhost")
        result = play(folder / "scenario.toml", folder / "lbproxy.toml")
        self.assertEqual(
            result.notes,
            (
                "workers: one worker serves, not 4",
                "listeners.web.endpoint: it is simulated as a TCP port",
                "listeners.secure.tls: TLS is not simulated; clients come without it",
                "listeners.raw: sessions of TCP mode are not simulated; its backends are only "
                "probed",
                "pools.api: TLS is not simulated; its backends are asked without it",
                "pools.api: Unix sockets are simulated as TCP ports",
                "pools.api: DNS is not simulated; each name is one backend",
            ),
        )
        self.assertEqual([each for each in result.judged if not each.holds], [])
        self.assertEqual((len(result.requests), result.wrongs), (400, ()))
        db = [turn.state for turn in result.turns if turn.backend == "db"]
        self.assertEqual(db[0], "up")
