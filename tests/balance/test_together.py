"""What is done when all fail alike, and when none is well, in every pool of one, two and three.

`test_guard.py` beside this has who is chosen and who is put out while each fails for himself.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance.backend import Backend
from lbproxy.balance.outage import is_shut
from lbproxy.balance.pool import Pool
from lbproxy.errors import (
    ConnectFailed,
    FirstByteTimeout,
    GatewayStatus,
    UpstreamClosed,
    UpstreamError,
)
from lbproxy.health.alike import EACH, FRESH
from lbproxy.health.ejection import IN_ROW
from lbproxy.health.outcome import ProbeOutcome
from tests.balance.test_guard import pool_of

NOBODY: frozenset[Backend] = frozenset()

#: The ways in which attempts fail, by a letter: no connection, one that breaks off, silence, 503.
ERRORS: dict[str, UpstreamError] = {
    "c": ConnectFailed("refused"),
    "b": UpstreamClosed("gone"),
    "s": FirstByteTimeout("late"),
    "i": GatewayStatus("503"),
}

#: How they are told of.
WORDS = {
    "-": "",
    "c": "cannot be reached",
    "b": "break connections off",
    "s": "do not answer in time",
    "i": "answer 5xx",
}

#: When all is looked at, and when that was done which is too old by then.
NOW = 100.0
BEFORE = NOW - FRESH - 1.0

#: What backends have done: nothing, failed `EACH` times in a row in one of the ways, failed once
#: or long ago, or answered well since. Others are down, or have no weight, and so do not count.
COURSES = ("-", *ERRORS, "b1", "b!", "b+", "d", "u0")

#: The pool; how all fail, if they do; and who is put out if he then breaks off again and again, as
#: the only one.
ALIKE = """
b         -  -     one alone shares nothing with anybody, and is the last one
b b       b  -     all break off: nobody is put out, and nothing is tried elsewhere
b1 b      -  -     one failure is enough for the former, and not for the latter
b1 b1     -  -
b! b      -  2     what was ten seconds ago is over
b+ b      -  2     and so is what a good answer has ended
c c       c  12    the other one fails in another way, so this one is to blame
s s       s  12
i i       i  12
c b       -  2
- b       -  2
b d       -  -     who is not there does not count
b u0      -  -
b b d     b  -
b b b     b  -
b b b1    -  -
b b c     -  12
b b -     -  12
b c i     -  123
"""


def fail(pool: Pool, backend: Backend, how: str, now: float) -> None:
    """An attempt at a backend fails in one of the ways."""
    error = ERRORS[how]
    if isinstance(error, GatewayStatus):
        pool.answered(backend, 503, now)
    else:
        pool.failed(backend, error, now)


def after(written: str) -> Pool:
    """A pool whose backends have done what is written."""
    courses = written.split()
    pool = pool_of(" ".join(each if each in ("d", "u0") else "u" for each in courses))
    did = sorted(zip(courses, pool.backends, strict=True), key=lambda pair: "!" not in pair[0])
    for course, backend in did:
        if course[0] in ERRORS:
            for _ in range(1 if "1" in course else EACH):
                fail(pool, backend, course[0], BEFORE if "!" in course else NOW)
        if "+" in course:
            pool.answered(backend, 200, NOW)
        if course == "d":
            backend.last_probe = ProbeOutcome(False, 0.1, "answered 500", True, NOW)
    return pool


def shared(pool: Pool) -> str:
    """The way in which all fail, by its letter."""
    return "".join(how for how, error in ERRORS.items() if pool.fails_alike(error, NOW)) or "-"


def put_out(written: str, how: str) -> str:
    """Who is put out if he alone goes on to fail in a way."""
    out = ""
    for place in range(len(written.split())):
        pool = after(written)
        backend = pool.backends[place]
        before = backend.state
        for _ in range(IN_ROW + 1):
            fail(pool, backend, how, NOW)
        out += str(place + 1) if backend.state is not before else ""
    return out or "-"


def every(kinds: tuple[str, ...]) -> Iterator[str]:
    """All pools of one, two and three of these."""
    for size in (1, 2, 3):
        yield from map(" ".join, product(kinds, repeat=size))


class AlikeTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Each row of the table is so."""
        for row in ALIKE.splitlines()[1:]:
            written, (how, out, *_) = row[:10].strip(), row[10:].split()
            self.assertEqual((shared(after(written)), put_out(written, "b")), (how, out), written)

    def test_every_pool(self) -> None:
        """And so are the rules behind it, in each of the 1,110 pools there are.

        - All fail alike if there are two at least who may be chosen, and each of them has failed
          three times in a row in the same way, within ten seconds.
        - Or two at least have a weight, and all of those are down, accept connections and failed
          their last probe: that is told in the same place, but nothing is tried then anyway.
        - Who fails again and again is put out, unless nobody else may be chosen, or each of the
          others has last failed in the same way, within ten seconds.
        """
        count = 0
        for written in every(COURSES):
            count += 1
            able = [
                (place, course)
                for place, course in enumerate(written.split(), start=1)
                if course not in ("d", "u0")
            ]
            ways = {course for _, course in able}
            alike = len(able) > 1 and len(ways) == 1 and ways <= set(ERRORS)
            how = ways.pop() if alike else "-"
            words = WORDS[how]
            if not able and written.count("d") > 1:
                words = "accept connections and fail their probes"
            pool = after(written)
            self.assertEqual((shared(pool), pool.alike(NOW)), (how, words), written)
            for how in ERRORS:
                out = ""
                for place, _ in able:
                    others = [course for other, course in able if other != place]
                    if any(course not in (how, f"{how}1") for course in others):
                        out += str(place)
                self.assertEqual(put_out(written, how), out or "-", f"{written}, then {how}")
        self.assertEqual(count, 10 + 10**2 + 10**3)

    def test_one_good_answer(self) -> None:
        """Whoever it is that answers well, they do not fail alike any more."""
        for size, how in product((2, 3), ERRORS):
            for place in range(size):
                pool = after(" ".join(how * size))
                self.assertEqual(shared(pool), how)
                pool.answered(pool.backends[place], 200, NOW)
                self.assertEqual(shared(pool), "-")

    def test_nobody_is_put_out(self) -> None:
        """However often and in whatever turn all fail in the same way, all stay."""
        for size, how in product((1, 2, 3), ERRORS):
            pool = pool_of(" ".join("u" * size))
            for turn in range(4 * IN_ROW):
                for backend in pool.backends[turn % size :] + pool.backends[: turn % size]:
                    fail(pool, backend, how, NOW)
            self.assertTrue(all(backend.available for backend in pool.backends))


