"""Who may be chosen, and who may be put out, in every pool of one, two and three backends.

A backend is written as a letter: `u` up, `?` not probed yet, `e` ejected, `d` down by its probes
while its port accepts connections, `x` down and its port refuses. Behind it may stand `0`, a weight
of nought, and `b`, a backup.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.backend import Backend
from lbproxy.balance.outage import is_shut
from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.standing import Standing, State
from lbproxy.config import model
from lbproxy.errors import UpstreamClosed
from lbproxy.health.ejection import IN_ROW

NOBODY: frozenset[Backend] = frozenset()

STATES = {
    "u": (State.UP, True),
    "?": (State.UNKNOWN, True),
    "e": (State.EJECTED, True),
    "d": (State.DOWN, True),
    "x": (State.DOWN, False),
}

#: The pool; which places may get a request, with `!` if that is the last resort, which is said in
#: the log; and which may be put out for what live traffic shows.
SPECIFICATION = """
u      1    -       one alone is never put out
?      1    -
e      1!   -
d      1!   -       its probes may be wrong: one attempt shows it
x      -    -       nobody listens there: 503 with Retry-After at once

u u    12   12      whichever fails first; then the other one stays
u ?    12   12
? ?    12   12
u e    1    -       the last one stays, however it fails
u d    1    -
u x    1    -
? e    1    -
? d    1    -
? x    1    -
e e    12!  -
e d    12!  -
e x    1!   -
d d    12!  -
d x    1!   -
x x    -    -

u u u  123  123
u u e  12   12      two are left, so one of them may still go
u u d  12   12
u u x  12   12
u e d  1    -
e d x  12!  -
d d d  123! -
x x x  -    -

u0     -    -       no weight, no requests: not even as the last resort
d0     -    -
u0 u   2    -       it cannot take the other one's place
u0 d   2!   -
u0 x   -    -
u0 u u 23   23

u ub   1    12      a backup can take the place of the last one of the first tier
d ub   2    -
d db   12!  -       as the last resort all are alike
x db   2!   -
u0 ub  2    -
e u ub 23   23      half of the first tier is gone: the backup has a part
"""


def pool_of(letters: str) -> Pool:
    """The pool that is written so."""
    written = letters.split()
    backends = tuple(
        model.Backend("abc"[place], f"h:{place + 1}", "0" not in each, backup="b" in each)
        for place, each in enumerate(written)
    )
    pool = Pool(model.Pool("api", backends, slow_start=0.0), RoundRobin(), 0.0)
    for backend, each in zip(pool.backends, written, strict=True):
        state, reached = STATES[each[0]]
        given = backend.config.weight
        pool.learn(backend, Standing(state, "", 0.0, 99.0, False, reached, None, given), 0.0)
    return pool


def places(pool: Pool, backends: set[Backend]) -> str:
    """Backends by their places, from 1."""
    return "".join(
        str(place) for place, each in enumerate(pool.backends, start=1) if each in backends
    )


def chosen(letters: str) -> str:
    """Who gets the next requests, as the second column has it."""
    pool = pool_of(letters)
    found = set()
    for _ in range(12):
        backend = pool.choose(NOBODY, 1.0)
        if backend is not None:
            found.add(backend)
    return places(pool, found) + ("!" if pool.degraded and found else "") or "-"


def put_out(letters: str) -> str:
    """Who is put out if he alone fails, as the third column has it."""
    out = ""
    for place in range(len(letters.split())):
        pool = pool_of(letters)
        backend = pool.backends[place]
        before = backend.state
        for _ in range(IN_ROW + 1):
            pool.failed(backend, UpstreamClosed("gone"), 1.0)
        out += str(place + 1) if backend.state is not before else ""
    return out or "-"


def every_pool() -> Iterator[str]:
    """All pools of one, two and three backends."""
    kinds = ["".join(parts) for parts in product(STATES, ("", "0"), ("", "b"))]
    for size in (1, 2, 3):
        yield from map(" ".join, product(kinds, repeat=size))


class SpecificationTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Each row of the table is so."""
        rows = [[row[:7].strip(), *row[7:].split()] for row in SPECIFICATION.splitlines() if row]
        self.assertGreater(len(rows), 30)
        for letters, who, out, *_ in rows:
            self.assertEqual((chosen(letters), put_out(letters)), (who, out), letters)

    def test_every_pool(self) -> None:
        """And so are the rules behind it, in each of the 8,420 pools there are.

        - A backend is able if it is up or not probed yet, and has a weight.
        - If any is able, only such are chosen: all of the first tier, or the backups if there is
          none, or both while the first tier is not whole.
        - If none is, those with a weight whose port accepts are, and that is marked.
        - Who is able is put out if he alone fails, unless he is the last one who is able.
        """
        count = 0
        for letters in every_pool():
            count += 1
            written = list(enumerate(letters.split(), start=1))
            weighty = [(place, each) for place, each in written if "0" not in each]
            able = [place for place, each in weighty if each[0] in "u?"]
            open_ones = [place for place, each in weighty if each[0] != "x"]
            first = [place for place, each in weighty if "b" not in each]
            who = chosen(letters)
            named = {int(place) for place in who if place.isdigit()}
            if able:
                self.assertLessEqual(named, set(able), letters)
                self.assertNotIn("!", who, letters)
                tier = set(first) & set(able) or set(able)
                self.assertLessEqual(tier, named, letters)
                if set(first) <= set(able) and first:
                    self.assertEqual(named, set(first), letters)
            else:
                self.assertEqual(named, set(open_ones), letters)
                self.assertEqual("!" in who, bool(open_ones), letters)
            expected = "".join(map(str, able)) if len(able) > 1 else ""
            self.assertEqual(put_out(letters), expected or "-", letters)
        self.assertEqual(count, 20 + 20**2 + 20**3)

    def test_until_one_is_left(self) -> None:
        """Whatever the order in which they fail, each pool keeps one that is able."""
        for letters in every_pool():
            pool = pool_of(letters)
            able = [backend for backend in pool.backends if backend.available]
            for backend in able:
                pool.eject(backend, 1.0)
            left = [backend for backend in pool.backends if backend.available]
            self.assertEqual(left, able[-1:], letters)

    def test_one_attempt(self) -> None:
        """The last resort is one attempt, and not beyond what a backend takes at a time."""
        pool = pool_of("d d")
        first = pool.choose(NOBODY, 1.0)
        assert first is not None
        self.assertIsNone(pool.choose({first}, 1.0))
        first.in_flight = pool.config.max_in_flight
        for _ in range(3):
            self.assertIsNot(pool.choose(NOBODY, 1.0), first)

    def test_shut(self) -> None:
        """Requests are held when nobody who could be chosen accepts connections."""
        for letters, shut in (("x", True), ("u", False), ("x x", True), ("d x", False)):
            self.assertEqual(is_shut(pool_of(letters)), shut, letters)
        pool = pool_of("u d")
        pool.backends[0].reached = False
        self.assertTrue(is_shut(pool))  # The last resort is for when nobody is able.
