"""Files over real sockets, from a balancer in a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.integration.origin import Wire
from tests.processes import LISTENS, Process

CONFIG = """
access_log = false
admin = false
[listeners.web]
endpoint = "tcp:0:interface=127.0.0.1"
[[routes]]
path = "/files/"
static = "files"
"""

#: Bytes of the large file; more than all buffers on the way take.
LENGTH = 100 << 20

#: What the balancer's memory may grow by, in KiB.
GROWTH = 24 * 1024


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Process]:
    """A balancer that serves `files` in a folder, and stops with exit code 0."""
    config = folder / "lbproxy.toml"
    config.write_text(CONFIG)
    folder.joinpath("files").mkdir()
    twistd = Path(sys.executable).with_name("twistd")
    arguments: list[str | Path] = [
        twistd,
        "--nodaemon",
        "--pidfile=",
        "lbproxy",
        "--config",
        config,
    ]
    process = Process(arguments, directory=folder)
    with process:
        process.port = int(process.wait_for_line(LISTENS)["port"])
        yield process
        assert process.stop() == 0


def resident(process: Process) -> int:
    """A program's memory at present, in KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def get(wire: Wire, path: str, *fields: str) -> tuple[bytes, bytes]:
    """Ask for a path on a connection; the answer's head and body."""
    lines = [f"GET {path} HTTP/1.1", "Host: shop", *fields, "", ""]
    wire.send("\r\n".join(lines).encode())
    head = wire.head()
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
    return head, wire.exactly(length)


def test_slow_reader(tmp_path: Path) -> None:
    """Who stops reading a large file costs no memory and holds nobody up; then all arrives."""
    with serving(tmp_path) as process:
        large = tmp_path / "files/large.bin"
        with large.open("wb") as file:
            for number in range(LENGTH >> 20):
                file.write(number.to_bytes(4, "big") * (1 << 18))
        tmp_path.joinpath("files/small.txt").write_text("small")
        address = ("127.0.0.1", process.port)
        wire, other = (Wire(socket.create_connection(address)) for _ in range(2))
        with wire.socket, other.socket:
            assert get(other, "/files/small.txt")[1] == b"small"
            before = resident(process)
            wire.send(b"GET /files/large.bin HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert wire.head().startswith(b"HTTP/1.1 200 ")
            assert get(other, "/files/small.txt")[1] == b"small"
            digest, left = hashlib.sha256(), LENGTH
            while left:
                piece = wire.exactly(min(left, 1 << 20))
                assert piece
                digest.update(piece)
                left -= len(piece)
            assert resident(process) - before < GROWTH
            with large.open("rb") as file:
                assert digest.digest() == hashlib.file_digest(file, "sha256").digest()
            first, last = 12_345_678, 14_567_890
            head, body = get(wire, "/files/large.bin", f"Range: bytes={first}-{last}")
            assert head.startswith(b"HTTP/1.1 206 ")
            with large.open("rb") as file:
                assert body == os.pread(file.fileno(), last + 1 - first, first)
