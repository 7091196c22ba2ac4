"""Clients that keep a balancer busy."""

from __future__ import annotations

from tests.integration.crowd import Crowd
from tests.integration.group import ASK, answer
from tests.integration.origin import Balancer, Wire


class Load(Crowd):
    """Clients that ask again and again, each on a connection that it keeps.

    Attributes:
        lost: How often each of them found its connection ended.
        refused: What else went wrong.
    """

    def __init__(self, of: Balancer, count: int) -> None:
        super().__init__(count)
        self._balancer = of
        self.lost = [0] * count
        self.refused: list[object] = []

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
            self.asked[number] += 1
