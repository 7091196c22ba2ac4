"""The retry table, cell by cell, and what is kept of a body."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.errors import Stage
from lbproxy.forward.retry import (
    REQUEST_LIMIT,
    MethodClass,
    ReplayMemory,
    Tee,
    may_retry,
    method_class,
)
from tests.forward.heads import request

#: As the design has it: a row for each stage, a column for each class of methods.
TABLE = """
nothing_sent       retry retry retry retry
reused_and_closed  free  free  no    free
sent               retry retry no    retry
timed_out          retry no    no    retry
gateway_status     retry retry no    retry
answered           no    no    no    no
"""


def class_of(method: bytes, lines: bytes = b"") -> MethodClass:
    """The class of a request with these field lines."""
    return method_class(request(lines, method + b" / HTTP/1.1"))


class TableTests(SynchronousTestCase):
    def test_every_cell(self) -> None:
        """Each stage and each class of methods has the design's verdict."""
        stages = set()
        for row in TABLE.split("\n")[1:-1]:
            name, *verdicts = row.split()
            stages.add(Stage(name))
            for kind, verdict in zip(MethodClass, verdicts, strict=True):
                self.assertEqual(may_retry(Stage(name), kind).value, verdict, (name, kind))
        self.assertEqual(stages, set(Stage))

    def test_classes(self) -> None:
        """Methods are what RFC 9110 says of them; an unknown one counts as POST."""
        key = b"idempotency-KEY: 1\r\n"
        for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE"):
            self.assertIs(class_of(method), MethodClass.SAFE)
        for method in (b"PUT", b"DELETE"):
            self.assertIs(class_of(method, key), MethodClass.IDEMPOTENT)
        for method in (b"POST", b"PATCH", b"BREW", b"get"):
            self.assertIs(class_of(method), MethodClass.UNSAFE)
            self.assertIs(class_of(method, key), MethodClass.UNSAFE_WITH_KEY)


class TeeTests(SynchronousTestCase):
    def test_small_body(self) -> None:
        """A small body is kept whole, and its bytes are on the account until it is released."""
        memory = ReplayMemory(1000)
        tee = Tee(memory)
        tee.append(b"ab")
        tee.append(b"c")
        self.assertEqual((tee.pieces, tee.whole, memory.free), ([b"ab", b"c"], True, 997))
        tee.release()
        tee.release()
        self.assertEqual((tee.pieces, tee.whole, memory.free), ([], False, 1000))

    def test_limit_of_a_request(self) -> None:
        """Past its limit nothing of a body is kept, and the account has all back."""
        memory = ReplayMemory()
        before = memory.free
        tee = Tee(memory)
        tee.append(b"x" * REQUEST_LIMIT)
        self.assertTrue(tee.whole)
        tee.append(b"x")
        self.assertEqual((tee.pieces, tee.whole, memory.free), ([], False, before))
        tee.append(b"x")
        self.assertEqual((tee.pieces, memory.free), ([], before))

    def test_limit_of_all(self) -> None:
        """When the account is used up, a body is not kept; the others stay as they are."""
        memory = ReplayMemory(10)
        first, second = Tee(memory), Tee(memory)
        first.append(b"12345678")
        second.append(b"abc")
        self.assertEqual((first.whole, second.whole, memory.free), (True, False, 2))
