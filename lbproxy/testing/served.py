"""What clients must not notice of the processes that serve them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from lbproxy.testing.streams.client import StreamClient
from lbproxy.testing.world import AnyClient, World


def nobody_waits_in_vain(world: World, until: float) -> Iterator[str]:
    """Nobody waits to be accepted while a worker serves, whoever's queue he is in."""
    if world.staff is None or not world.network.waits:
        return
    first = min(accepted for _, accepted in world.network.waits)
    for came, accepted in world.network.waits:
        since = max(came, first)
        # Of a worker that is gone the parent is told first, and then the others are.
        if since + 2 * world.lag >= accepted or accepted > until:
            continue
        if not any(begin < accepted and end > since for begin, end in world.staff.unserved):
            yield f"somebody waited {accepted - since:.3f} s until he was accepted"


def lost_its_worker(client: AnyClient) -> bool:
    """Whether a connection of a client ended with the process that had it."""
    return any(wire.link.skt.kernel.killed for wire in client.wires)


def leaving_cuts_nothing(world: World) -> Iterator[str]:
    """A worker that is asked to end by somebody else finishes what it has begun."""
    drain = world.plan.config.stop.drain
    if not drain or world.paused:  # After a pause much happens at once.
        return
    stopped = inf if world.stopping_since is None else world.stopping_since + drain
    for client in world.clients:
        if isinstance(client, StreamClient):
            continue  # Whose streams have rules of their own (`streams/ends.py`).
        for wire in client.wires:
            left_at, trip = wire.link.skt.kernel.left_at, 2 * wire.link.latency
            for result in client.results:
                if result.ask.ailment is not None:
                    continue  # It may be its backend that cuts it, just then.
                ended = result.ended or inf
                # One that is asked again has the same number.
                deliveries = world.deliveries.get(result.ask.number, ())
                came = min((each.at for each in deliveries if each.at > result.sent), default=inf)
                under_way = came + trip < left_at < ended < stopped
                if under_way and result.how == "cut" and ended < left_at + trip + 0.002:
                    yield f"{result.ask.number} was cut when its worker was asked to end"
