"""What kinds of streams there were, and of ends: a batch has to have seen all of them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.streams import frames
from lbproxy.testing.streams.client import Trail
from lbproxy.testing.streams.events import LINE_ENDS

if TYPE_CHECKING:
    from lbproxy.testing.world import World

#: What clients and backends count while it happens.
_ON_THE_WAY = (
    "follows",
    "talks",
    "stream_ends",
    "stream_breaks",
    "stream_vanishes",
    "stream_left",
    "client_closes",
    "backend_closes",
)

#: Lengths of frames that are coded in another way than shorter ones, and two that carry little.
_SIZES = {0: "frame_empty", 125: "frame_125", 126: "frame_126", 65536: "frame_65536"}

#: All of them.
KINDS = (
    *_ON_THE_WAY,
    *_SIZES.values(),
    "frame_between_parts",
    "pong",
    "events_parted",
    "events_parted_behind_pause",
    "events_parted_old",
    *(f"events_parted_behind_{name}" for name in LINE_ENDS.values()),
    "frames_parted",
    "frames_parted_behind_pause",
    "frames_parted_mute",
    "parted_by_leaving",
    "streams_spread",
    "stream_outlives_reload",
    "stream_cut_by_hard_stop",
)


def of(world: World, trail: Trail, since: float, parted: float) -> Iterator[str]:
    """The kinds of one stream.

    Args:
        world: All that happened.
        trail: What its client saw.
        since: When its worker was told to finish what runs.
        parted: When the balancer ended it.
    """
    result, stream = trail.result, trail.result.ask.stream
    assert stream is not None and result.ended is not None
    kind = "frames" if stream.up is not None else "events"
    if parted < inf:
        yield f"{kind}_parted"
        if _paused_inside(trail, since):
            yield f"{kind}_parted_behind_pause"
        if since == trail.wire.link.skt.kernel.left_at:
            yield "parted_by_leaving"
        if stream.mute and stream.up is not None:
            yield "frames_parted_mute"
    elif since + world.plan.config.stop.drain <= result.ended < inf and result.how == "cut":
        yield "stream_cut_by_hard_stop"
    for reload in world.plan.reloads:
        if trail.began < EPOCH + reload.at < min(result.ended, world.stopping_since or inf):
            yield "stream_outlives_reload"
    if stream.up is None:
        yield from _of_events(trail, parted)
    else:
        yield from _of_frames(trail)


def _paused_inside(trail: Trail, since: float) -> bool:
    speaker = trail.delivery.speaker
    return speaker is not None and speaker.border_since(since) > since


def _of_events(trail: Trail, parted: float) -> Iterator[str]:
    stream = trail.result.ask.stream
    assert stream is not None
    if parted == inf or not trail.got:
        return
    if stream.old:
        yield "events_parted_old"
    got = b"".join(stream.down.units)[: trail.got]
    for end, name in LINE_ENDS.items():
        if got.endswith(2 * end):
            yield f"events_parted_behind_{name}"


def _of_frames(trail: Trail) -> Iterator[str]:
    stream, talk = trail.result.ask.stream, trail.delivery.talk
    assert stream is not None and stream.up is not None and talk is not None
    sides = ((stream.down, trail.got), (stream.up, talk.got))
    for course, got in sides:
        whole = True
        for raw in course.units[:got]:
            size = len(frames.payload_of(raw))
            if size in _SIZES:
                yield _SIZES[size]
            if frames.opcode_of(raw) < frames.CLOSE:
                whole = bool(raw[0] & 0x80)
            elif not whole:
                yield "frame_between_parts"
    yield from ["pong"] * talk.pongs
