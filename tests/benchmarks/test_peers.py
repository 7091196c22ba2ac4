"""The configs that the peers get are right: those that are installed say so themselves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.macro import certificate, origin
from benchmarks.macro.peers.caddy import Caddy
from benchmarks.macro.peers.haproxy import HAProxy
from benchmarks.macro.peers.lbproxy import ROOT, LbProxy
from benchmarks.macro.peers.nginx import Nginx
from benchmarks.macro.peers.node import Node
from benchmarks.macro.peers.peer import Kind, Peer, Place, asked_version
from benchmarks.macro.program import free_ports


class PeerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.certificate = self.folder / "site.pem"
        certificate.make(self.certificate, datetime.now(UTC))
        self.ports = free_ports(5)

    def place(self, kind: Kind) -> Place:
        """Where a peer would run."""
        port, spare, sink, *origins = self.ports
        folder = self.folder / kind.value
        folder.mkdir(exist_ok=True)
        return Place(kind, folder, port, spare, origins, self.folder, self.certificate, sink)

    def accepted(self, arguments: Sequence[str]) -> None:
        """See that a program, if it is installed, ends well."""
        if shutil.which(arguments[0]) is None:
            return
        ended = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)

    def test_haproxy(self) -> None:
        """HAProxy takes its configs."""
        for kind in HAProxy.kinds:
            place = self.place(kind)
            path = place.write("haproxy.cfg", HAProxy().config(place))
            self.accepted(["haproxy", "-c", "-f", str(path)])

    def test_nginx(self) -> None:
        """nginx takes its configs."""
        for kind in Nginx().kinds:
            self.accepted([*Nginx().prepare(self.place(kind)).arguments, "-t"])

    def test_origin(self) -> None:
        """And that of the origin."""
        place = self.place(Kind.HTTP)
        first, *others = place.origins
        self.accepted([*origin.arguments(place.folder, place.site, others, first), "-t"])

    def test_caddy(self) -> None:
        """Caddy takes its configs."""
        for kind in Caddy.kinds:
            place = self.place(kind)
            path = place.write("Caddyfile", Caddy().config(place))
            self.accepted(["caddy", "adapt", "--adapter", "caddyfile", "--config", str(path)])

    def test_node(self) -> None:
        """Node can read its program."""
        place = self.place(Kind.HTTP)
        path = place.write("proxy.js", Node(self.folder).script(place))
        self.accepted(["node", "--check", str(path)])

    def test_lbproxy(self) -> None:
        """lbproxy's own loader takes its config for what it has had from the first."""
        peer = LbProxy("lbproxy", ROOT)
        for kind in (Kind.HTTP, Kind.STATIC):
            place = self.place(kind)
            path = place.write("lbproxy.toml", peer.config(place, admin=False))
            self.assertEqual(peer.refusal(path), "")

    def test_refusal(self) -> None:
        """What lbproxy says against a config is told."""
        path = self.folder / "wrong.toml"
        path.write_text("speed = 11\n")
        self.assertIn("speed", LbProxy("lbproxy", ROOT).refusal(path))

    def test_no_folder(self) -> None:
        """A folder without lbproxy in it has no version."""
        self.assertIsNone(LbProxy("beside", self.folder).version())

    def test_version(self) -> None:
        """Programs that are not there have no version."""
        self.assertIsNone(asked_version(["no-such-proxy", "-v"], r"(\S+)"))
        self.assertEqual(asked_version(["echo", "v 1.2"], r"v (\S+)"), "1.2")

    def test_names(self) -> None:
        """Each has a name of its own, and something that it can do."""
        peers: list[Peer] = [LbProxy("lbproxy", ROOT), HAProxy(), Nginx(), Caddy(), Node()]
        self.assertEqual(len({peer.name for peer in peers}), len(peers))
        self.assertTrue(all(peer.kinds and peer.install for peer in peers))


class SiteTests(SynchronousTestCase):
    def test_small(self) -> None:
        """The small answer has the size that its title says."""
        self.assertEqual(len(origin.SMALL), 200)

    def test_files(self) -> None:
        """The files have the sizes that their names say, and are the same each time."""
        first, second = Path(self.mktemp()), Path(self.mktemp())
        origin.make_site(first)
        origin.make_site(second)
        sizes = {path.name: path.stat().st_size for path in first.iterdir()}
        self.assertEqual(sizes, origin.FILES)
        self.assertEqual((first / "2k").read_bytes(), (second / "2k").read_bytes())
