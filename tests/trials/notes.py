"""A Flask application that counts what is written to it, so that nothing can be done twice unseen.

gunicorn runs it as `tests.trials.notes:app`, in one process with threads.
"""

from __future__ import annotations

import threading
from collections import Counter

from flask import Flask

app = Flask(__name__)

_written: Counter[str] = Counter()
_lock = threading.Lock()


@app.get("/")
def look() -> str:
    """Answer."""
    return "ok"


@app.post("/<name>")
def write(name: str) -> str:
    """Write a note."""
    with _lock:
        _written[name] += 1
    return "ok"


@app.get("/written")
def written() -> dict[str, int]:
    """How often each note was written."""
    with _lock:
        return dict(_written)
