"""The borders of frames, however the bytes are cut."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.proxy.websocket import GOING_AWAY, SERVICE_RESTART, Frames

TEXT, CLOSE, PING = 0x1, 0x8, 0x9


def frame(size: int, masked: bool = False, opcode: int = TEXT) -> bytes:
    """A frame by RFC 6455 section 5.2; its payload looks like heads of close frames."""
    mask = 0x80 if masked else 0
    if size < 126:
        length = bytes((mask | size,))
    elif size < 1 << 16:
        length = bytes((mask | 126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((mask | 127,)) + size.to_bytes(8, "big")
    key = b"\x88\x02\x88\x02" if masked else b""
    return bytes((0x80 | opcode,)) + length + key + b"\x88\x02" * (size // 2) + b"\x88" * (size % 2)


#: Sizes on both sides of where the head gets longer.
SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536)

#: The small examples of section 5.7, in its order.
EXAMPLES = (
    "810548656c6c6f",
    "818537fa213d7f9f4d5158",
    "010348656c",
    "80026c6f",
    "890548656c6c6f",
    "8a8537fa213d7f9f4d5158",
)


class FramesTests(SynchronousTestCase):
    def check(self, data: bytes, borders: set[int], cuts: list[int]) -> None:
        """After each piece it is known whether a frame has ended there."""
        frames, at = Frames(), 0
        for cut in [*cuts, len(data)]:
            frames.follow(data[at:cut])
            self.assertEqual(frames.at_border, cut in borders, (cut, sorted(borders)))
            at = cut

    def test_examples(self) -> None:
        """The RFC's own frames, byte by byte."""
        pieces = [bytes.fromhex(text) for text in EXAMPLES]
        borders = {0, *accumulate(map(len, pieces))}
        data = b"".join(pieces)
        self.check(data, borders, list(range(1, len(data))))

    def test_sizes(self) -> None:
        """Frames of all kinds of lengths, cut in two at each byte of their heads and borders."""
        for masked in (False, True):
            pieces = [frame(size, masked) for size in SIZES]
            borders = {0, *accumulate(map(len, pieces))}
            near = {border + more for border in borders for more in range(-2, 16)}
            for cut in near & set(range(1, len(b"".join(pieces)))):
                self.check(b"".join(pieces), borders, [cut])

    @given(
        some.lists(some.tuples(some.integers(0, 300), some.booleans()), min_size=1, max_size=8),
        some.lists(some.integers(0, 2500)),
    )
    def test_any(self, shapes: list[tuple[int, bool]], cuts: list[int]) -> None:
        """Any frames, cut anywhere."""
        pieces = [frame(size, masked) for size, masked in shapes]
        borders = {0, *accumulate(map(len, pieces))}
        data = b"".join(pieces)
        self.check(data, borders, sorted(cut for cut in cuts if cut < len(data)))

    def test_finish(self) -> None:
        """What belongs to the frame under way, wherever that was cut, and nothing behind it."""
        for size in (0, 1, 126, 65536):
            for masked in (False, True):
                whole = frame(size, masked)
                for cut in {1, 2, 3, 5, 9, 10, 13, 14, len(whole) - 1} & set(range(1, len(whole))):
                    frames = Frames()
                    frames.follow(whole[:cut])
                    behind = frame(3) + frame(4)
                    self.assertEqual(frames.finish(whole[cut:] + behind), len(whole) - cut)
                    self.assertTrue(frames.at_border)
                    frames.follow(behind)
                    self.assertTrue(frames.at_border)

    def test_finish_in_pieces(self) -> None:
        """While it has not ended all belongs to it."""
        for size in (5, 300):
            whole, frames = frame(size, masked=True), Frames()
            frames.follow(whole[:1])
            for at in range(1, len(whole)):
                self.assertFalse(frames.at_border)
                self.assertEqual(frames.finish(whole[at : at + 1]), 1)
            self.assertTrue(frames.at_border)

    def test_follow_to_close(self) -> None:
        """What comes before a close frame passes, and the frame does not, if it begins there."""
        before = frame(300, masked=True) + frame(0) + frame(2, opcode=PING) + frame(9)
        close = frame(2, masked=True, opcode=CLOSE)
        for cut in range(len(before) + 1):
            for behind in (b"", close[:1], close, close + frame(1)):
                frames = Frames()
                frames.follow(before[:cut])
                count = frames.follow_to_close(before[cut:] + behind)
                self.assertEqual(count, len(before) - cut, (cut, behind))
                self.assertTrue(frames.at_border and not frames.closing)
        begun = Frames()
        begun.follow(close[:1])
        self.assertEqual(begun.follow_to_close(close[1:]), len(close) - 1)
        self.assertTrue(begun.closing)

    def test_closing(self) -> None:
        """A close frame is noticed, wherever it is cut, and nothing else is taken for one."""
        before = frame(300) + frame(9, opcode=PING) + frame(2)
        for cut in range(len(before) + 5):
            frames = Frames()
            data = before + frame(2, opcode=CLOSE)
            frames.follow(data[:cut])
            self.assertEqual(frames.closing, cut > len(before) + 1, cut)
            frames.follow(data[cut:])
            self.assertTrue(frames.closing and frames.at_border)

    def test_ours(self) -> None:
        """What we say is one close frame with its code, masked where a client's has to be."""
        for ours, masked, code in ((SERVICE_RESTART, False, 1012), (GOING_AWAY, True, 1001)):
            frames = Frames()
            frames.follow(ours)
            self.assertTrue(frames.at_border and frames.closing)
            self.assertEqual((ours[0], ours[1] >> 7), (0x88, masked))
            self.assertEqual(ours[2:-2], bytes(4) if masked else b"")
            self.assertEqual(int.from_bytes(ours[-2:], "big"), code)
