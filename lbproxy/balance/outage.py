"""While no backend of a pool can take anything, and when the first comes back."""

from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.health.slow_start import share


def is_shut(pool: Pool) -> bool:
    """Whether no backend could take anything: each that would be chosen refuses connections."""
    return not any(backend.reached for backend in _eligible(pool))


def shut(pool: Pool) -> frozenset[Backend]:
    """Those available that refuse connections, as long as there are others."""
    able = [backend for backend in pool.backends if backend.available]
    if not any(backend.reached for backend in able):
        return frozenset()
    return frozenset(backend for backend in able if not backend.reached)


def takes_held(pool: Pool, now: float) -> bool:
    """Whether one more of the requests that were held may go, by what those who are back can bear.

    Of what it may have in flight a backend bears 10 % at first, and all after `slow_start`, like
    the share of one that starts slowly: what has waited must not come at once. It bears one always.

    Args:
        pool: Whose requests they are.
        now: The present time, in the clock's seconds.
    """
    return any(
        backend.reached and backend.in_flight < _bears(pool, backend, now)
        for backend in _eligible(pool)
    )


def _eligible(pool: Pool) -> list[Backend]:
    """Those that are available, or if nobody is, those that could be the last resort."""
    weighty = [backend for backend in pool.backends if backend.weight > 0]
    return [backend for backend in weighty if backend.available] or weighty


def _bears(pool: Pool, backend: Backend, now: float) -> int:
    part = share(max(backend.back, backend.since), now, pool.config.slow_start)
    return max(1, int(part * backend.limit))
