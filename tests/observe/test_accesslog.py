"""The access log's lines, and what happens to them on a bad disk."""

from __future__ import annotations

import errno
import json
import os
import select
import sys
import threading
from pathlib import Path
from typing import cast
from unittest import mock

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import ConfigError
from lbproxy.observe.accesslog import (
    BATCH,
    BEHIND,
    AccessLog,
    Attempt,
    Record,
    asked,
    caller,
    check_writable,
)
from lbproxy.transport.output import Output
from lbproxy.transport.timer import CoarseTimer


def record(**fields: object) -> Record:
    """A record with some of its fields."""
    made = Record(1.25, "id-1", caller("192.0.2.7", "web"))
    for name, value in fields.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


class RecordTests(SynchronousTestCase):
    def test_line(self) -> None:
        """Time, request, status, bytes, the backends that were tried, and how long all took."""
        attempt = Attempt("klein", 1.25)
        attempt.outcome = "answered"
        line = json.loads(
            record(
                asked=asked("GET", "shop", "/api/orders", 1),
                status=200,
                route="/api/",
                pool="api",
                bytes_in=1,
                bytes_out=2,
                attempts=[attempt],
                answered=0.5,
            ).line(2.0)
        )
        self.assertEqual(line["time"], "1970-01-01T00:00:01.250000Z")
        self.assertEqual((line["id"], line["client"]), ("id-1", "192.0.2.7"))
        self.assertEqual((line["method"], line["target"]), ("GET", "/api/orders"))
        self.assertEqual((line["status"], line["reason"]), (200, "answered"))
        self.assertEqual((line["bytes_in"], line["bytes_out"]), (1, 2))
        self.assertEqual(line["attempts"][0]["backend"], "klein")
        self.assertEqual(line["seconds"]["answer"], 0.5)
        self.assertEqual(line["seconds"]["total"], 0.75)

    def test_tls(self) -> None:
        """The version and cipher of the client's connection; nothing if that is plain."""
        self.assertNotIn("tls", json.loads(record().line(2.0)))
        secure = caller("192.0.2.7", "web", "TLSv1.3/TLS_AES_128_GCM_SHA256")
        line = json.loads(record(caller=secure).line(2.0))
        self.assertEqual(line["tls"], "TLSv1.3/TLS_AES_128_GCM_SHA256")

    def test_hostile(self) -> None:
        """Whatever a client sends stays one line of valid JSON in ASCII."""
        target = bytes(range(256)).decode("latin-1")
        text = record(asked=asked("\u2028", '"}\n{"', target, 1), detail="\x1b[31m").line(2.0)
        self.assertTrue(text.isascii())
        self.assertEqual(text.count("\n"), 1)
        self.assertEqual(json.loads(text)["target"], target)


class AccessLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timer = CoarseTimer(self.clock)
        self.timer.startService()
        self.addCleanup(self.timer.stopService)
        self.path = Path(self.mktemp())
        self.log = AccessLog(self.timer, str(self.path))
        self.log.privilegedStartService()
        self.log.startService()
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def lines(self) -> list[str]:
        """The ids in the file, in order."""
        return [json.loads(line)["id"] for line in self.path.read_text().splitlines()]

    def said(self) -> list[str]:
        """What the log of the program said."""
        return [str(event["log_format"]) for event in self.events]

    def test_soon(self) -> None:
        """A line is written within a second, and many at once without waiting."""
        self.log.write(record(), 0.0)
        self.assertEqual(self.lines(), [])
        self.clock.pump([0.5, 0.5])
        self.assertEqual(self.lines(), ["id-1"])
        for _ in range(BATCH):
            self.log.write(record(), 1.0)
        self.assertEqual(len(self.lines()), 1 + BATCH)
        self.log.stopService()

    def test_stop(self) -> None:
        """What waits is written at the end."""
        self.log.write(record(), 0.0)
        self.log.stopService()
        self.assertEqual(self.lines(), ["id-1"])

    def test_rotation(self) -> None:
        """After the file was moved away, a new one is begun."""
        self.log.write(record(), 0.0)
        self.log.expired(0.0)
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.log.open()
        self.log.write(record(request_id="id-2"), 0.0)
        self.log.stopService()
        self.assertEqual(self.lines(), ["id-2"])
        self.assertEqual(json.loads(moved.read_text())["id"], "id-1")

    def test_full_disk(self) -> None:
        """A full disk loses lines and no more; it is said once, and how many were lost."""
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(self.log, "_file", at_once=sys.maxsize) as file:
            file.write.side_effect = full
            for _ in range(3):
                self.log.write(record(), 0.0)
                self.log.expired(0.0)
        self.log.write(record(request_id="id-2"), 0.0)
        self.log.stopService()
        self.assertEqual(self.lines(), ["id-2"])
        self.assertEqual(len(self.said()), 2)
        self.assertIn("lines are lost", self.said()[0])
        self.assertEqual(self.events[1]["lost"], 3)

    def test_torn_line(self) -> None:
        """A line that was cut by a full disk does not garble the next one."""
        real = self.log._file
        assert real is not None

        def some(data: bytes) -> int | None:
            if len(data) > 20:
                return real.write(data[: len(data) - 20])
            raise OSError(errno.ENOSPC, "No space left on device")

        with mock.patch.object(self.log, "_file", at_once=sys.maxsize) as file:
            file.write.side_effect = some
            self.log.write(record(), 0.0)
            self.log.expired(0.0)
        self.log.write(record(request_id="id-2"), 0.0)
        self.log.stopService()
        torn, whole = self.path.read_text().splitlines()
        self.assertRaises(ValueError, json.loads, torn)
        self.assertEqual(json.loads(whole)["id"], "id-2")

    def piped(self) -> tuple[AccessLog, int]:
        """A log that goes to a pipe, whose other end nobody reads but the test."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        log = AccessLog(self.timer, "pipe", writing)
        log.privilegedStartService()
        log.startService()
        return log, reading

    def fill(self, log: AccessLog, lines: int) -> None:
        """Write so many lines of a kilobyte."""
        for _ in range(lines):
            log.write(record(detail="x" * 1024), 0.0)

    def read(self, reading: int) -> list[str]:
        """All lines that come, also with the next ticks."""
        data = b""
        for _ in range(200):
            try:
                data += os.read(reading, 1 << 20)
            except BlockingIOError:
                self.clock.advance(0.5)
        return data.decode().splitlines()

    def test_behind(self) -> None:
        """A reader who is behind delays no one; up to a megabyte waits, and nothing is lost."""
        log, reading = self.piped()
        self.fill(log, 6 * BATCH)
        lines = self.read(reading)
        self.assertEqual([json.loads(line)["id"] for line in lines], ["id-1"] * 6 * BATCH)
        log.stopService()
        self.assertEqual(self.said(), [])

    def test_stalled(self) -> None:
        """What is more than that is lost, and counted; no line is cut."""
        log, reading = self.piped()
        self.fill(log, 12 * BATCH)
        (told,) = self.said()
        self.assertIn("lines are lost", told)
        self.assertEqual(self.events[0]["reason"], BEHIND)
        lines = self.read(reading)
        self.assertEqual({json.loads(line)["id"] for line in lines}, {"id-1"})
        self.assertGreater(len(lines), 6 * BATCH)
        self.assertEqual(len(lines) + self.events[1]["lost"], 12 * BATCH)
        self.fill(log, 1)
        log.stopService()
        self.assertEqual(len(self.read(reading)), 1)
        self.assertEqual(len(self.said()), 2)

    def test_stalled_at_the_end(self) -> None:
        """The end does not wait for long either."""
        log, reading = self.piped()
        self.fill(log, BATCH)
        log.stopService()
        self.assertEqual(len(self.read(reading)) + self.events[1]["lost"], BATCH)
        self.assertGreater(self.events[1]["lost"], 0)

    def test_end_of_much(self) -> None:
        """At the end somebody who reads gets all of it."""
        log, reading = self.piped()
        self.fill(log, 3 * BATCH)
        os.set_blocking(reading, True)
        lines: list[bytes] = []

        def read() -> None:
            with os.fdopen(os.dup(reading), "rb") as file:
                lines.extend(file)

        reader = threading.Thread(target=read)
        reader.start()
        log.stopService()
        reader.join()
        self.assertEqual(len(lines), 3 * BATCH)
        self.assertEqual(self.said(), [])

    def test_one_line(self) -> None:
        """One line that is lost is told as one."""
        log, reading = self.piped()
        with mock.patch.object(log, "_file", at_once=sys.maxsize) as file:
            file.write.side_effect = OSError(errno.ENOSPC, "No space left on device")
            self.fill(log, 1)
            log.expired(0.0)
        self.fill(log, 1)
        log.stopService()
        self.assertEqual(formatEvent(self.events[1]), "access_log: works again; 1 line was lost")
        self.assertEqual(len(self.read(reading)), 1)

    def test_cut_twice(self) -> None:
        """A cut line is ended before the next one, however often that fails."""
        written = b""

        def some(data: bytes) -> int:
            nonlocal written
            if failing and written:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken = data[:50] if failing else data
            written += taken
            return len(taken)

        failing = True
        with mock.patch.object(self.log, "_file", at_once=sys.maxsize) as file:
            file.write.side_effect = some
            for _ in range(2):
                self.log.write(record(), 0.0)
                self.log.expired(0.0)
            failing = False
            self.log.write(record(request_id="id-2"), 0.0)
            self.log.expired(0.0)
        self.log.stopService()
        _, whole = written.decode().splitlines()
        self.assertEqual(json.loads(whole)["id"], "id-2")
        self.assertEqual(self.events[1]["lost"], 2)

    def test_not_opened(self) -> None:
        """At the start too it is told which knob is wrong."""
        log = AccessLog(self.timer, f"{self.path}/x")
        error = self.assertRaises(ConfigError, log.privilegedStartService)
        self.assertEqual(str(error), f"access_log: cannot write to {self.path}/x: Not a directory")
        self.log.stopService()

    def test_none(self) -> None:
        """Without a path nothing is kept."""
        silent = AccessLog(self.timer, None)
        silent.privilegedStartService()
        silent.startService()
        silent.write(record(), 0.0)
        silent.stopService()
        self.log.stopService()
        self.assertEqual(self.lines(), [])

    def test_shared_file(self) -> None:
        """Several processes write whole lines to one file that the first of them has opened."""
        self.log.stopService()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.addCleanup(os.close, descriptor)
        logs = [AccessLog(self.timer, str(self.path), os.dup(descriptor)) for _ in range(2)]
        for log in logs:
            log.privilegedStartService()
            log.startService()
        for number in range(4):
            logs[number % 2].write(record(request_id=f"id-{number}"), 0.0)
            logs[number % 2].expired(0.0)
        for log in logs:
            log.stopService()
        self.assertEqual(self.lines(), ["id-0", "id-1", "id-2", "id-3"])

    def test_shared_pipe(self) -> None:
        """Into a pipe that others write to as well goes what no line of theirs can cut."""
        self.log.stopService()
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        log = AccessLog(self.timer, "shared", writing)
        log.privilegedStartService()
        log.startService()
        long = "x" * select.PIPE_BUF
        for number in range(40):
            detail = long if number == 20 else ""
            log.write(record(request_id=f"id-{number}", detail=detail), 0.0)
        at_once = cast(Output, log._file).at_once
        written: list[bytes] = []

        def write(data: bytes) -> int:
            written.append(data)
            return len(data)

        with mock.patch.object(log, "_file", at_once=at_once) as file:
            file.write.side_effect = write
            log.expired(0.0)
        self.assertGreater(len(written), 2)
        self.assertEqual([piece for piece in written if not piece.endswith(b"\n")], [])
        (more,) = [piece for piece in written if len(piece) > select.PIPE_BUF]
        self.assertEqual(more.count(b"\n"), 1)
        self.assertEqual(b"".join(written).count(b"\n"), 40)
        log.stopService()

    def test_renewed(self) -> None:
        """What came before goes to the file before, and what comes after to the new one."""
        self.log.write(record(request_id="id-0"), 0.0)
        rotated = self.path.rename(f"{self.path}.1")
        self.log.renew(str(self.path))
        self.log.write(record(request_id="id-1"), 0.0)
        other = f"{self.path}.other"
        self.log.renew(other)
        self.log.write(record(request_id="id-2"), 0.0)
        self.log.stopService()
        files = [rotated, self.path, Path(other)]
        ids = [json.loads(file.read_text())["id"] for file in files]
        self.assertEqual(ids, ["id-0", "id-1", "id-2"])

    def test_renewed_to_none(self) -> None:
        """It can be turned off and on."""
        self.log.write(record(request_id="id-0"), 0.0)
        self.log.renew(None)
        self.log.write(record(request_id="id-1"), 0.0)
        self.clock.pump([0.5, 0.5])
        self.log.renew(str(self.path))
        self.log.write(record(request_id="id-2"), 0.0)
        self.log.stopService()
        self.assertEqual(self.lines(), ["id-0", "id-2"])

    def test_not_renewed(self) -> None:
        """If the new file cannot be opened, the one before is gone on with."""
        with self.assertRaises(OSError):
            self.log.renew(str(self.path / "below a file"))
        self.log.write(record(), 0.0)
        self.log.stopService()
        self.assertEqual(self.lines(), ["id-1"])

    def test_renewed_descriptors(self) -> None:
        """A descriptor that was handed over is closed with the next, so the old file can go."""
        handed = [os.open(self.path, os.O_WRONLY | os.O_APPEND) for _ in range(2)]
        for descriptor in handed:
            self.log.renew(str(self.path), descriptor)
            self.log.write(record(), 0.0)
        self.assertRaises(OSError, os.fstat, handed[0])
        os.fstat(handed[1])
        self.log.stopService()
        self.assertRaises(OSError, os.fstat, handed[1])
        self.assertEqual(self.lines(), ["id-1", "id-1"])

    def test_renewed_from_pipe(self) -> None:
        """What holds for a pipe holds no more for a file."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.log.renew("shared", writing)
        self.log.renew(str(self.path))
        for _ in range(BATCH - 1):
            self.log.write(record(), 0.0)
        at_once = cast(Output, self.log._file).at_once
        with mock.patch.object(self.log, "_file", at_once=at_once) as file:
            file.write.side_effect = len
            self.log.expired(0.0)
        self.assertEqual(file.write.call_count, 1)
        self.log.stopService()

    def test_writable(self) -> None:
        """What cannot be written to is told with the knob."""
        self.log.stopService()
        for path in (None, "-", str(self.path)):
            check_writable(path)
        wrong = f"{self.path}/access.log"
        error = self.assertRaises(ConfigError, check_writable, wrong)
        self.assertEqual(str(error), f"access_log: cannot write to {wrong}: Not a directory")
