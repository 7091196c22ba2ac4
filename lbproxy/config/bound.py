"""What a config binds: what of it cannot be had, whatever else is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbproxy.config.endpoint import endpoint
from lbproxy.config.kinds import Wrong
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake
from lbproxy.transport.passed import missing


def not_passed(document: dict[str, Any]) -> Iterator[Mistake]:
    """Find sockets of systemd's that this process was not given: only who is to listen can know.

    Args:
        document: What `tomllib` gave.
    """
    for path, description in _endpoints(document):
        inner = description.removeprefix("haproxy:")
        reason = missing(inner) if inner.startswith("systemd:") else None
        if reason is not None:
            yield Mistake(path, reason)


def _endpoints(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Those that are well written, each with its path."""
    listeners = document.get("listeners")
    tables: list[tuple[Path, Any]] = [(("admin",), document.get("admin"))]
    if isinstance(listeners, dict):
        tables += [(("listeners", name), each) for name, each in listeners.items()]
    for path, table in tables:
        try:
            yield (*path, "endpoint"), endpoint(table["endpoint"])
        except (Wrong, KeyError, TypeError):  # It is told elsewhere.
            continue
