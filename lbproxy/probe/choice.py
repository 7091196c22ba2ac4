"""Which probe a pool has, by its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbproxy.config import model
from lbproxy.errors import not_made
from lbproxy.plugins import probe_maker
from lbproxy.probe.checks import Check
from lbproxy.probe.http import http_check
from lbproxy.probe.own import own_check
from lbproxy.probe.tcp import tcp_check
from lbproxy.transport.trust import Trust


def check_of(
    reactor: Any,
    pool: model.Pool,
    sessions: bool,
    trusts: Mapping[str, Trust],
    words: bytes = b"",
) -> Check:
    """The probe of a pool.

    Args:
        reactor: Network and time.
        pool: Its `health` decides; if that is `None`, nobody will ask.
        sessions: Whether only listeners in TCP mode have it: then it is only connected to, unless
            a path is given.
        trusts: How those of its backends that speak TLS do that, by name.
        words: What the backends await from each session before anything else.

    Raises:
        KeyError: If there is no such probe; the config refuses such a name before.
        ConfigError: If the user's own cannot be made for this config.
    """
    health = pool.health or model.Health()
    if health.check is not None:
        maker = probe_maker(health.check)
        if maker is None:
            raise KeyError(health.check)
        try:
            probe = maker.make(reactor, pool)
        except Exception as error:  # It may raise anything.
            raise not_made(f"pools.{pool.name}.health.check", health.check, error) from error
        return own_check(reactor, probe)
    if health.tcp or (sessions and health.path is None):
        return tcp_check(reactor, words)
    return http_check(reactor, health, trusts)
