"""What the access log says of a session."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.observe.accesslog import Attempt
from lbproxy.observe.session import SessionRecord


class SessionRecordTests(SynchronousTestCase):
    def test_line(self) -> None:
        """Who, from where, where to, how much and how long."""
        record = SessionRecord(1.25, "192.0.2.7", "db")
        record.pool, record.server_name, record.queued = "db", 'a"b', 0.5
        record.bytes_in, record.bytes_out = 1, 2
        attempt = Attempt("one", 1.25)
        attempt.outcome, attempt.connected = "connected", 0.25
        record.attempts.append(attempt)
        self.assertEqual(
            json.loads(record.line(4.25)),
            {
                "time": "1970-01-01T00:00:01.250000Z",
                "kind": "session",
                "client": "192.0.2.7",
                "listener": "db",
                "reason": "ended",
                "server_name": 'a"b',
                "pool": "db",
                "attempts": [{"backend": "one", "outcome": "connected", "connect": 0.25}],
                "bytes_in": 1,
                "bytes_out": 2,
                "seconds": {"queue": 0.5, "total": 3.0},
            },
        )

    def test_nowhere(self) -> None:
        """A session that went nowhere says why, and names no pool."""
        record = SessionRecord(0.0, "192.0.2.7", "db")
        record.reason, record.detail = "bad_preface", "It is malformed."
        said = json.loads(record.line(1.0))
        self.assertEqual((said["reason"], said["detail"]), ("bad_preface", "It is malformed."))
        self.assertNotIn("pool", said)
