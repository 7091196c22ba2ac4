"""From a request's path to the names of folders and a file."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from lbproxy.errors import NoRoute, RefusedRequest

#: What a path that ends with a slash stands for.
INDEX = b"index.html"

#: The only name with a leading dot that is meant to be seen (RFC 8615).
_WELL_KNOWN = b".well-known"

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

#: What separates names on some system, or ends them, must not come out of an escape.
_FORBIDDEN = re.compile(rb"[/\\\0]")


def names(path: bytes) -> list[bytes]:
    """The folders that a path leads through and the file in the last, each decoded once.

    The path is split before it is decoded, so an encoded slash is never a separator.

    Args:
        path: Begins with a slash; as it came, without the query.

    Raises:
        RefusedRequest: If a percent sign stands without its two digits (RFC 3986 section 2.1).
        NoRoute: If a name is empty, hidden, `.`, `..`, or none that a file could have.
    """
    if _BROKEN_ESCAPE.search(path):
        raise RefusedRequest("The path has a percent sign without two hex digits behind it.")
    *folders, last = (unquote_to_bytes(segment) for segment in path.split(b"/")[1:])
    found = [*folders, last or INDEX]
    if not all(map(_visible, found)):
        raise no_such_file()
    return found


def no_such_file() -> NoRoute:
    """The answer to everything that is not served: it does not tell what exists."""
    return NoRoute("There is no such file.")


def _visible(name: bytes) -> bool:
    if not name or _FORBIDDEN.search(name):
        return False
    return not name.startswith(b".") or name == _WELL_KNOWN
