"""Errors that the balancer makes itself, as RFC 9457 problem documents, or HTML for people."""

from __future__ import annotations

import json
from html import escape

from lbproxy.errors import MethodNotAllowed, ProxyError, Unavailable
from lbproxy.http1.message import Fields, Values, members
from lbproxy.http1.serialize import reason_phrase

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{status} {title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;margin:12vh auto;max-width:34rem;padding:0 1rem}}
code{{font-size:.9em}}</style>
<h1>{title}</h1>
<p>{detail}</p>
<p><code>{status} {reason}</code>, request <code>{request_id}</code></p>
</html>
"""


def prefers_html(values: Values) -> bool:
    """Whether a client asks for HTML before JSON (RFC 9110 section 12.5.1), as browsers do."""
    for member in members(values, b"accept"):
        media = member.partition(b";")[0].strip()
        if media in (b"text/html", b"application/xhtml+xml"):
            return True
        if media in (b"application/json", b"application/problem+json", b"*/*"):
            return False
    return False


def problem(error: ProxyError, request_id: str, values: Values) -> tuple[Fields, bytes]:
    """The document that tells a client what went wrong.

    Args:
        error: What went wrong; its `knob` names the limit to change, if there is one.
        request_id: As in the log.
        values: The request's fields by lower-case name; none if it could not be read.

    Returns:
        Its fields, `Content-Length` not among them, and the body.
    """
    title = reason_phrase(error.status).decode()
    detail = error.detail or title
    if error.knob is not None:
        detail = f"{detail.rstrip('.')} ({error.knob})."
    if prefers_html(values):
        media = b"text/html; charset=utf-8"
        body = _PAGE.format(
            status=error.status,
            title=title,
            detail=escape(detail),
            reason=error.reason,
            request_id=request_id,
        )
    else:
        media = b"application/problem+json"
        document = {
            "type": "about:blank",
            "title": title,
            "status": error.status,
            "detail": detail,
            "reason": error.reason,
            "requestId": request_id,
        }
        body = json.dumps(document) + "\n"
    fields: Fields = [(b"Content-Type", media), (b"Cache-Control", b"no-store")]
    if isinstance(error, Unavailable):
        fields.append((b"Retry-After", b"%d" % error.retry_after))
    if isinstance(error, MethodNotAllowed):
        fields.append((b"Allow", error.allow.encode()))
    return fields, body.encode()
