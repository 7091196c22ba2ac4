"""The documents that tell a client what went wrong."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import HeadTooLarge, MethodNotAllowed, NoBackend, ProxyError
from lbproxy.forward.problem import prefers_html, problem


class ProblemTests(SynchronousTestCase):
    def test_document(self) -> None:
        """JSON as RFC 9457 has it, with the reason's code, the request's id and the knob."""
        error = HeadTooLarge("The head is longer than 9 bytes.", knob="listeners.web.limits.head")
        fields, body = problem(error, "id-1", {})
        self.assertEqual(dict(fields)[b"Content-Type"], b"application/problem+json")
        self.assertEqual(dict(fields)[b"Cache-Control"], b"no-store")
        self.assertEqual(
            json.loads(body),
            {
                "type": "about:blank",
                "title": "Request Header Fields Too Large",
                "status": 431,
                "detail": "The head is longer than 9 bytes (listeners.web.limits.head).",
                "reason": "head_too_large",
                "requestId": "id-1",
            },
        )

    def test_retry_after(self) -> None:
        """What passes by says when to come again."""
        fields, _ = problem(NoBackend("Nobody.", retry_after=7), "id-1", {})
        self.assertEqual(dict(fields)[b"Retry-After"], b"7")

    def test_allow(self) -> None:
        """405 lists the methods that are allowed (RFC 9110 section 15.5.6)."""
        fields, _ = problem(MethodNotAllowed("Read only.", "GET, HEAD"), "id-1", {})
        self.assertEqual(dict(fields)[b"Allow"], b"GET, HEAD")

    def test_page(self) -> None:
        """People get HTML, in which nothing of the detail is markup."""
        values = {b"accept": [b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"]}
        fields, body = problem(ProxyError("<script>&"), "id-1", values)
        self.assertEqual(dict(fields)[b"Content-Type"], b"text/html; charset=utf-8")
        self.assertIn(b"&lt;script&gt;&amp;", body)
        self.assertNotIn(b"<script>", body)
        self.assertIn(b"id-1", body)

    def test_prefers_html(self) -> None:
        """Only who names HTML before JSON and before anything prefers it."""
        for accept, html in (
            ([], False),
            ([b"*/*"], False),
            ([b"text/html"], True),
            ([b"application/json, text/html"], False),
            ([b"image/png", b"TEXT/HTML;q=0.9, */*"], True),
            ([b"application/problem+json"], False),
        ):
            values = {b"accept": accept} if accept else {}
            self.assertEqual(prefers_html(values), html, accept)
