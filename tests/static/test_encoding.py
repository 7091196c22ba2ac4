"""Tests of the choice of a coding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.static.encoding import IDENTITY, choose

BOTH = (b"br", b"gzip")


class ChooseTests(SynchronousTestCase):
    """What a client gets by its `Accept-Encoding`."""

    def check(
        self, value: bytes, expected: bytes | None, codings: tuple[bytes, ...] = BOTH
    ) -> None:
        """Choose for one field line."""
        self.assertEqual(choose([value], codings), expected, value)

    def test_absent(self) -> None:
        """Who does not ask for a coding gets the original."""
        self.assertEqual(choose(None, BOTH), IDENTITY)

    def test_named(self) -> None:
        """A coding that is named is used; of several the better one."""
        self.check(b"gzip", b"gzip")
        self.check(b"gzip, deflate, br, zstd", b"br")
        self.check(b"GZIP", b"gzip")
        self.check(b"x-gzip", b"gzip")
        self.check(b"gzip, br", b"gzip", (b"gzip",))
        self.check(b"deflate", IDENTITY)
        self.assertEqual(choose([b"deflate", b"br"], BOTH), b"br")

    def test_empty(self) -> None:
        """An empty field wants the original."""
        self.check(b"", IDENTITY)

    def test_weights(self) -> None:
        """More weight wins, also for the original if that is named."""
        self.check(b"br;q=0.5, gzip;q=0.8", b"gzip")
        self.check(b"br;q=0.5, gzip ; Q=0.499", b"br")
        self.check(b"gzip;q=0.5, identity", IDENTITY)
        self.check(b"gzip;q=0.5, identity;q=0.5", b"gzip")
        self.check(b"gzip;q=0.001", b"gzip")

    def test_refused(self) -> None:
        """No weight means never."""
        self.check(b"br;q=0, gzip", b"gzip")
        self.check(b"br;q=0.000, gzip;q=0", IDENTITY)

    def test_any(self) -> None:
        """A star stands for what is not named, the original among it."""
        self.check(b"*", b"br")
        self.check(b"br;q=0, *", b"gzip")
        self.check(b"gzip, *;q=0.5", b"gzip")
        self.check(b"gzip, *;q=0", b"gzip")
        self.check(b"*;q=0, identity;q=0.1", IDENTITY)

    def test_no_identity(self) -> None:
        """Who refuses the original gets a coding of any weight, or nothing."""
        self.check(b"identity;q=0, gzip;q=0.1", b"gzip")
        self.check(b"identity;q=0", None)
        self.check(b"identity;q=0, gzip", None, ())
        self.check(b"*;q=0", None)

    def test_malformed(self) -> None:
        """A malformed member counts for nothing."""
        self.check(b"br;q=2, gzip", b"gzip")
        self.check(b"br;q=-1, br;q=0.1234, br;q=, br;x=1, b r", IDENTITY)
        self.check(b";q=1,,gzip", b"gzip")

    @given(
        st.text("brgzipdenty*;q=01., ", max_size=30).map(str.encode), st.sets(st.sampled_from(BOTH))
    )
    def test_any_value(self, value: bytes, codings: set[bytes]) -> None:
        """Only what there is is chosen, and no coding that was not asked for."""
        chosen = choose([value], codings)
        self.assertIn(chosen, {*codings, IDENTITY, None})
        if chosen is not None and chosen != IDENTITY:
            self.assertTrue(chosen in value.lower() or b"*" in value)
