"""Clients that ask again and again, each on a thread of its own, until the test has seen enough."""

from __future__ import annotations

import threading
from typing import Self

from tests.integration.group import until


class Crowd:
    """So many clients; what one does is for the subclass, in `_run`.

    Attributes:
        asked: How many answers each has had.
    """

    def __init__(self, count: int) -> None:
        self._over = threading.Event()
        self.asked = [0] * count
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(count)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_progress(self) -> None:
        """Wait until each has been answered once more."""
        before = list(self.asked)
        until(lambda: all(now > then for now, then in zip(self.asked, before, strict=True)))

    def _run(self, number: int) -> None:
        """Ask until it is over."""
        raise NotImplementedError
