"""What is asked of a proxy: each workload is one number in the table."""

from __future__ import annotations

import attrs

from benchmarks.macro.origin import MIB
from benchmarks.macro.peers.peer import Kind

PER_REQUEST = "µs/request"
PER_CONNECTION = "KiB/connection"


@attrs.frozen
class Workload:
    """A kind of load.

    Attributes:
        name: As on the command line and in the results.
        title: What it is, for people.
        path: What is asked for.
        connections: Clients at a time.
        kind: What the proxy is to do.
        varied: Whether each request has a head of its own, as a browser writes them.
        size: Bytes of an answer that takes long, so that parts of it count; 0 for others.
        body: Bytes that each request uploads.
        close: Whether each request has a connection of its own.
        idle: Whether the clients only stay connected, and memory is measured.
        reference: The peer to which the others are compared.
    """

    name: str
    title: str
    path: str
    connections: int
    kind: Kind = Kind.HTTP
    varied: bool = False
    size: int = 0
    body: int = 0
    close: bool = False
    idle: bool = False
    reference: str = "haproxy"

    @property
    def tls(self) -> bool:
        """Whether the clients speak TLS."""
        return self.kind is Kind.TLS

    @property
    def unit(self) -> str:
        """Of the cost that is reported."""
        return PER_CONNECTION if self.idle else PER_REQUEST


WORKLOADS = (
    Workload("small", "JSON of 200 bytes", "/small", 64),
    Workload("varied", "JSON of 200 bytes, heads that differ", "/varied", 64, varied=True),
    Workload("64k", "answers of 64 KiB", "/64k", 32),
    Workload("1m", "answers of 1 MiB", "/1m", 16, size=MIB),
    Workload("10m", "answers of 10 MiB", "/10m", 16, size=10 * MIB),
    Workload("upload", "uploads of 10 MiB", "/upload", 4, body=10 * MIB),
    Workload("churn", "a connection for each small request", "/small", 64, close=True),
    Workload("tls-small", "JSON of 200 bytes over TLS", "/small", 64, Kind.TLS),
    Workload("tls-64k", "answers of 64 KiB over TLS", "/64k", 32, Kind.TLS),
    Workload("tcp-small", "TCP mode: JSON of 200 bytes", "/small", 64, Kind.TCP),
    Workload("tcp-10m", "TCP mode: answers of 10 MiB", "/10m", 16, Kind.TCP, size=10 * MIB),
    Workload("static-2k", "files of 2 KiB", "/2k", 64, Kind.STATIC, reference="nginx"),
    Workload("static-64k", "files of 64 KiB", "/64k", 32, Kind.STATIC, reference="nginx"),
    Workload("idle", "memory of an idle client", "/small", 2000, idle=True),
)

QUICK = ("small", "varied", "10m", "upload", "churn", "tls-small", "tcp-small", "idle")
"""Those of the quick form."""
