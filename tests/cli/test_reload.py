"""Tests of `lbproxy reload`."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from lbproxy.config import model
from lbproxy.control.parent import PATIENCE
from tests.cli.story import StoryCase
from tests.config.folder import temporary_folder


class ReloadTests(StoryCase):
    def write(self, *backends: model.Backend) -> None:
        """Have other backends in the config that is read next."""
        (pool,) = self.staff.written.pools
        changed = attrs.evolve(pool, backends=(*pool.backends, *backends))
        self.staff.written = attrs.evolve(self.staff.written, pools=(changed,))

    def test_same(self) -> None:
        """What stays is said too, so that nobody wonders whether it was read."""
        self.assertEqual(self.run_to_end("reload"), 0)
        told = "= 1 listener, 1 pool, 2 backends, 1 route unchanged\n"
        self.assertEqual(self.output.getvalue(), told)

    def test_file(self) -> None:
        """Which file it was is said, however it is named."""
        folder = temporary_folder(self)
        file, link = folder / "lb.toml", folder / "link.toml"
        link.symlink_to(file)
        self.served_by(str(file))
        for named in (file, link):
            self.assertEqual(self.run_to_end("reload", "--config", str(named)), 0)
        self.assertEqual(self.output.getvalue().splitlines()[0], f"{file}:")

    def test_other_file(self) -> None:
        """A balancer that runs by another file, or by none, is not made to read its own."""
        for served, why in (
            ("/etc/lb.toml", "was started with /etc/lb.toml, and reads that and not other.toml"),
            (None, "runs without a config file"),
        ):
            self.served_by(served)
            self.assertEqual(self.run_to_end("reload", "--config", "other.toml"), 1)
            self.assertIn(why, self.errors.getvalue())
        self.assertEqual((self.output.getvalue(), self.staff.reopened), ("", 0))
        self.assertEqual(self.run_to_end("reload", "-c", "other.toml", "--admin", "lb1:3900"), 0)

    def served_by(self, file: str | None) -> None:
        """Have the balancer's config be this one."""
        self.file = file
        self.supervise(None)

    def test_plan(self) -> None:
        """It ends when the workers have it, and who is new was probed before."""
        self.write(model.Backend("c", "127.0.0.1:3"))
        ended = self.begin("reload", "--reason", "more load")
        self.assertNoResult(ended)
        self.assertEqual(self.output.getvalue(), "")
        self.pass_time(0.25)
        self.assertEqual(self.successResultOf(ended), 0)
        self.assertEqual(
            self.output.getvalue().splitlines(),
            [
                "+ pools.api.backends.c (127.0.0.1:3)",
                "= 1 listener, 0 pools, 2 backends, 1 route unchanged",
            ],
        )
        for hand in self.staff.hands:
            self.assertEqual(hand.standings["api", "c"].state.value, "up")

    def test_refused(self) -> None:
        """Each mistake is told, and the exit status is 1."""
        self.staff.mistakes = "lb.toml:1: wokers: unknown key\nlb.toml:2: stop: unknown key"
        self.assertEqual(self.run_to_end("reload"), 1)
        self.assertEqual(self.output.getvalue(), "")
        self.assertEqual(self.errors.getvalue(), f"lbproxy: {self.staff.mistakes}\n")

    def test_hung_worker(self) -> None:
        """The plan holds for the others; that one has not confirmed it is said beside it."""
        self.staff.hands[1].counting = Deferred()
        ended = self.begin("reload")
        self.pass_time(PATIENCE)
        self.assertEqual(self.successResultOf(ended), 0)
        self.assertIn("unchanged", self.output.getvalue())
        self.assertIn("a worker has not said yet", self.errors.getvalue())
