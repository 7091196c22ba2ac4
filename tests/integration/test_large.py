"""A gibibyte each way: it arrives as it was, and the balancer's memory stays as it was."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from tests.integration.origin import OK, Balancer, Origin, Wire, balancer, script

#: What is sent: a block that repeats at no multiple of a buffer's size.
BLOCK = random.Random(1).randbytes((1 << 20) - 1)
BLOCKS = 1025
LENGTH = len(BLOCK) * BLOCKS

#: What the balancer's memory may grow by at its highest, in KiB.
GROWTH = 20 * 1024

END = b"Host: shop\r\nConnection: close\r\n\r\n"


def send_all(wire: Wire) -> None:
    """Send the body."""
    for _ in range(BLOCKS):
        wire.send(BLOCK)


def digest_of(wire: Wire, length: int) -> str:
    """Read a body of this length; its digest."""
    digest = hashlib.sha256()
    while length and (data := wire.exactly(min(length, 1 << 16))):
        digest.update(data)
        length -= len(data)
    return digest.hexdigest()


def expected() -> str:
    """The digest of what is sent."""
    digest = hashlib.sha256()
    for _ in range(BLOCKS):
        digest.update(BLOCK)
    return digest.hexdigest()


def highest(of: Balancer) -> int:
    """The most memory that the balancer has had, in KiB."""
    status = Path(f"/proc/{of.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_download(tmp_path: Path) -> None:
    """A long answer."""

    def act(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LENGTH)
        send_all(wire)

    with balancer(tmp_path, Origin(script(act))) as proxy:
        before = highest(proxy)
        wire = proxy.connect()
        with wire.socket:
            wire.send(b"GET / HTTP/1.1\r\n" + END)
            assert b"\r\nContent-Length: %d\r\n" % LENGTH in wire.head()
            assert digest_of(wire, LENGTH) == expected()
        assert highest(proxy) - before < GROWTH


def test_upload(tmp_path: Path) -> None:
    """A long request."""
    digests: list[str] = []

    def act(wire: Wire) -> None:
        digests.append(digest_of(wire, LENGTH))
        wire.send(OK)

    with balancer(tmp_path, Origin(script(act))) as proxy:
        before = highest(proxy)
        wire = proxy.connect()
        with wire.socket:
            wire.send(b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n" % LENGTH + END)
            send_all(wire)
            assert wire.head().startswith(b"HTTP/1.1 200 ")
        assert digests == [expected()]
        assert highest(proxy) - before < GROWTH
