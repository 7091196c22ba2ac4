"""A balancer with several workers, and what it tells of them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.origin import Balancer, Origin, Wire
from tests.processes import LISTENS, PATIENCE, Process

ASK = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: shop\r\n\r\n"

TOP = """\
workers = 2
[admin]
endpoint = "tcp:port=0:interface=127.0.0.1"
"""


def until(holds: Callable[[], bool]) -> None:
    """Wait for what no line of the log tells."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is only not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def answer(wire: Wire) -> bytes:
    """Read an answer with a length; empty if the connection has ended."""
    with contextlib.suppress(ConnectionError):
        head = wire.head()
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                return head + wire.exactly(int(value))
        return head
    return b""


class Group(Balancer):
    """A balancer whose workers are processes.

    Attributes:
        admin: The port of its admin listener.
    """

    admin: int

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._find_admin()

    @classmethod
    @contextlib.contextmanager
    def of(cls, process: Process) -> Iterator[Group]:
        """One that was started otherwise."""
        self = cls.__new__(cls)
        self.process = process
        with process:
            process.port = int(process.wait_for_line(LISTENS)["port"])
            self._find_admin()
            yield self

    def health(self) -> dict[str, Any]:
        """The health report, as the parent gives it."""
        document: dict[str, Any] = json.loads(self._page(b"/health"))
        return document

    def metrics(self) -> dict[tuple[str, ...], float]:
        """The metrics by name and the labels' values."""
        text = self._page(b"/metrics").decode()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def workers(self) -> list[dict[str, Any]]:
        """The workers, as the health report has them."""
        told: list[dict[str, Any]] = self.health()["workers"]
        return told

    def wait_until_all_serve(self) -> list[int]:
        """Wait for all workers; their pids."""
        until(lambda: all(worker["state"] == "serving" for worker in self.workers()))
        return [worker["pid"] for worker in self.workers()]

    def requests(self) -> float:
        """The exchanges that went through the pool."""
        counted = self.metrics().items()
        return sum(
            value
            for (name, *labels), value in counted
            if name == "lbproxy_requests_total" and "api" in labels
        )

    def clients(self) -> list[float]:
        """The connections of each worker."""
        metrics = self.metrics()
        return [metrics["lbproxy_clients", str(worker["worker"])] for worker in self.workers()]

    def _find_admin(self) -> None:
        line = self.process.wait_for_line(r"metrics are at http://127.0.0.1:(\d+)/")
        self.admin = int(line[1])

    def _page(self, path: bytes) -> bytes:
        public, self.process.port = self.process.port, self.admin
        try:
            told = self.ask(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
            )
        finally:
            self.process.port = public
        head, _, body = told.partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 ")), told
        return body


@contextlib.contextmanager
def group(
    folder: Path, *origins: Origin, pool: str = "", health: str = "false", top: str = TOP
) -> Iterator[Group]:
    """Two workers before some origins, both serving; it stops with exit code 0 in the end."""
    started = Group(folder, [origin.port for origin in origins], pool, health, top)
    with started.process:
        started.wait_until_all_serve()
        yield started
        pids = [worker["pid"] for worker in started.workers() if worker["pid"]]
        assert started.process.stop() == 0, started.process.output
        assert [pid for pid in pids if alive(pid)] == []
    assert "Traceback" not in started.process.output, started.process.output
