"""What TLS costs a connection: CPU per exchange, by way of doing it, beside HAProxy.

    python benchmarks/micro/tls.py [ROUNDS]

A protocol that answers each read with the same bytes stands on a `Connection` without TLS, on a
`SecureConnection`, and on Twisted's memory BIO over a `Connection`; HAProxy answers from its
config. Each is asked by wrk over 16 kept-alive connections, in turn, and the median of the rounds
is told. It needs wrk, HAProxy, and trustme.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import trustme
from twisted.internet import ssl
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from lbproxy.transport.accept import Acceptor
from lbproxy.transport.certificates import ServerSettings
from lbproxy.transport.connection import Connection
from lbproxy.transport.handshake import Doorway
from lbproxy.transport.identities import Identities
from lbproxy.transport.timer import CoarseTimer

SIZES = {"200 B": 200, "64 KiB": 65536}
WAYS = ("plain", "socket", "memory")

HAPROXY = """\
global
  nbthread 1
  tune.bufsize 131072
defaults
  mode http
  timeout client 60s
frontend f
  bind 127.0.0.1:{plain}
  bind 127.0.0.1:{tls} ssl crt {pem} alpn http/1.1
  http-request return status 200 content-type text/plain file {file}
"""


class Canned(Protocol):
    """Answers each read, which is one request of wrk, with the same bytes."""

    answer = b""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self.answer)


def serve(way: str, size: int, pem: str) -> None:
    """Serve on a free port, which is printed, until the end."""
    import socket

    from twisted.internet import reactor as untyped

    reactor: Any = untyped
    Canned.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    welcome = None
    if way == "socket":
        identities = Identities(ServerSettings((pem,)), time.time())
        timer = CoarseTimer(reactor)
        doorway = Doorway(
            reactor, timer.add, timer.discard, identities, Canned, lambda skt, peer: None, 10.0, ""
        )
        welcome = doorway.welcome
    elif way == "memory":
        options = ssl.PrivateCertificate.loadPEM(Path(pem).read_bytes()).options()
        factory = TLSMemoryBIOFactory(options, False, Factory.forProtocol(Canned))

        def over_memory(skt: socket.socket, peer: Any) -> None:
            Connection(reactor, skt, peer).start(factory.buildProtocol(None))

        welcome = over_memory
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    Acceptor(reactor, listening, Canned, welcome).startReading()
    print(listening.getsockname()[1], flush=True)
    reactor.run()


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(url: str, seconds: int) -> int:
    """Load a server; how many answers came."""
    command = ["wrk", "-t1", "-c16", f"-d{seconds}", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in", told)
    assert found is not None and "errors" not in told, told
    return int(found[1])


def measure(rounds: int, folder: Path) -> None:
    """Start all, ask each in turn, and print the medians."""
    pem = folder / "site.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
    for name, size in SIZES.items():
        servers: dict[str, tuple[subprocess.Popen[str], str]] = {}
        for way in WAYS:
            process = subprocess.Popen(
                [sys.executable, __file__, "--serve", way, str(size), str(pem)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert process.stdout is not None
            scheme = "http" if way == "plain" else "https"
            url = f"{scheme}://127.0.0.1:{int(process.stdout.readline())}/"
            servers[way] = process, url
        body, config = folder / "body", folder / "haproxy.cfg"
        body.write_bytes(bytes(size))
        config.write_text(HAPROXY.format(plain=18880, tls=18881, pem=pem, file=body))
        process = subprocess.Popen(["haproxy", "-f", str(config), "-db"], text=True)
        servers["haproxy plain"] = process, "http://127.0.0.1:18880/"
        servers["haproxy tls"] = process, "https://127.0.0.1:18881/"
        time.sleep(1.0)
        costs: dict[str, list[float]] = {way: [] for way in servers}
        try:
            for _, url in servers.values():
                ask(url, 1)
            for _ in range(rounds):
                for way, (process, url) in servers.items():
                    before = cpu(process.pid)
                    answers = ask(url, 3)
                    costs[way].append((cpu(process.pid) - before) / answers * 1e6)
        finally:
            for process, _ in servers.values():
                process.terminate()
        for way, found in costs.items():
            told = f"{statistics.median(found):7.1f} us ({min(found):.1f} to {max(found):.1f})"
            print(f"{name:>7} {way:14} {told}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            measure(int(sys.argv[1]) if sys.argv[1:] else 3, Path(temporary))
