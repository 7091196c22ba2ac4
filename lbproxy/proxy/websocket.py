"""Where the frames of a WebSocket end, which is where one of ours may stand (RFC 6455 section 5).

Only the heads of frames are looked at: what is between two of them is skipped by its length.
Extensions change nothing about that.
"""

from __future__ import annotations

_OPCODE, _CLOSE = 15, 8

#: To a client: the service restarts, come again (RFC 6455 section 7.4.2, and IANA's registry).
SERVICE_RESTART = b"\x88\x02" + (1012).to_bytes(2, "big")

#: To a server: the client goes away (section 7.4.1). What clients send is masked, so that no script
#: can choose the bytes on the wire (section 10.3). Nobody chose these: a key of zeros will do.
GOING_AWAY = b"\x88\x82" + bytes(4) + (1001).to_bytes(2, "big")


class Frames:
    """One direction of a WebSocket, from its first byte.

    Attributes:
        closing: Whether a close frame has begun, behind which no other one comes.
    """

    __slots__ = ("_begun", "_left", "closing")

    def __init__(self) -> None:
        self._left = 0  # Bytes of the present frame that are still to come.
        self._begun = b""  # The head of a frame that does not say yet how long that is.
        self.closing = False

    @property
    def at_border(self) -> bool:
        """Whether what has passed ends with a frame."""
        return not (self._left or self._begun)

    def follow(self, data: bytes) -> None:
        """Let a piece pass."""
        left = self._left - len(data)
        if left >= 0:
            self._left = left
            return
        if self._begun:
            data, self._begun = self._begun + data, b""
        at, end = self._left, len(data)
        while at + 1 < end:
            second = data[at + 1]
            if second < 126:  # Not masked, and short.
                size = second + 2
            elif 127 < second < 254:  # Masked, and short.
                size = second - 122
            else:
                size = _size(data, at)
                if not size:
                    break
            if data[at] & _OPCODE == _CLOSE:
                self.closing = True
            at += size
        if at < end:
            self._begun, at = data[at:], end
        self._left = at - end

    def finish(self, data: bytes) -> int:
        """Let pass what of a piece belongs to the frame under way.

        Returns:
            How many of its bytes these are.
        """
        count = self._left
        if self._begun:
            size = _size(self._begun + data, 0)
            count = size - len(self._begun) if size else len(data)
        count = min(count, len(data))
        self.follow(data[:count])
        return count

    def follow_to_close(self, data: bytes) -> int:
        """Let pass what of a piece comes before a close frame that begins in it.

        Returns:
            How many of its bytes these are: all, if none begins there.
        """
        at, end = self.finish(data), len(data)
        while at < end and data[at] & _OPCODE != _CLOSE:
            behind = min(at + (_size(data, at) or end), end)
            self.follow(data[at:behind])
            at = behind
        return at


def _size(data: bytes, at: int) -> int:
    """Bytes of the frame that begins there; 0 if its head does not say yet."""
    here = len(data) - at
    if here < 2:
        return 0
    second = data[at + 1]
    size, length = 6 if second & 0x80 else 2, second & 0x7F
    if length < 126:
        return size + length
    if length == 126:
        return size + 2 + (data[at + 2] << 8 | data[at + 3]) if here >= 4 else 0
    return size + 8 + int.from_bytes(data[at + 2 : at + 10], "big") if here >= 10 else 0
