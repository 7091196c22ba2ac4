"""lbproxy as it is shipped: access log, request ids, probes, timeouts and metrics are on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.macro.peers.peer import PATIENCE, Command, Kind, NotBuilt, Place, asked_version

#: The checkout that these benchmarks belong to.
ROOT = Path(__file__).resolve().parents[3]

_CHECK = "import sys; from lbproxy.cli.main import main; sys.exit(main(sys.argv[1:]))"

_HTTP = """\
[listeners.web]
endpoint = "tcp:{port}:interface=127.0.0.1"
"""

_TLS = """\
[listeners.secure]
endpoint = "tcp:{port}:interface=127.0.0.1"
tls = {{ certificates = ["{certificate}"] }}
"""

_TCP = """\
[listeners.raw]
endpoint = "tcp:{port}:interface=127.0.0.1"
mode = "tcp"
pool = "origin"
"""

_POOL = """\
[pools.origin]
health = {{ path = "/health" }}
"""

_BACKEND = """\
[[pools.origin.backends]]
name = "{name}"
address = "127.0.0.1:{port}"
"""

_ADMIN = """\
[admin]
endpoint = "tcp:{spare_port}:interface=127.0.0.1"
"""


class LbProxy:
    """lbproxy from a checkout.

    Attributes:
        root: The checkout.
        pool: More keys of the pool's table.
    """

    kinds = frozenset(Kind)
    install = "there is no lbproxy in that folder"

    def __init__(self, name: str, root: Path, pool: str = "") -> None:
        self.name = name
        self.root = root
        self.pool = pool
        self._metrics = True  # Until its config refuses them.

    def version(self) -> str | None:
        if not (self.root / "lbproxy" / "service.py").is_file():
            return None
        said = asked_version(
            ["git", "-C", str(self.root), "describe", "--always", "--dirty"], r"^(\S+)$"
        )
        return said or "of no commit"

    def prepare(self, place: Place) -> Command:
        notes = []
        config = place.write("lbproxy.toml", self.config(place, admin=self._metrics))
        refusal = self.refusal(config)
        if refusal and self._metrics:
            place.write("lbproxy.toml", self.config(place, admin=False))
            refusal = self.refusal(config)
            self._metrics = bool(refusal)
        if refusal:
            raise NotBuilt(refusal)
        if not self._metrics:
            notes.append(f"{self.name} ran without metrics, which it does not have yet")
        twistd = str(Path(sys.executable).with_name("twistd"))
        arguments = [twistd, "--nodaemon", "--pidfile=", "lbproxy", "--config", str(config)]
        return Command(arguments, {"PYTHONPATH": str(self.root)}, notes)

    def config(self, place: Place, *, admin: bool) -> str:
        """The config file, with or without its part on metrics."""
        listener = {Kind.TLS: _TLS, Kind.TCP: _TCP}.get(place.kind, _HTTP)
        parts = [f'access_log = "{place.folder / "access.log"}"\n']
        parts.append(listener.format(port=place.port, certificate=place.certificate))
        if place.kind is Kind.STATIC:
            parts.append(f'[[routes]]\npath = "/"\nstatic = "{place.site}"\n')
        elif place.kind is not Kind.TCP:
            parts.append('[[routes]]\npath = "/"\npool = "origin"\n')
        if place.kind is not Kind.STATIC:
            parts.append(f"{_POOL.format()}{self.pool}\n")
            kept = "" if place.kind is Kind.TCP else "keep_alive = 75.0\n"
            parts += [
                _BACKEND.format(name=f"origin-{number}", port=port) + kept
                for number, port in enumerate(place.origins, 1)
            ]
        if admin:
            parts.append(_ADMIN.format(spare_port=place.spare_port))
        return "\n".join(parts)

    def refusal(self, config: Path) -> str:
        """What `lbproxy check` says against a config; empty if it is right."""
        checked = subprocess.run(
            [sys.executable, "-c", _CHECK, "check", str(config)],
            cwd=self.root,
            env={"PYTHONPATH": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            text=True,
        )
        return checked.stderr.strip() if checked.returncode else ""
