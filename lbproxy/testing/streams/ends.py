"""How streams end: where, when, and by whose will, by what both of their sides have seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from math import inf

from lbproxy.errors import Stopped
from lbproxy.proxy.tunnel import CLOSE_WAIT
from lbproxy.testing.backends import Delivery
from lbproxy.testing.inside import number_of
from lbproxy.testing.kernel import Kernel
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.streams import frames, kinds
from lbproxy.testing.streams.client import StreamClient, Trail
from lbproxy.testing.streams.draw import HARMLESS
from lbproxy.testing.world import World
from lbproxy.transport.timer import LATE

#: Seconds in which what was decided is on its way, at most, on a network that is in order.
SLACK = 0.3

#: How a backend may have finished so that its client has to see that.
_BROKEN = frozenset({"breaks", "vanishes", "struck"})


def streams_end_well(world: World) -> Iterator[str]:
    """What breaks looks so; the balancer ends a stream at a border, in its turn, and in time."""
    trails = [
        trail for each in world.clients if isinstance(each, StreamClient) for trail in each.trails
    ]
    kernels: dict[Kernel, list[Trail]] = defaultdict(list)
    for trail in trails:
        kernels[trail.wire.link.skt.kernel].append(trail)
        number = trail.result.ask.number
        for wrong in _ended_well(world, trail):
            yield f"stream {number} {wrong}"
    for kernel, of_kernel in kernels.items():
        yield from _spread_out(world, kernel, of_kernel)
        yield from _oldest_first(world, kernel, of_kernel)
    yield from _logged(world, trails)


def stopped_at(world: World, kernel: Kernel) -> float:
    """When a worker was told to finish what runs; `inf` if it never was."""
    return min(kernel.left_at, world.stopping_since or inf)


def parted_at(world: World, trail: Trail) -> float:
    """When the client saw that the balancer ended it; `inf` if it was not the balancer."""
    result, speaker = trail.result, trail.delivery.speaker
    assert speaker is not None
    if trail.parted < inf:
        return trail.parted
    stream, by_backend = result.ask.stream, speaker.how == "ends" and trail.got == speaker.said
    assert stream is not None
    by_kernel = trail.wire.link.skt.kernel.killed and stream.old  # Its end looks like that of both.
    events = result.ask.method != "WS" and result.how == "followed"
    if events and not by_backend and not by_kernel:
        return result.ended or inf
    return inf


def _ended_well(world: World, trail: Trail) -> Iterator[str]:
    result, speaker = trail.result, trail.delivery.speaker
    assert speaker is not None
    if result.ended is None or result.how == "left":
        return
    since, parted = stopped_at(world, trail.wire.link.skt.kernel), parted_at(world, trail)
    for kind in kinds.of(world, trail, since, parted):
        world.happened(kind)
    if parted < inf:
        yield from _parted_well(world, trail, since, parted)
    elif result.how == "cut":
        if not _may_be_cut(world, trail, since):
            yield f"was cut by nobody at {result.ended - EPOCH:.3f}"
    elif result.ask.method == "WS" and speaker.how in _BROKEN:
        yield "was broken by its backend, and its client got a close frame"
    yield from _in_time(world, trail, since, parted)


def _parted_well(world: World, trail: Trail, since: float, parted: float) -> Iterator[str]:
    """The balancer has ended it: it was told to, and the client has only whole events or frames."""
    speaker = trail.delivery.speaker
    assert speaker is not None
    if parted < since:
        yield f"was ended at {parted - EPOCH:.3f}, and nobody had wanted that"
        return
    if trail.inside:
        yield "was ended in the middle of an event, or of a frame"
    broke = speaker.ended if speaker.how in _BROKEN else inf
    prompt = not trail.visit.patience and not _troubled(world)
    if broke + _trip(world, trail) + world.paused < parted and prompt:
        yield f"broke at {broke - EPOCH:.3f}, and looked as if it had been ended later"
    talk = trail.delivery.talk
    if trail.wire.link.skt.kernel.killed:
        return  # Its client may be the last one that it has told.
    if talk is None or trail.visit.patience or _troubled(world) or speaker.how not in ("", "told"):
        return
    own = trail.own
    assert own is not None
    # Who is in the middle of a frame of its own for too long is not waited for; and where bytes
    # meet a closed socket, the reset may overtake what was said before it.
    last = max(at for at, _ in [(0.0, False), *speaker.moments, *own.moments])
    if own.inside or last > parted - _trip(world, trail) or _was_silent(world, trail):
        return
    if talk.heard != frames.GOING_AWAY and _hard_stop(world, since) > parted + CLOSE_WAIT + SLACK:
        yield f"ended, and its backend was told {talk.heard or 'nothing'}"


def _in_time(world: World, trail: Trail, since: float, parted: float) -> Iterator[str]:
    """What runs when its turn has come for certain ends at the next border, or a little later."""
    result, speaker = trail.result, trail.delivery.speaker
    assert speaker is not None and result.ended is not None
    if since == inf or _troubled(world) or trail.visit.patience:
        return
    if result.ask.method == "WS" and result.how == "followed" and parted == inf:
        return  # One side has closed of its own will, and waits for the other one's answer.
    turn = max(since + world.plan.config.stop.spread + world.lag, trail.began)
    ended = min(parted, result.ended)
    due = speaker.border_since(turn) + world.paused + _trip(world, trail)
    if ended > due:
        yield f"ended {ended - turn:.3f} s after its turn had come"
    late = result.ended - parted - CLOSE_WAIT - LATE - world.paused
    if late > _trip(world, trail):
        yield f"ended {result.ended - parted:.3f} s after its client had been told"


def _spread_out(world: World, kernel: Kernel, trails: list[Trail]) -> Iterator[str]:
    """Those that one worker ends do not end together, unless they may."""
    since, spread = stopped_at(world, kernel), world.plan.config.stop.spread
    if since == inf or not spread:
        return
    most = max(1, sum(_may_run(world, each, kernel, since) for each in _all_streams(world)))
    ends = sorted(parted_at(world, trail) for trail in trails)
    ends = [end for end in ends if since <= end < inf]
    if len(ends) > 1:
        world.happened("streams_spread")
    for place, end in enumerate(ends):
        if end < since + min(place / most, 1.0) * spread - 1e-6:
            yield f"{place + 1} of {most} streams had ended {end - since:.3f} s after the stop"


def _oldest_first(world: World, kernel: Kernel, trails: list[Trail]) -> Iterator[str]:
    """They end in the order in which they began, but for those whose event or frame is awaited."""
    since = stopped_at(world, kernel)
    if since == inf or _troubled(world):
        return
    ended = [
        trail
        for trail in sorted(trails, key=lambda each: each.began)
        if trail.began < since <= parted_at(world, trail) < inf and not trail.visit.patience
    ]
    for older, younger in combinations(ended, 2):
        apart = _trip(world, older) + _trip(world, younger) + world.paused
        first, second = parted_at(world, older), parted_at(world, younger)
        if older.began + apart < younger.began and second + apart < first:
            assert older.delivery.speaker is not None
            if older.delivery.speaker.whole_between(since, first):
                later = f"ended {first - second:.3f} s later than a younger one"
                yield f"stream {older.result.ask.number} {later}"


def _logged(world: World, trails: list[Trail]) -> Iterator[str]:
    """The log says of those that the balancer has ended that it was so."""
    reasons = {number_of(record): record.reason for record, _ in world.records}
    for trail in trails:
        number, killed = trail.result.ask.number, trail.wire.link.skt.kernel.killed
        if parted_at(world, trail) < inf and not killed and reasons.get(number) != Stopped.reason:
            yield f"stream {number} was ended, and the log says {reasons.get(number)!r}"


def _all_streams(world: World) -> Iterator[Delivery]:
    for deliveries in world.deliveries.values():
        for each in deliveries:
            if each.ask.method == "WS" or each.ask.stream is not None:
                yield each


def _may_run(world: World, delivery: Delivery, kernel: Kernel, since: float) -> bool:
    """Whether a worker may have counted a stream among those that it had to end.

    That a backend has ended is seen by who reads on, and so hangs on the client.
    """
    told = (each.ended for each in world.results if each.ask is delivery.ask)
    ended = max(inf if at is None else at for at in (delivery.answered, *told))
    mine = delivery.wire.link.skt.kernel is kernel
    return mine and delivery.at < since + world.lag and ended > since - 1.0 - world.paused


def _may_be_cut(world: World, trail: Trail, since: float) -> bool:
    """Whether anything has happened for which a client may see a cut."""
    speaker, result = trail.delivery.speaker, trail.result
    assert speaker is not None and result.ended is not None
    if _troubled(world) or trail.wire.link.skt.kernel.killed or trail.visit.patience:
        return True
    if speaker.how in _BROKEN or (not speaker.how and trail.delivery.wire.closed):
        return True
    if speaker.how == "ends" and trail.got != speaker.said:
        return True  # It was asked to end while it was in the middle of something.
    if result.ended >= _hard_stop(world, since):
        return True
    return _was_silent(world, trail)


def _was_silent(world: World, trail: Trail) -> bool:
    """Whether nobody had said anything for longer than a stream may be silent."""
    assert trail.delivery.speaker is not None and trail.result.ended is not None
    said = [at for at, _ in trail.delivery.speaker.moments]
    said += [] if trail.own is None else [at for at, _ in trail.own.moments]
    heard = trail.result.ended - world.paused  # While it stood still it heard nothing.
    last = max([trail.began, *(at for at in said if at <= heard)])
    return trail.result.ended - last >= world.pool.timeouts.stream


def _hard_stop(world: World, since: float) -> float:
    """When what runs is cut, wherever it is."""
    now = [EPOCH + fault.at for fault in world.plan.faults if fault.kind == "end_now"]
    return min([since + world.plan.config.stop.drain, *now])


def _troubled(world: World) -> bool:
    """Whether connections may have been cut, or been without their bytes."""
    return any(fault.kind not in HARMLESS for fault in world.plan.faults)


def _trip(world: World, trail: Trail) -> float:
    """Seconds from what a backend does to where its client sees it."""
    size, total = 0.0, SLACK
    stream = trail.result.ask.stream
    assert stream is not None
    for course in (stream.down, stream.up):
        if course is not None:
            size += sum(len(piece.data) for piece in course.pieces)
    for shape in (trail.visit.shape, *world.plan.shapes):
        total += 4 * shape.latency * (size / shape.capacity + 2)
    return total
