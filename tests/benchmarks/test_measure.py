"""The order of the rounds, and what is told of those that failed."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro.measure import Runner, in_turns, told
from benchmarks.macro.peers.caddy import Caddy
from benchmarks.macro.peers.haproxy import HAProxy
from benchmarks.macro.peers.nginx import Nginx
from benchmarks.macro.peers.peer import Kind, NotBuilt, Place

PLACE = Place(Kind.HTTP, Path("/tmp/x/small/nginx"), 1, 2, (3, 4), Path(), Path(), 5)


class TurnTests(SynchronousTestCase):
    def test_turns(self) -> None:
        """Each has its turn in each round, and every other round goes backwards."""
        runners = [Runner(peer, PLACE) for peer in (HAProxy(), Nginx(), Caddy())]
        names = [runner.peer.name[0] for runner in in_turns(runners, 3)]
        self.assertEqual("".join(names), "hnccnhhnc")


class ToldTests(SynchronousTestCase):
    def test_one_line(self) -> None:
        """A refusal is told in a line, without folders that are gone."""
        error = NotBuilt("/tmp/x/small/nginx/a.conf:1: no\nand no")
        self.assertEqual(told("not supported", error, PLACE), "not supported: a.conf:1: no; and no")
