"""What the admin listener answers with: JSON, and problem documents (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from lbproxy.errors import AdminError


def whole(request: Any, kind: str, body: bytes) -> bytes:
    """An answer whose length is known, and which nobody keeps."""
    request.setHeader("Content-Type", kind)
    request.setHeader("Content-Length", str(len(body)))
    request.setHeader("Cache-Control", "no-store")
    return body


def document(request: Any, value: Any, kind: str = "application/json") -> bytes:
    """A JSON document."""
    return whole(request, kind, (json.dumps(value, indent=2) + "\n").encode())


def problem(request: Any, error: AdminError) -> bytes:
    """Why it is not done."""
    request.setResponseCode(error.status)
    told = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
        "reason": error.reason,
    }
    return document(request, told, "application/problem+json")
