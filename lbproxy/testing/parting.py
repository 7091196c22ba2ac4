"""How a balancer that ends parts from those who have changed over to WebSocket.

What goes through a tunnel here is no frames but numbered bytes, so the close frames that the
balancer puts between two frames stand anywhere; that they stand between two is for unit tests.
"""

from __future__ import annotations

from itertools import count

from lbproxy.proxy.websocket import GOING_AWAY, SERVICE_RESTART

#: What a client is told, and what a backend.
TO_CLIENT, TO_BACKEND = SERVICE_RESTART, GOING_AWAY


def parts(data: bytes, awaited: bytes, words: bytes) -> bool:
    """Whether a piece is other than what was awaited only for these words in it.

    Args:
        data: The piece.
        awaited: The same number of bytes of what the other side sends.
        words: What the balancer says, of which the piece may have only the beginning.
    """
    same = next(place for place in count() if data[place] != awaited[place])
    rest = data[same:]
    # A byte of the words may happen to be the awaited one.
    return any(
        words[begin:].startswith(rest) or rest.startswith(words[begin:])
        for begin in range(min(same + 1, len(words)))
        if data[same - begin : same] == words[:begin]
    )
