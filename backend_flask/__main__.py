"""The Flask backend behind gunicorn: one worker process with threads."""

from __future__ import annotations

import ctypes
import signal
import sys
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from backend_flask.app import create_app
from ordering.command import Options, fail, listen, log_to_stdout, options_of, say_ready
from ordering.store import Store, StoreError

PROGRAM = "backend_flask"

KEEP_ALIVE = 75
"""Seconds for which an idle connection stays; longer than the balancer keeps one."""

GRACE = 20
"""Seconds for what runs when the program is asked to stop."""

_PR_SET_PDEATHSIG = 1


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's, which tells the service when it is about to stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Be asked to stop."""
        if self.app.callable is not None:
            self.app.callable.extensions["ordering"].draining = True
        super().handle_exit(sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Refuse new connections while draining; else they would hang, and be reset in the end."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, which takes its settings from here alone."""

    def __init__(self, options: Options) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        """Settle how it runs."""
        settings: dict[str, Any] = {
            "bind": f"fd://{listen(PROGRAM, self.options).detach()}",
            "worker_class": Worker,
            "workers": 1,
            "threads": self.options.threads,
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": GRACE,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_fork": end_with_parent,
            "post_worker_init": self.say_ready,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application; in the worker, for no connection to SQLite outlives a fork."""
        return create_app(self.options.url, self.options.threads)

    def say_ready(self, worker: Worker) -> None:
        """Tell that the worker takes requests."""
        api = worker.app.callable.extensions["ordering"]
        say_ready(PROGRAM, worker.sockets[0].sock, api.store)


def end_with_parent(arbiter: object, worker: object) -> None:
    """Have the kernel end the worker with its parent, so that a killed one leaves a free port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run it until it is asked to stop."""
    options = options_of(PROGRAM, "The ordering service on Flask.", 3002)
    log_to_stdout(PROGRAM)
    try:
        Store(options.url, 1).close()
    except StoreError as error:
        fail(PROGRAM, str(error))
    Server(options).run()


if __name__ == "__main__":
    main()
