"""What is said of scenarios that are wrong."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.load import load as load_config
from lbproxy.errors import ConfigError
from lbproxy.testing.scenario.load import load
from lbproxy.testing.scenario.model import Behaviour, Event, Load, Scenario
from tests.config.test_load import DOCUMENTS, toml
from tests.testing.scenario.plays import folder_with

LOAD = "[[load]]\nrate = 1.0\n"

TWO_POOLS = """\
[listeners.web]
endpoint = "tcp:3000"
[listeners.raw]
endpoint = "tcp:3100"
mode = "tcp"
pool = "api"
[[routes]]
path = "/files"
static = "."
[[routes]]
path = "/old"
pool = "old"
[[routes]]
path = "/"
pool = "api"
[pools.api]
backends = [{ name = "a", address = "h:1" }, { name = "c", address = "h:3" }]
[pools.old]
backends = [{ name = "a", address = "h:2" }, { name = "b", address = "h:3" }]
"""


class LoadTests(SynchronousTestCase):
    """Each mistake with its line and key."""

    def load(self, text: str, config: str | None = None) -> Scenario:
        """Read a scenario."""
        folder = folder_with(self, text, config)
        self.file = folder / "scenario.toml"
        return load(self.file, load_config(folder / "lbproxy.toml"))

    def said(self, text: str, config: str | None = None) -> list[str]:
        """What is said of it, without the file's name."""
        error = self.assertRaises(ConfigError, self.load, text, config)
        return str(error).replace(f"{self.file}:", "").split("\n")

    def test_defaults(self) -> None:
        """Little has to be said."""
        scenario = self.load("duration = 1.0\n" + LOAD)
        self.assertEqual(scenario.seed, 1)
        expected = [each.text for each in scenario.expect]
        self.assertEqual(expected, ["failed == 0", "doubled == 0"])

    def test_unknown_keys(self) -> None:
        """Keys that there are not, and what was meant."""
        said = self.said(
            "duratoin = 1.0\nevents = [{ at = 0.5, kil = 'klein' }]\n" + LOAD + "pathes = []\n"
        )
        self.assertEqual(
            said,
            [
                "1: duratoin: unknown key; did you mean duration?",
                "2: events[0].kil: unknown key; did you mean kill?",
                "5: load[0].pathes: unknown key; did you mean paths?",
            ],
        )

    def test_values(self) -> None:
        """Values of the wrong kind or out of range, all at once."""
        said = self.said(
            "duration = 1.0\nseed = -1\n[[load]]\nrate = 0\nmethods = {}\nbody = [9, 1]\n"
            'paths = ["x"]\nkeyed = 2\n[backends.klein]\ncapacity = 0\n'
        )
        self.assertEqual(
            said,
            [
                "2: seed: expected a whole number from 0 to 9223372036854775807, found -1",
                "4: load[0].rate: expected requests per second above 0 to 100000, found 0",
                "5: load[0].methods: expected at least one method, found a table",
                "6: load[0].body: expected the smaller number first, found a list",
                '7: load[0].paths[0]: expected a path that begins with "/", percent-encoded, '
                'found "x"',
                "8: load[0].keyed: expected a ratio from 0 to 1, found 2",
                "10: backends.klein.capacity: expected a whole number from 1 to 1000000, found 0",
            ],
        )

    def test_backends(self) -> None:
        """Backends that the config does not have, wherever they are named."""
        said = self.said(
            "duration = 9.0\n"
            'expect = ["share.kleim > 0"]\n'
            'events = [{ at = 1.0, kill = ["flask", "flak"] }]\n' + LOAD + "[backends.x]\n"
        )
        self.assertEqual(
            said,
            [
                '2: expect[0]: no backend "kleim" in the config; did you mean klein?',
                '3: events[0].kill: no backend "flak" in the config; did you mean flask?',
                '6: backends.x: no backend "x" in the config; there are api/klein, klein, '
                "api/flask, flask",
            ],
        )

    def test_several_pools(self) -> None:
        """A name that two pools have needs the pool's; one address is one backend."""
        text = "duration = 9.0\nevents = [{ at = 1.0, kill = '%s' }]\n" + LOAD
        said = self.said(text % "a", TWO_POOLS)
        several = '2: events[0].kill: several pools have a backend "a": write api/a or old/a'
        self.assertEqual(said, [several])
        for name in ("api/a", "b", "old/b", "c"):
            self.load(text % name, TWO_POOLS)

    def test_events(self) -> None:
        """Events that say too little, too much, or what does not go together."""
        said = self.said(
            """\
duration = 9.0
events = [
    { at = 1.0 },
    { at = 1.0, kill = "klein", back = "flask" },
    { at = 1.0, slow = "klein" },
    { at = 1.0, kill = "klein", by = 1.0 },
    { at = 1.0, restart = "*" },
    { at = 1.0, back = "*", seconds = 1.0 },
    { at = 10.0, flap = "klein", seconds = 3.0, every = 1.0 },
]
"""
            + LOAD
        )
        verbs = "kill, stop, restart, hang, refuse, unplug, slow, errors, drain, flap, back"
        self.assertEqual(
            said,
            [
                f"3: events[0]: says not what happens: one of {verbs}",
                "4: events[1].back: goes into an event of its own, without kill",
                "5: events[2].by: is missing, and slow needs it",
                "6: events[3].by: goes only with slow",
                "7: events[4].every: is missing: how many seconds after one does the next one "
                "restart?",
                "8: events[5].seconds: goes not with back",
                "9: events[6].at: is after the end of the scenario",
            ],
        )

    def test_load(self) -> None:
        """Requests that cannot be sent, or never are."""
        said = self.said(
            "duration = 9.0\n"
            '[[load]]\nrate = 1\nlistener = "wbe"\n'
            '[[load]]\nrate = 1\nlistener = "raw"\n'
            "[[load]]\nrate = 1\nstart = 9.0\nheaders = { HOST = 'x', X-Canary = 'yes' }\n"
            "[[load]]\nrate = 1\nstart = 2.0\nend = 2.0\n"
            '[[load]]\nrate = 1\npaths = ["/x", "/files/a%20b?q=1"]\n',
            TWO_POOLS,
        )
        self.assertEqual(
            said,
            [
                '4: load[0].listener: no listener "wbe" in the config; did you mean web?',
                "7: load[1].listener: sessions of TCP mode are not simulated",
                "10: load[2].start: is after the end of the scenario",
                "11: load[2].headers.HOST: is what the client sets by itself",
                "15: load[3].end: is not after its start",
                '18: load[4].paths[1]: "/files/a%20b?q=1" is a file, by the route "/files"; '
                "files are not simulated",
            ],
        )

    def test_nothing_to_do(self) -> None:
        """Without any load, or anybody to ask, nothing can be seen."""
        self.assertEqual(self.said("duration = 9.0\n"), [" load: is missing"])
        self.assertEqual(
            self.said("duration = 9.0\nload = []\n"), ["2: load: at least one is needed"]
        )
        config = '[listeners.a]\nendpoint = "tcp:1"\nmode = "tcp"\npool = "p"\n[pools.p]\n'
        config += 'backends = [{ name = "b", address = "h:1" }]\n'
        self.assertEqual(
            self.said("duration = 9.0\n" + LOAD, config),
            ["2: load[0]: the config has no listener in HTTP mode to ask"],
        )

    def test_latency(self) -> None:
        """The 99th percentile is not below the median."""
        said = self.said(
            "duration = 9.0\n" + LOAD + "[backends.klein.latency]\nmedian = 0.2\np99 = 0.1\n"
        )
        self.assertEqual(said, ["6: backends.klein.latency.p99: is below the median, which is 0.2"])

    def test_no_file(self) -> None:
        """A file that is not there is called by what it should be."""
        folder = folder_with(self, "")
        config = load_config(folder / "lbproxy.toml")
        error = self.assertRaises(ConfigError, load, "gone.toml", config)
        said = "gone.toml: cannot read the scenario: No such file or directory"
        self.assertEqual(str(error), said)


def near(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """Tables with the keys of a class, and values of any kind."""
    keys = [field.name for field in attrs.fields(cls)]
    return st.dictionaries(st.sampled_from(keys), DOCUMENTS, max_size=4)


NEAR_MISSES = st.fixed_dictionaries(
    {},
    optional={
        "duration": DOCUMENTS,
        "seed": DOCUMENTS,
        "network": DOCUMENTS,
        "load": st.lists(near(Load), max_size=3),
        "backends": st.dictionaries(st.sampled_from(["*", "klein", "x"]), near(Behaviour)),
        "events": st.lists(near(Event), max_size=3),
        "expect": st.lists(DOCUMENTS, max_size=2),
    },
)


class AnythingTests(SynchronousTestCase):
    @given(NEAR_MISSES)
    def test_near_misses(self, document: dict[str, Any]) -> None:
        """Whatever a file says, it is a scenario or a list of mistakes."""
        folder = folder_with(self, "".join(f"{key} = {toml(document[key])}\n" for key in document))
        try:
            load(folder / "scenario.toml", load_config(folder / "lbproxy.toml"))
        except ConfigError as error:
            for line in str(error).split("\n"):
                self.assertTrue(line.startswith(f"{folder / 'scenario.toml'}:"), line)
