"""What must be so while nothing is broken, or not any more."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from lbproxy.config.model import Pool
from lbproxy.testing import staff
from lbproxy.testing.clients import Client
from lbproxy.testing.orders.shopper import Shopper
from lbproxy.testing.people import MOMENT
from lbproxy.testing.plan import Ask
from lbproxy.testing.processes import BOOT
from lbproxy.testing.results import Result
from lbproxy.testing.served import lost_its_worker
from lbproxy.testing.streams.client import StreamClient
from lbproxy.testing.world import AnyClient, World

#: Manners of clients that take what they are given.
_PATIENT = frozenset({"keeps", "pipelines", "uploads", "old", "old_keeps"})

#: Reasons for which one who did nothing wrong may be sent away although nothing is broken.
_FULL = frozenset({"queue_full", "body_too_large"})

#: How a request ends while every backend is drained; an answer to HEAD cannot say.
_DRAINED = frozenset({"drained", "hold_full", "hold_expired", ""})

#: Seconds that a request may take for no reason that is planned.
PROMPT = 2.0


def nothing_fails(world: World) -> Iterator[str]:
    """While no backend is struck, requests to which nothing is done are answered, and soon.

    What another one's answer suffers from may still cost one who must not be sent twice its own.
    """
    plan = world.plan
    if any(fault.kind not in staff.KINDS for fault in plan.faults):
        return
    if world.roller is not None and not world.roller.course.clean:
        return  # Somebody has ended a drain in the middle of a roll.
    pool = world.pool
    perfect = keeps_alive(world) and not any(ask.ailment for ask in world.asks.values())
    for client in world.clients:
        if lost_its_worker(client):
            continue
        if isinstance(client, Shopper | StreamClient):
            continue  # Whose orders and streams have rules of their own.
        if not isinstance(client, Client):
            for result in client.results:
                late = _was_late(world, client, result)
                if result.how != "session" and not (late or result.ask.ailment or result.ask.keyed):
                    yield f"session {result.ask.number} ended as {result.how} in peace"
            continue
        if client.visit.manner not in _PATIENT or _spoiled(client):
            continue
        cut_behind = False
        for result in client.results:
            ask = result.ask
            # A backend that closes its connection behind an answer, and has not read on, resets it.
            early = ask.ailment is not None and ask.ailment.kind == "early"
            early = early and ask.framing != "close" and not ask.closes
            in_time = not _was_late(world, client, result)
            if early and in_time and client.visit.manner != "pipelines" and result.how == "cut":
                yield f"{ask.number} was answered while it was sent, and its client saw a cut"
            if ask.ailment is not None or ask.local or ask.method in ("BAD", "WS"):
                continue
            if cut_behind and result.how == "cut":
                continue
            # Whether a breaker may refuse, `breakers.py` knows.
            if _was_drained(world, result) or result.reason in (*_FULL, "breaker_open"):
                # What it had still to send is not waited for, nor what is asked behind that.
                cut_behind = client.visit.manner == "pipelines"
                continue
            if _was_late(world, client, result):
                continue
            if ask.method == "DELETE" and result.reason == "first_byte_timeout" and not perfect:
                continue  # It may still be carried out, so it is not sent elsewhere.
            sure = _fits_a_try(pool, ask) and (perfect or _is_tried_elsewhere(world, result))
            if result.how == "cut" or (sure and not _well(result)):
                yield f"{ask.number} ended as {result.how} {result.status} {result.reason} in peace"
            elif perfect:
                yield from _promptly(world, client, result)


def _is_tried_elsewhere(world: World, result: Result) -> bool:
    """Whether what breaks it costs it an attempt, and no more."""
    ask, names = result.ask, world.weights.names
    if ask.unsafe or ask.method == "PUT" or world.pool.retry.attempts == 1:
        return False
    began, ended = result.sent - MOMENT, result.ended or world.reactor.now
    return sum(0 not in world.weights.within(name, began, ended) for name in names) > 1


def keeps_alive(world: World) -> bool:
    """Whether backends keep idle connections for as long as the balancer takes them to.

    They count from when they have written an answer, and the balancer from when it has all of it.
    """
    shapes, kept = world.plan.shapes, world.plan.keep_alive
    latency = max(shape.latency for shape in shapes)
    sizes = (ask.size for ask in world.asks.values())
    pieces = max(sizes, default=0) / min(shape.capacity for shape in shapes)
    return kept == 0.0 or kept - world.pool.backends[0].idle_limit > (pieces + 2) * latency


def _was_drained(world: World, result: Result) -> bool:
    """Whether it was refused while people had every backend drained, as it has to be."""
    if result.status != 503 or result.reason not in _DRAINED or result.ended is None:
        return False
    began, ended = result.sent - MOMENT, result.ended
    return all(0 in world.weights.within(name, began, ended) for name in world.weights.names)


def _was_late(world: World, client: AnyClient, result: Result) -> bool:
    """Whether its worker had been asked to end when it came, or had no more time for it.

    What is asked while a server closes an idle connection finds nobody, and so does what is behind
    the request that it is about.
    """
    pipelines = client.visit.manner == "pipelines"
    for wire in client.wires:
        left_at = wire.link.skt.kernel.left_at
        came, ended = result.sent + wire.link.latency, result.ended or inf
        patience = 0.0 if pipelines else world.plan.config.stop.drain
        if came >= left_at or ended >= left_at + patience:
            return True
    return False


def _spoiled(client: Client) -> bool:
    """Whether what befalls one request takes others with it, which were sent along."""
    asks = client.visit.asks
    return client.visit.manner == "pipelines" and any(
        ask.ailment or ask.upload or ask.method in ("BAD", "WS") for ask in asks
    )


def _well(result: Result) -> bool:
    answered = result.how == "whole" and result.status == 200
    full = result.how == "problem" and result.reason in _FULL
    # An answer to HEAD has no document that could say why.
    silent = result.ask.method == "HEAD" and result.status == 503
    return answered or full or silent or result.how == "poisoned"


def _promptly(world: World, client: Client, result: Result) -> Iterator[str]:
    """Nothing waits for a timeout that nobody needed."""
    ask, pool = result.ask, world.pool
    shapes = (client.visit.shape, *world.plan.shapes)
    asks = client.visit.asks if client.visit.manner == "pipelines" else (ask,)
    size = sum(each.size + each.upload for each in asks)  # What is before it goes first.
    trips = size / min(shape.capacity for shape in shapes) + 6
    bound = sum(map(_planned, asks)) + trips * 4 * max(shape.latency for shape in shapes) + PROMPT
    if pool.max_in_flight < 256:
        bound += pool.queue.wait * len(client.visit.asks)
    if world.staff is not None:
        bound += BOOT[1]  # Nobody may have served yet.
    if result.ended is not None and result.ended - result.sent > bound + world.paused:
        took = result.ended - result.sent
        yield f"{ask.number} took {took:.3f} s in peace, and {bound:.3f} would be enough"
    # A hedge and who is outrun may each give them, and so may who is given up.
    most = pool.retry.attempts if pool.retry.timeout is not None else 1
    most += pool.hedge is not None
    awaited = 0 if _old(client) else ask.hints
    if result.how == "whole" and not awaited <= result.hints <= most * awaited:
        yield f"{ask.number} got {result.hints} of {ask.hints} early hints"


def _planned(ask: Ask) -> float:
    """Seconds that a request takes by its own nature."""
    waits = 1.0 if ask.expect and ask.waits else 0.0
    return ask.delay + waits + 0.01 * ask.hints + ask.upload / 500_000


def _fits_a_try(pool: Pool, ask: Ask) -> bool:
    """Whether attempts are not spent on answers that no try is long enough for."""
    return pool.retry.timeout is None or _planned(ask) < pool.retry.timeout / 2


def _old(client: Client) -> bool:
    return client.visit.manner.startswith("old")
