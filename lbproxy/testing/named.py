"""What must be so of the backends that DNS knows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from lbproxy.config.model import DNS
from lbproxy.discovery.watch import JITTER, RETRY
from lbproxy.probe.prober import FIRST_ROUND
from lbproxy.testing.inside import number_of
from lbproxy.testing.nameserver import SLOWEST
from lbproxy.testing.people import BEFORE
from lbproxy.testing.reactor import EPOCH
from lbproxy.testing.world import World
from lbproxy.testing.zone import named_in


def names_settle(world: World) -> Iterator[str]:
    """Once DNS answers, who is there at the end is in the pool, and nobody else."""
    reactor, bound = world.reactor, _settling(world)
    if not reactor.run_until(reactor.now + bound, lambda: _settled(world)):
        found = [sorted(names) for names in world.inside.members()]
        wanted = sorted(each.name for each in world.operator.backends)
        yield f"after {bound:.1f} s the backends are {found}, and by DNS they are {wanted}"
    for backend in world.backends:
        ours = [link for link in backend.host.prune() if not link.skt.closed]
        if ours and world.weights.gone_at(backend.name) < reactor.now:
            yield f"{backend.name} has left, and there are connections to it"


def names_are_asked_again(world: World, until: float) -> Iterator[str]:
    """A name is looked up as often as its answers say, to the end, and after a failure as well."""
    names, having = world.names, _having(world)
    if names is None or not names.look_ups:
        return
    for look_up, following in pairwise([*names.look_ups, None]):
        assert look_up is not None
        if look_up.ended is None:  # It was given up, as at the end.
            continue
        held = [_held(look_up.ttl, dns) for dns in having]
        asked = min(until, _unnamed_at(world)) if following is None else following.asked
        after = asked - look_up.ended
        if after > max(held) * (1.0 + JITTER) + world.paused + 0.01:
            yield f"nobody asked for the name again for {after:.3f} s"
        if following is not None and after < min(held) * (1.0 - JITTER) - 1e-6 and len(having) == 1:
            yield f"somebody asked for the name again after {after:.3f} s already"


def the_gone_are_left_alone(world: World) -> Iterator[str]:
    """Who has left is not probed any more, and nobody keeps a connection to it."""
    health = world.pool.health
    patience = 1.0 if health is None else health.timeout + 1.0
    for backend in world.backends:
        gone = world.weights.gone_at(backend.name) + patience + world.lag + world.paused
        late = [at for at, _ in backend.probes if at > gone]
        if late:
            yield f"{backend.name} was probed at {late[0] - EPOCH:.3f}, and had left"


def the_unknown_are_not_chosen(world: World) -> Iterator[str]:
    """No request goes to a backend of whose name nothing is known."""
    named = world.plan.named
    for record, _ in world.records:
        if named is None or number_of(record) is None:
            continue
        for attempt in record.attempts:
            if attempt.backend == named.name:
                at = attempt.started - EPOCH
                yield f"{named.name}, of which nothing is known, was chosen at {at:.3f}"


def _settled(world: World) -> bool:
    if named_in(world.operator.config) is not None:
        assert world.names is not None
        if world.names.known != frozenset(world.names.zone.places):
            return False
    wanted = {each.name for each in world.operator.backends}
    at_rest = world.weights.at_rest(world.reactor.now)
    return at_rest and all(names == wanted for names in world.inside.members())


def _settling(world: World) -> float:
    """Seconds in which whatever DNS has is asked for, found, and followed."""
    assert world.names is not None
    told = [look_up.ttl for look_up in world.names.look_ups]
    held = [_held(ttl, dns) for ttl in (None, *told) for dns in _having(world)]
    return max(held) * (1.0 + JITTER) + 2 * SLOWEST + 2 * BEFORE * FIRST_ROUND + world.lag


def _having(world: World) -> set[DNS]:
    """How the name is asked for, by all configs that have it."""
    return {each.dns for each in world.plan.configs if named_in(each) is not None}


def _held(ttl: float | None, dns: DNS) -> float:
    """Seconds for which an answer holds, or a failure."""
    return min(max(RETRY if ttl is None else ttl, dns.min_ttl), dns.max_ttl)


def _unnamed_at(world: World) -> float:
    """When no config has the name any more."""
    named = world.plan.named
    if named is None or named_in(world.operator.config) is not None:
        return inf
    return min(
        (EPOCH + each.at for each in world.plan.reloads if named_in(each.config) is None),
        default=inf,
    )
