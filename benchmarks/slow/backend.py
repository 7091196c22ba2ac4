"""A Flask application that takes some milliseconds for each request, and longer when told to.

gunicorn runs it as `benchmarks.slow.backend:app`, in one process with threads.
"""

from __future__ import annotations

import time

from flask import Flask, request

#: Seconds that a request waits for what would be a database.
WORK = 0.02

app = Flask(__name__)
app.config["SLOWER"] = 0.0


@app.get("/health")
def health() -> str:
    """Answer at once: probes do not see that it is slow."""
    return "ok"


@app.get("/work/<path:what>")
def work(what: str) -> dict[str, str]:
    """Work."""
    time.sleep(WORK + app.config["SLOWER"])
    return {"done": what}


@app.post("/slower")
def slower() -> str:
    """Take so many `seconds` longer for each request from now on."""
    app.config["SLOWER"] = float(request.args["seconds"])
    return "ok"
