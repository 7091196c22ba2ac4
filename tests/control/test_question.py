"""What is posted to the admin listener."""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.control import question
from lbproxy.control.overrides import Note
from lbproxy.control.question import Keys, Question
from lbproxy.errors import BadQuestion


class Request:
    """As much of one as is read."""

    def __init__(self, body: bytes, kind: str | None) -> None:
        self.content = io.BytesIO(body)
        self._kind = kind

    def getHeader(self, name: str) -> str | None:
        return self._kind


class ReadTests(SynchronousTestCase):
    def read(
        self, said: Any, keys: Keys = question.WEIGHT, kind: str | None = "application/json"
    ) -> Question:
        """Read a body, which is made from a value unless it is bytes."""
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return question.read(Request(body, kind), keys)

    def refused(self, *arguments: Any, **more: Any) -> tuple[int, str]:
        """The status, and what is said."""
        error = self.assertRaises(BadQuestion, self.read, *arguments, **more)
        return error.status, str(error)

    def test_whole(self) -> None:
        """All that can be said."""
        said = {"backend": "a", "pool": "api", "author": "ann", "reason": "why", "for": 60}
        note = Note("ann", "why", 60.0)
        self.assertEqual(self.read(said, question.FOR_A_WHILE), Question("a", "api", note))
        said["weight"] = 7
        kind = "Application/JSON; charset=utf-8"
        self.assertEqual(self.read(said, kind=kind), Question("a", "api", note, 7))

    def test_least(self) -> None:
        """All that must be said."""
        least = {"backend": "a", "author": "ann"}
        asked = Question("a", None, Note("ann"))
        self.assertEqual(self.read(least, question.BASE), asked)
        self.assertEqual(self.read({**least, "weight": None, "reason": ""}), asked)
        for key in ("backend", "author", "weight"):
            said = {"backend": "a", "author": "ann", "weight": 1}
            del said[key]
            self.assertEqual(self.refused(said), (400, f"{key}: is missing"))

    def test_no_json(self) -> None:
        """What is no JSON object, or does not say that it is JSON, or is far too long."""
        for body in (b"", b"{", b"[]", b"\xff", b"[" * 10000, b"1" * 10000, b'{"a":' * 3000):
            self.assertEqual(self.refused(body), (400, "the body must be a JSON object"), body[:9])
        self.assertEqual(self.refused(b" " * (question.LIMIT + 1))[0], 413)
        for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            self.assertEqual(self.refused({}, kind=kind)[0], 415)

    def test_wrong(self) -> None:
        """What one key says is wrong."""
        for key, value, told in (
            ("backend", 3, "expected a string, found 3"),
            ("author", "a\nb", 'expected a string, found "a\\nb"'),
            ("author", "\ud800", None),
            ("reason", "x" * 201, "is longer than 200 characters"),
            ("for", 0, "expected seconds above 0, a year at most, found 0"),
            ("for", float("nan"), None),
            ("for", True, None),
            ("weight", 1001, "expected a whole number from 0 to 1000, found 1001; null is the"),
            ("weight", 1.5, None),
            ("pool", None, "expected a string, found null"),
        ):
            said = {"backend": "a", "author": "ann", "weight": 1, key: value}
            status, detail = self.refused(said)
            self.assertEqual(status, 400)
            self.assertTrue(detail.startswith(f"{key}: {told or 'expected'}"), detail)

    def test_unknown(self) -> None:
        """A key that there is not, or not here."""
        self.assertEqual(self.refused({"authr": 1})[1], "authr: unknown key; did you mean author?")
        said = {"backend": "a", "author": "ann", "weight": 1}
        told = "weight: unknown key; known are backend, pool, author, reason"
        self.assertEqual(self.refused(said, question.BASE)[1], told)
