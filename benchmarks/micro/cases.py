"""What is measured, each on many heads that differ, as those of real clients do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import attrs

from benchmarks.micro.exchange import Exchanges
from lbproxy.balance.consistent_hash import ConsistentHash
from lbproxy.balance.pool import Pool
from lbproxy.balance.registry import balancer_for
from lbproxy.config import model
from lbproxy.forward.fields import Peer, RequestTemplate, ResponseTemplate
from lbproxy.http1.cache import SEEN
from lbproxy.http1.message import RequestHead, ResponseHead
from lbproxy.http1.parser import HeadLimits, RequestParser, ResponseParser
from lbproxy.observe.accesslog import Attempt, Record, asked, caller
from lbproxy.observe.metrics import Metrics
from lbproxy.proxy.websocket import Frames

#: Heads that differ.
HEADS = 500

#: So many that those which come again are not remembered any more.
NEW = SEEN + HEADS

_REQUEST = """\
GET /api/restaurants/%d/menu?page=%d HTTP/1.1\r
Host: shop.example\r
Connection: keep-alive\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/128.0\r
Accept: application/json, text/plain, */*\r
Accept-Language: el-GR,el;q=0.9,en;q=0.7\r
Accept-Encoding: gzip, deflate, br\r
Referer: https://shop.example/restaurants/%d\r
Cookie: session=%032x; theme=dark; consent=1\r
Sec-Fetch-Dest: empty\r
Sec-Fetch-Mode: cors\r
Sec-Fetch-Site: same-origin\r
traceparent: 00-%032x-%016x-01\r
\r
"""

_RESPONSE = """\
HTTP/1.1 200 OK\r
Server: gunicorn\r
Date: Thu, 01 Jan 2026 00:00:%02d GMT\r
Content-Type: application/json\r
Content-Length: 0\r
ETag: "%032x"\r
Vary: Accept-Encoding\r
\r
"""


@attrs.frozen
class Case:
    """A function that is measured.

    Attributes:
        name: What it does, for people.
        calls: How often it is called by `run`.
        run: Calls it.
    """

    name: str
    calls: int
    run: Callable[[], object]


def requests(chance: random.Random, count: int = HEADS) -> list[bytes]:
    """The heads of as many requests of a browser."""
    return [
        (
            _REQUEST
            % (
                chance.randrange(10**6),
                chance.randrange(100),
                chance.randrange(90, 140),
                chance.randrange(10**6),
                *(chance.getrandbits(bits) for bits in (128, 128, 64)),
            )
        ).encode()
        for _ in range(count)
    ]


def responses(chance: random.Random, count: int = HEADS) -> list[bytes]:
    """The heads of as many answers of a backend."""
    return [
        (_RESPONSE % (chance.randrange(60), chance.getrandbits(128))).encode() for _ in range(count)
    ]


def cases(chance: random.Random) -> Iterator[Case]:
    """All of them."""
    requested, answered = requests(chance), responses(chance)
    request_heads, response_heads = parse_requests(requested), parse_responses(answered)
    peer = Peer(b"192.0.2.7", b"http", trusted=False)
    yield Case("parse the head of a request", HEADS, lambda: parse_requests(requested))
    yield Case("parse the head of an answer", HEADS, lambda: parse_responses(answered))
    yield Case(
        "rewrite the fields of a request",
        HEADS,
        lambda: [
            RequestTemplate(head, head.target, b"shop.example", None).message(peer, b"id")
            for head in request_heads
        ],
    )
    yield Case(
        "rewrite the fields of an answer",
        HEADS,
        lambda: [ResponseTemplate(head).begin(b"id", b"now") for head in response_heads],
    )
    for size in (100, 1000):
        yield frames(size)
    for balancer in model.BALANCERS:
        for backends in (2, 100, 1000):
            yield choice(balancer, backends, chance)
        yield choice(balancer, 1000, chance, full=True)
    yield choice("round_robin", 1000, chance, heaviest=10)
    yield choice("least_loaded", 1000, chance, busy=True)
    yield join(1000, chance)
    yield heard(chance)
    yield first_choice(1000, chance)
    yield count(chance)
    yield line(chance)
    yield exchange("an exchange, its heads known", requested[:1] * HEADS, answered[:1] * HEADS)
    yield exchange("an exchange, its heads new", requests(chance, NEW), responses(chance, NEW))


def parse_requests(heads: list[bytes]) -> list[RequestHead]:
    """Parse requests that come on one connection, one after another."""
    parser = RequestParser(HeadLimits())
    parsed = []
    for head in heads:
        parser.feed(head)
        event = parser.next_event()
        assert isinstance(event, RequestHead)
        parsed.append(event)
        parser.next_event()  # Its end.
    return parsed


def parse_responses(heads: list[bytes]) -> list[ResponseHead]:
    """Parse answers that come on one connection, one after another."""
    parser = ResponseParser()
    parsed = []
    for head in heads:
        parser.expect(b"GET")
        parser.feed(head)
        event = parser.next_event()
        assert isinstance(event, ResponseHead)
        parsed.append(event)
        parser.next_event()  # Its end.
    return parsed


def pool_of(balancer: str, count: int, chance: random.Random, heaviest: int = 1) -> Pool:
    """A pool of as many healthy backends, which have answered before; weights are from 1 on."""
    backends = tuple(
        model.Backend(
            f"backend-{number}", f"127.0.0.1:{3001 + number}", weight=1 + number % heaviest
        )
        for number in range(count)
    )
    config = model.Pool("api", backends, balancer, health=None)
    pool = Pool(config, balancer_for(config, chance), 0.0)
    for backend in pool.backends:
        if pool.timed:
            pool.took(backend, chance.expovariate(100.0), False, 0.0)
    return pool


def keys(chance: random.Random) -> list[bytes]:
    """What requests are hashed by."""
    return [b"%x" % chance.getrandbits(128) for _ in range(HEADS)]


def frames(size: int) -> Case:
    """A WebSocket whose pieces are a whole frame each, as those of messages are."""
    length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    piece = b"\x81" + length + b"x" * size
    return Case(f"follow a frame of {size} bytes", HEADS, lambda: follow_frames([piece] * HEADS))


def follow_frames(pieces: list[bytes]) -> list[bool]:
    """Whether each of the pieces ends with a frame."""
    direction = Frames()
    borders = []
    for piece in pieces:
        direction.follow(piece)
        borders.append(direction.at_border)
    return borders


def choice(
    balancer: str,
    count: int,
    chance: random.Random,
    *,
    heaviest: int = 1,
    busy: bool = False,
    full: bool = False,
) -> Case:
    """Choose among as many healthy backends, for keys that come again.

    Args:
        balancer: The policy.
        count: How many.
        chance: Of the keys, and of the policy.
        heaviest: The weights are from 1 to that.
        busy: Whether each has something to do, and not none.
        full: Whether one has no room.
    """
    pool = pool_of(balancer, count, chance, heaviest)
    for backend in pool.backends if busy else ():
        pool.acquire(backend)
    if full:
        for _ in range(pool.config.max_in_flight):
            pool.acquire(pool.backends[count // 2])
    hashed: list[bytes | None] = [None] * HEADS
    if pool.config.hash_key is not None:
        hashed = [*keys(chance)]
    weights = f", weights to {heaviest}" if heaviest > 1 else ""
    return Case(
        f"{balancer}: one of {count:,}{weights}{', all busy' * busy}{', one full' * full}",
        HEADS,
        lambda: [pool.choose(frozenset(), 1.0, key) for key in hashed],
    )


def join(count: int, chance: random.Random) -> Case:
    """Choose twice in turn when somebody has come or gone: what `round_robin` makes ready then."""
    pool = pool_of("round_robin", count, chance, heaviest=10)
    last = pool.backends[-1]

    def run() -> list[object]:
        chosen: list[object] = []
        for weight in (0, 1):
            pool.weigh(last, weight, 1.0)
            pool.choose(frozenset(), 1.0)
            chosen.append(pool.choose(frozenset(), 1.0))
        return chosen

    return Case(f"round_robin: one of {count:,} goes, comes", 2, run)


def heard(chance: random.Random) -> Case:
    """Tell the policies that ask for it how attempts have ended."""
    pools = [pool_of(name, 2, chance) for name in model.BALANCERS]
    timed = [pool for pool in pools if pool.timed]
    taken = [chance.expovariate(100.0) for _ in range(HEADS)]

    def run() -> list[float]:
        for pool in timed:
            for place, seconds in enumerate(taken):
                pool.took(pool.backends[place % 2], seconds, False, 1.0 + place / 1000)
        return taken * len(timed)

    return Case("hear what an attempt took", HEADS * len(timed), run)


def first_choice(count: int, chance: random.Random) -> Case:
    """Choose for keys in whose slots none has come before: what `consistent_hash` puts off."""
    backends = pool_of("consistent_hash", count, chance).backends
    few = keys(chance)[:10]

    def run() -> list[object]:
        policy = ConsistentHash(1.25, chance)
        return [policy.choose(backends, 1.0, key) for key in few]

    return Case(f"consistent_hash: new slot, {count:,}", len(few), run)


def exchange(name: str, requested: list[bytes], answered: list[bytes]) -> Case:
    """Forward requests without a body, and their answers."""
    exchanges = Exchanges()
    return Case(name, len(requested), lambda: exchanges.run(requested, answered))


def record(chance: random.Random) -> Record:
    """What is known of an exchange that went well."""
    made = Record(
        1.7e9 + chance.random(), f"{chance.getrandbits(128):032x}", caller("192.0.2.7", "web")
    )
    target = f"/api/restaurants/{chance.randrange(10**6)}/menu"
    made.asked = asked("GET", "shop.example", target, 1)
    made.status, made.route, made.pool, made.bytes_out = 200, "/api/", "api", 200
    attempt = Attempt("klein", made.started)
    attempt.outcome, attempt.first_byte = "answered", chance.random()
    made.attempts.append(attempt)
    made.answered = attempt.first_byte
    return made


def count(chance: random.Random) -> Case:
    """Count exchanges."""
    records = [record(chance) for _ in range(HEADS)]
    metrics = Metrics()

    def run() -> list[int]:
        for each in records:
            metrics.observe(each, each.started + 0.001)
        return [len(metrics.take().series)] * HEADS

    return Case("count an exchange", HEADS, run)


def line(chance: random.Random) -> Case:
    """Write lines of the access log."""
    records = [record(chance) for _ in range(HEADS)]
    return Case(
        "write a line of the access log",
        HEADS,
        lambda: [record.line(record.started + 1.0) for record in records],
    )
