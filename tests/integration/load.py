"""Clients that keep a balancer busy."""

from __future__ import annotations

import threading

from tests.integration.group import ASK, answer, until
from tests.integration.origin import Balancer, Wire


class Load:
    """Clients that ask again and again, each on a connection that it keeps.

    Attributes:
        lost: How often each of them found its connection ended.
        refused: What else went wrong.
    """

    def __init__(self, of: Balancer, count: int) -> None:
        self._balancer = of
        self._over = threading.Event()
        self.answered = [0] * count
        self.lost = [0] * count
        self.refused: list[object] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(count)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_progress(self) -> None:
        """Wait until each client has had an answer from now on."""
        before = list(self.answered)
        until(lambda: all(now > then for now, then in zip(self.answered, before, strict=True)))

    def _run(self, number: int) -> None:
        while not self._over.is_set():
            try:
                wire = self._balancer.connect()
            except OSError as error:
                self.refused.append(error)
                return
            with wire.socket:
                self._ask(number, wire)

    def _ask(self, number: int, wire: Wire) -> None:
        while not self._over.is_set():
            try:
                wire.send(ASK)
                told = answer(wire)
            except OSError:
                told = b""
            if not told:
                self.lost[number] += 1
                return
            if not told.endswith(b"ok"):
                self.refused.append(told)
            self.answered[number] += 1
