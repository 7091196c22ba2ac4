"""Where the commands find the admin listener."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.cli.where import Where, find
from lbproxy.errors import ConfigError
from tests.config.folder import temporary_folder

CONFIG = """\
{admin}
[listeners.web]
endpoint = "tcp:3000"
[[routes]]
path = "/"
static = "."
"""


class ConfigTests(SynchronousTestCase):
    """What a config says."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.file = str(self.folder / "lb.toml")

    def find(self, admin: str) -> Where:
        """Find it by a config with this as its admin table."""
        Path(self.file).write_text(CONFIG.format(admin=admin))
        return find(self.file, None)

    def refused(self, admin: str) -> str:
        """Why it cannot be found."""
        return str(self.assertRaises(ConfigError, self.find, admin))

    def test_default(self) -> None:
        """Without a config, and with one that says nothing, it is where the balancer has it."""
        self.assertEqual(find(None, None), Where("127.0.0.1", 3900))
        self.assertEqual(self.find(""), Where("127.0.0.1", 3900))

    def test_endpoints(self) -> None:
        """Each endpoint is asked at an address by which its machine reaches itself."""
        for endpoint, url in (
            ("tcp:3901", "http://127.0.0.1:3901"),
            ("tcp:port=3901:interface=10.0.0.7", "http://10.0.0.7:3901"),
            ("tcp:3901:interface=0.0.0.0:backlog=9", "http://127.0.0.1:3901"),
            ("tcp6:3901", "http://[::1]:3901"),
            (r"tcp6:3901:interface=fe80\\:\\:1", "http://[fe80::1]:3901"),
        ):
            where = self.find(f'[admin]\nendpoint = "{endpoint}"')
            self.assertEqual((where.url, where.socket), (url, None), endpoint)
            self.assertEqual(f"http://{where}", url)

    def test_sockets(self) -> None:
        """A socket comes first, and its path starts from the config's folder."""
        for admin, path in (
            ('socket = "lb.sock"', str(self.folder / "lb.sock")),
            ('endpoint = false\nsocket = "/run/lb.sock"', "/run/lb.sock"),
            ('endpoint = "unix:/run/lb.sock:mode=600"', "/run/lb.sock"),
            ('endpoint = "unix:address=/run/lb.sock"', "/run/lb.sock"),
        ):
            where = self.find(f"[admin]\n{admin}")
            self.assertEqual((where.socket, where.url), (path, "http://localhost"), admin)
            self.assertEqual(str(where), path)

    def test_none(self) -> None:
        """What is missing is told, with the key."""
        told = self.refused("admin = false")
        self.assertTrue(told.startswith(f"{self.file}: admin = false, so there is no listener"))
        for endpoint in ("tcp:0", "systemd:domain=INET:index=0", "tcp:http"):
            told = self.refused(f'[admin]\nendpoint = "{endpoint}"')
            self.assertIn("admin.endpoint", told)
        self.assertIn("tcp:0", self.refused('[admin]\nendpoint = "tcp:0"'))

    def test_wrong(self) -> None:
        """What is wrong with [admin] is told as `lbproxy check` tells it, and what is no TOML."""
        for admin, told in (
            ("admin = { sokcet = 'x' }", "lb.toml:1: admin.sokcet: unknown key"),
            ("admin = { endpoint = false }", "lb.toml:1: admin.endpoint: without it"),
            ("admin = ", "lb.toml:1: not TOML"),
        ):
            self.assertIn(told, self.refused(admin))

    def test_wrong_elsewhere(self) -> None:
        """A mistake in the rest keeps nobody from a balancer that runs; nor does what it plugs."""
        pool = "[pools.api]\nbalancer = 'of-a-plugin'\nbackends = 'x'\nwieght = 1"
        where = self.find(f"[admin]\nendpoint = 'tcp:3901'\n{pool}")
        self.assertEqual(where, Where("127.0.0.1", 3901))


class ToldTests(SynchronousTestCase):
    """What the command line says."""

    def test_places(self) -> None:
        """A URL, an authority, or the path of a socket; then no config is read."""
        for told, where in (
            ("http://localhost:3901", Where("localhost", 3901)),
            ("http://[::1]:3901/", Where("::1", 3901)),
            ("lb1:3901", Where("lb1", 3901)),
            ("/run/lb.sock", Where(socket="/run/lb.sock")),
            ("./lb.sock", Where(socket="./lb.sock")),
            ("unix:lb.sock", Where(socket="lb.sock")),
        ):
            self.assertEqual(find("gone.toml", told), where, told)

    def test_relative(self) -> None:
        """A socket that is there needs no path before its name."""
        name = self.mktemp()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(name)
            self.assertEqual(find(None, name), Where(socket=name))

    def test_wrong(self) -> None:
        """What is none of them."""
        for told in ("", "localhost", "https://localhost:3901", "http://localhost:3901/x", "a:b"):
            self.assertRaises(ConfigError, find, None, told)
