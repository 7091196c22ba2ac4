"""What must be so of each request at the end of a life, whatever befell it."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.testing.clients import SLOW_FOR
from lbproxy.testing.inside import number_of
from lbproxy.testing.orders.desk import STEPS
from lbproxy.testing.orders.history import History
from lbproxy.testing.orders.rules import broken
from lbproxy.testing.orders.shopper import Shopper
from lbproxy.testing.plan import Visit
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.results import Result
from lbproxy.testing.served import lost_its_worker
from lbproxy.testing.world import World

#: Reasons of refusals of what could not be read.
_UNREAD = frozenset({"head_timeout", "malformed"})


def one_end_each(world: World) -> Iterator[str]:
    """Each request has exactly one end: an answer, a document, or a cut that its client sees."""
    seen: dict[int, Result] = {}
    for result in (*world.results, *(each for guest in world.guests for each in guest.results)):
        number = result.ask.number
        if result.ended is None:
            yield f"{number}, asked at {result.sent - EPOCH:.3f}, never ended"
        if number in seen:
            yield f"{number} was asked twice"
        seen[number] = result
    for number in world.asks.keys() - seen.keys():
        yield f"{number} was never asked"


def ends_in_time(world: World, healed: float, per_request: float) -> Iterator[str]:
    """Once nothing is broken any more, each request ends within its bound."""
    visits = {ask.number: visit for visit in world.plan.visits for ask in visit.asks}
    for result in world.results:
        visit = visits.get(result.ask.number)
        if visit is None or result.ended is None or result.ask.insists:
            continue
        bound = per_request + world.paused + _reading_time(visit, result.ask.size)
        stream = result.ask.stream
        bound += 0.0 if stream is None else stream.down.seconds
        took = result.ended - max(result.sent, healed)
        if took > bound:
            yield f"{result.ask.number} took {took:.3f} s, and {bound:.3f} would be enough"


def _reading_time(visit: Visit, size: int) -> float:
    looks = size / visit.shape.capacity + 1
    slow = min(visit.patience * looks, SLOW_FOR) if visit.manner == "slow" else 0.0
    return (slow + 4 * visit.shape.latency * looks) * len(visit.asks)


def nothing_unsafe_twice(world: World) -> Iterator[str]:
    """What the method forbids to send twice reaches a backend once; anything, not too often."""
    attempts = world.pool.retry.attempts
    for number, deliveries in world.deliveries.items():
        if world.asks[number].insists:
            continue
        if world.asks[number].unsafe and len(deliveries) > 1:
            reached = [delivery.backend for delivery in deliveries]
            yield f"{number}, which is unsafe to repeat, reached {reached}"
        if len(deliveries) > attempts:
            yield f"{number} was delivered {len(deliveries)} times, and {attempts} are allowed"


def log_tells_the_truth(world: World) -> Iterator[str]:
    """The access log has each exchange once, with all its attempts."""
    pool = world.pool
    attempts = pool.retry.attempts
    tried: dict[int, int] = {}
    for record, _ in world.records:
        number = number_of(record)
        if number is None:
            continue
        insists = number in world.asks and world.asks[number].insists > 0
        if number in tried and not insists:
            yield f"{number} is in the log twice"
        tried[number] = len(record.attempts) + (tried.get(number, 0) if insists else 0)
        held = [attempt.decision for attempt in record.attempts].count("hold")
        if len(record.attempts) > attempts * (held + 1):
            yield f"{number} was tried {len(record.attempts)} times, and {attempts} are allowed"
        if record.queued > attempts * (pool.queue.wait + 0.6) + world.paused:
            yield f"{number} waited {record.queued:.3f} s in the queue"
        if any(attempt.outcome is None for attempt in record.attempts):
            yield f"{number} has an attempt in the log that never ended"
    for number, deliveries in world.deliveries.items():
        raw = world.asks[number].method == "RAW"
        # What a worker was about when it was killed is in no log.
        deliveries = [each for each in deliveries if not each.wire.link.skt.kernel.killed]
        if len(deliveries) > tried.get(number, 0) and not raw:
            yield f"{number} reached {len(deliveries)} backends; the log has {tried.get(number)}"
    for client in world.clients:
        if lost_its_worker(client):
            continue  # Its end may look like that of an answer, and what was logged is lost.
        for result in client.results:
            told = result.how in ("whole", "problem") and result.reason not in _UNREAD
            if told and result.ask.number not in tried and result.ask.method != "BAD":
                yield f"{result.ask.number} was answered, and is not in the log"


def orders_mean_what_they_say(world: World) -> Iterator[str]:
    """The eight rules of an order hold; here all backends have one store, so one is for others."""
    follows = [client.follow for client in world.clients if isinstance(client, Shopper)]
    return iter(
        broken(
            History(
                STEPS,
                tuple(world.book.places),
                tuple(world.book.moves),
                tuple(world.book.reads),
                tuple(follows),
                tuple(world.desk.orders.values()),
                tuple(world.desk.events),
            )
        )
    )
