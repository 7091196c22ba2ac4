"""Drawing what the balancer runs with."""

from __future__ import annotations

import random

import attrs

from lbproxy.config import model

#: Seconds that a stream may be silent for: less than the longest stall, or more.
_STREAM = (5.0, 5.0, 12.0)

#: The ports on which the balancer is asked, by the names of their listeners.
PORTS = {"web": 3000, "raw": 3002, "announced": 3001}


def config_of(chance: random.Random) -> model.Config:
    """One of all that a life can begin with."""
    count = chance.choice((2, 2, 3, 3, 4))
    keep_alive = chance.choice((0.0, 1.5, 5.0, 20.0))
    backends = tuple(
        model.Backend(
            name,
            f"10.0.1.{number}:80",
            weight=0 if number == 3 else chance.choice((1, 1, 1, 2)),
            keep_alive=keep_alive,
        )
        for number, name in enumerate("abcd"[:count])
    )
    health = model.Health(
        interval=chance.choice((1.0, 3.0, 5.0, 5.0)),
        timeout=chance.choice((0.3, 1.0)),
        rise=chance.choice((1, 2, 2, 3)),
        fall=chance.choice((1, 2, 3, 3)),
        json=True,
    )
    pool = model.Pool(
        "api",
        backends,
        health=None if chance.random() < 0.1 else health,
        timeouts=model.UpstreamTimeouts(
            connect=chance.choice((0.5, 2.0)),
            first_byte=chance.choice((1.0, 4.0)),
            read=chance.choice((1.0, 4.0)),
            stream=chance.choice(_STREAM),
        ),
        retry=_retry(chance),
        slow_start=chance.choice((0.0, 3.0, 10.0)),
        ejection=chance.random() < 0.8,
        max_in_flight=chance.choice((1, 2, 4, 256, 256)),
        queue=model.Queue(length=chance.choice((0, 3, 1024)), wait=chance.choice((0.5, 5.0))),
    )
    pool = _failover(chance, pool)
    timeouts = model.DownstreamTimeouts(head=5.0, body=5.0, idle=chance.choice((3.0, 20.0)))
    return model.Config(
        listeners=(
            model.Listener("web", f"tcp:{PORTS['web']}", timeouts=timeouts),
            model.Listener("raw", f"tcp:{PORTS['raw']}", mode="tcp", pool="raw"),
            model.Listener("announced", f"haproxy:tcp:{PORTS['announced']}", timeouts=timeouts),
        ),
        routes=(
            model.Route(
                "/",
                pool="api",
                expose_backend=True,
                max_body=chance.choice((None, None, None, 20000)),
                retry_on=frozenset(chance.choice(((), (503,), (502, 503, 504)))),
            ),
        ),
        pools=(pool, _raw_pool(chance)),
        stop=model.Stop(drain=chance.choice((0.0, 2.0, 10.0))),
        workers=chance.choice((1, 1, 1, 2)),
        access_log=None,
        admin=None,
    )


def _retry(chance: random.Random) -> model.Retry:
    timeout = chance.choice((None, None, 0.4))
    return model.Retry(attempts=chance.choice((1, 2, 3, 3, 4)), budget=0.2, timeout=timeout)


def _failover(chance: random.Random, pool: model.Pool) -> model.Pool:
    """What a pool may do about failures besides."""
    hold = hedge = None
    if pool.health is not None and chance.random() < 0.4:
        seconds, requests = chance.choice((1.0, 6.0)), chance.choice((1, 3, 1000))
        hold = model.Hold(seconds, requests)
    if pool.retry.attempts > 1 and chance.random() < 0.4:
        after = chance.choice((0.0005, 0.02, 0.3, "p50"))
        hedge = model.Hedge(after, chance.choice((0.02, 0.2, 1.0)))
    return attrs.evolve(pool, hold_when_down=hold, hedge=hedge)


def _raw_pool(chance: random.Random) -> model.Pool:
    """The pool of the listener in TCP mode."""
    return model.Pool(
        "raw",
        (model.Backend("x", "10.0.3.1:90"), model.Backend("y", "10.0.3.2:90")),
        health=model.Health(interval=chance.choice((2.0, 5.0, 5.0)), timeout=0.5),
        timeouts=model.UpstreamTimeouts(connect=0.5, stream=chance.choice(_STREAM)),
        slow_start=0.0,
        send_proxy=chance.choice((None, "v1")),
    )
