"""What policies are told of requests and of their attempts."""

from __future__ import annotations

from typing import Any

from lbproxy.config import model
from lbproxy.transport.timer import RESOLUTION
from tests.proxy.test_stream import SessionCase
from tests.proxy.wires import OK, BalancerCase


def watch(case: BalancerCase) -> list[tuple[str, float, bool]]:
    """Have the pool's policy tell whatever it observes: backend, seconds, whether it failed."""
    told: list[tuple[str, float, bool]] = []
    policy: Any = case.pool._balancer
    observe = policy.observe

    def told_too(backend: Any, seconds: float, failed: bool, now: float) -> None:
        told.append((backend.name, round(seconds, 3), failed))
        observe(backend, seconds, failed, now)

    policy.observe = told_too
    return told


class HashTests(BalancerCase):
    def served_by(self, lines: bytes) -> str:
        """Who gets a request with these field lines."""
        client = self.client(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n%b\r\n" % lines)
        (name,) = self.dialled
        self.accept().give(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertTrue(client.take().startswith(b"HTTP/1.1 200"))
        client.close()
        return name

    def test_header(self) -> None:
        """Each key has its backend, and there are several; the log says which."""
        self.start("a", "b", "c", balancer="consistent_hash", hash=model.Hash("header:X-Tenant"))
        found = {
            tenant: {self.served_by(b"X-Tenant: %d\r\n" % tenant) for _ in range(3)}
            for tenant in range(20)
        }
        self.assertEqual({len(names) for names in found.values()}, {1})
        self.assertEqual({name for names in found.values() for name in names}, set("abc"))

    def test_missing(self) -> None:
        """Requests without the key go to all."""
        self.start("a", "b", "c", balancer="consistent_hash", hash=model.Hash("cookie:id"))
        self.assertEqual({self.served_by(b"") for _ in range(50)}, set("abc"))

    def test_client(self) -> None:
        """By default the key is the client's address, also of a head that has come before."""
        self.start("a", "b", "c", balancer="consistent_hash")
        self.assertEqual(len({self.served_by(b"") for _ in range(10)}), 1)

    def test_retry(self) -> None:
        """A key whose backend refuses goes to the next in its order, each time to the same."""
        self.start("a", "b", "c", balancer="consistent_hash", ejection=False)
        seconds = set()
        for _ in range(5):
            client = self.client(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
            (first,) = self.dialled
            self.refuse()
            (second,) = self.dialled
            seconds.add((first, second))
            self.accept().give(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            client.close()
        self.assertEqual(len(seconds), 1)


class LatencyTests(BalancerCase):
    def setUp(self) -> None:
        self.start("a", balancer="peak_ewma")
        self.told = watch(self)

    def test_answer(self) -> None:
        """A latency is the time to the answer's head, however long its body takes."""
        self.client(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        backend = self.accept()
        self.reactor.advance(0.25)
        backend.give(OK[:-1])
        self.reactor.advance(5.0)
        backend.give(OK[-1:])
        self.assertEqual(self.told, [("a", 0.25, False)])

    def test_slow_client(self) -> None:
        """The time that the client takes to send its body is not the backend's."""
        client = self.client(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nh")
        backend = self.accept()
        self.reactor.advance(5.0)
        client.give(b"i")
        self.reactor.advance(0.25)
        backend.give(OK)
        self.assertEqual(self.told, [("a", 0.25, False)])

    def test_early_answer(self) -> None:
        """Of an answer before the request's end nothing is known."""
        self.client(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nh")
        self.reactor.advance(5.0)
        self.accept().give(OK)
        self.assertEqual(self.told, [])

    def test_failures(self) -> None:
        """What breaks an attempt is a failure, and so is an answer of a gateway that has nobody."""
        self.client(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        self.refuse()
        self.client(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        self.accept().give(OK.replace(b"200 OK", b"503 No"))
        self.assertEqual(self.told, [("a", 0.0, True), ("a", 0.0, True)])

    def test_outrun(self) -> None:
        """Who hangs, and is outrun each time, is heard of all the same."""
        self.start("a", "b", balancer="peak_ewma", hedge=model.Hedge(0.2, 1.0))
        told = watch(self)
        self.client(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        (first,) = self.dialled
        self.accept()
        self.reactor.advance(0.2)
        (second,) = self.dialled
        backend = self.accept()
        self.reactor.advance(0.1)
        backend.give(OK)
        self.assertEqual(told, [(first, 0.3, False), (second, 0.1, False)])


class SessionPolicyTests(SessionCase):
    def test_connection(self) -> None:
        """In TCP mode a latency is that of the connection."""
        self.start("a", balancer="peak_ewma")
        told = watch(self)
        self.session()
        self.reactor.advance(RESOLUTION)
        self.accept()
        self.assertEqual(told, [("a", RESOLUTION, False)])

    def test_client(self) -> None:
        """The sessions of one client go to one backend, while that does not have too many."""
        self.start("a", "b", "c", balancer="consistent_hash", hash=model.Hash(load_factor=100.0))
        for _ in range(5):
            self.session()
        self.assertEqual(len(set(self.dialled)), 1)
