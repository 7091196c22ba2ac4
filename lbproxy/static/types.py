"""Media types of files, the same on every machine."""

from __future__ import annotations

import os.path
from mimetypes import MimeTypes

#: What Python's own table lacks or had otherwise in some version.
_OURS = {
    ".avif": "image/avif",
    ".br": "application/octet-stream",
    ".bz2": "application/x-bzip2",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    # As text/xml with a charset it would override what the document says of itself (RFC 7303).
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}

_TYPES = {**MimeTypes(filenames=()).types_map[True], **_OURS}


def media_type(name: bytes) -> bytes:
    """The `Content-Type` of a file, by the ending of its name; text is UTF-8."""
    ending = os.path.splitext(name)[1].decode("latin-1").lower()
    found = _TYPES.get(ending, "application/octet-stream")
    if found.startswith("text/"):
        found += "; charset=utf-8"
    return found.encode()