#: How a backend stands: up, not probed yet, down or ejected, with a port that accepts; or with one
#: that does not, as capitals. Behind it `0` is no weight, `f` that it has no room, `b` a backup.
STANDINGS = ("u", "?", "d", "D", "e", "E")

#: The pool; who gets requests, with `!` if that is the last resort; and whether all are shut, so
#: that requests may be held.
NONE_WELL = """
d         1!   open
e         1!   open    what live traffic met may be over
D         -    shut
E         -    shut
df        -    open    who counts as ill is not given more than who is well
d d       12!  open
d e       12!  open
d D       1!   open
D E       -    shut
d df      1!   open
d u0      1!   open    no weight, no requests
D u0      -    shut
d u       2    open    somebody is well
d uf      -    open    somebody is, and has no room: to wait for that is better
d db      12!  open    as the last resort all are alike
D D d     3!   open
D E D     -    shut
d e d     123! open
"""


def standing(written: str) -> Pool:
    """The pool that is written so."""
    letters = written.split()
    lower = [each.lower().replace("f", "") for each in letters]
    pool = pool_of(" ".join(lower))
    for backend, each in zip(pool.backends, letters, strict=True):
        backend.reached = each[0].islower() or each[0] == "?"
        for _ in range(backend.limit if "f" in each else 0):
            pool.acquire(backend)
    return pool


def asked(pool: Pool) -> str:
    """Who gets the next requests."""
    found = {pool.choose(NOBODY, 1.0) for _ in range(6)}
    places = [str(place) for place, each in enumerate(pool.backends, 1) if each in found]
    return "".join(places) + "!" * bool(pool.degraded and places) or "-"


class NoneHealthyTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Each row of the table is so."""
        for row in NONE_WELL.splitlines()[1:]:
            written, (who, shut, *_) = row[:10].strip(), row[10:].split()
            pool = standing(written)
            self.assertEqual(asked(pool), who, written)
            self.assertEqual("shut" if is_shut(pool) else "open", shut, written)

    def test_every_pool(self) -> None:
        """And so are the rules behind it, in each of the 14,424 pools there are.

        - While anybody may be chosen, nobody is the last resort, and if none of those has room,
          that is waited for.
        - Else those are whose port accepts, who have a weight, and room; and each request is tried
          once.
        """
        kinds = tuple("".join(parts) for parts in product(STANDINGS, ("", "0", "f", "b")))
        count = 0
        for written in every(kinds):
            count += 1
            pool = standing(written)
            letters = list(enumerate(written.split(), start=1))
            weighty = [(place, each) for place, each in letters if "0" not in each]
            able = [(place, each) for place, each in weighty if each[0] in "u?"]
            who = asked(pool)
            named = {int(place) for place in who if place.isdigit()}
            full = bool(able) and all("f" in each for _, each in able)
            self.assertIs(pool.saturated(NOBODY), full, written)
            if able:
                roomy = {place for place, each in able if "f" not in each}
                self.assertLessEqual(named, roomy, written)
                self.assertEqual(bool(named), bool(roomy), written)
                self.assertFalse(pool.degraded, written)
                continue
            open_ones = [(place, each) for place, each in weighty if each[0] in "de"]
            resort = {place for place, each in open_ones if "f" not in each}
            self.assertEqual(named, resort, written)
            self.assertTrue(pool.degraded, written)
            self.assertIs(is_shut(pool), not open_ones, written)
            for place in resort:
                self.assertIsNone(pool.choose({pool.backends[place - 1]}, 1.0), written)
        self.assertEqual(count, 24 + 24**2 + 24**3)
