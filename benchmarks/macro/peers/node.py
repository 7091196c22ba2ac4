"""Node's http-proxy, which npm brings into the build folder the first time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.macro.peers.lbproxy import ROOT
from benchmarks.macro.peers.peer import Command, Kind, Place, asked_version

VERSION = "1.18.1"

#: Seconds for which npm may take to bring it.
PATIENCE = 60.0

_SCRIPT = """\
const http = require("http");
const proxy = require("http-proxy").createProxyServer({{
  agent: new http.Agent({{ keepAlive: true }}),
  xfwd: true,
}});
const origins = {origins};
let turn = 0;
proxy.on("error", (error, request, answer) => {{
  if (answer.writeHead && !answer.headersSent) answer.writeHead(502);
  answer.end();
}});
const server = http.createServer((request, answer) => {{
  turn = (turn + 1) % origins.length;
  proxy.web(request, answer, {{ target: origins[turn] }});
}});
server.keepAliveTimeout = 75000;
server.listen({port}, "127.0.0.1", 4096);
"""


class Node:
    """http-proxy with an agent that keeps connections."""

    name = "node"
    kinds = frozenset({Kind.HTTP})
    install = f"apt-get install nodejs npm, then npm brings http-proxy {VERSION}"

    def __init__(self, folder: Path = ROOT / "build" / "bench" / "node") -> None:
        self._folder = folder

    def version(self) -> str | None:
        node = asked_version(["node", "--version"], r"v(\d\S+)")
        if node is None or not self._installed():
            return None
        return f"http-proxy {VERSION} on Node {node}"

    def prepare(self, place: Place) -> Command:
        script = place.write("proxy.js", self.script(place))
        modules = str(self._folder / "node_modules")
        note = "node's http-proxy ran without an access log: it has none"
        return Command(["node", "--no-deprecation", str(script)], {"NODE_PATH": modules}, [note])

    def script(self, place: Place) -> str:
        """The program."""
        origins = ", ".join(f'"http://127.0.0.1:{port}"' for port in place.origins)
        return _SCRIPT.format(origins=f"[{origins}]", port=place.port)

    def _installed(self) -> bool:
        package = self._folder / "node_modules" / "http-proxy" / "package.json"
        npm = shutil.which("npm")
        if not package.is_file() and npm is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            arguments = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
            try:
                subprocess.run(
                    [*arguments, "--prefix", str(self._folder), f"http-proxy@{VERSION}"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=PATIENCE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return False
        return package.is_file()
