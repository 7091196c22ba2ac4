"""The eight rules, each of which says what in a history breaks it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from lbproxy.testing.orders.history import History, Order, Outcome
from lbproxy.testing.orders.linear import Act, linear

#: The state of an order that does not exist yet.
_NONE = ""


def broken(history: History) -> list[str]:
    """What breaks any of the rules."""
    return [what for rule in RULES for what in rule(history)]


def acknowledged_exist_once(history: History) -> Iterator[str]:
    """1. An order that was acknowledged exists, once."""
    ids = Counter(order.id for order in history.stored)
    for place in history.places:
        if place.outcome is Outcome.OK:
            assert place.order is not None
            times = ids[place.order.id]
            if times != 1 or place.order.token != place.token:
                yield f"{place.token} was acknowledged as {place.order.id}: there are {times}"


def one_for_each_token(history: History) -> Iterator[str]:
    """2. What was posted is there once at most, also if nobody knows what became of it."""
    for token, times in Counter(order.token for order in history.stored).items():
        if times > 1:
            yield f"{token} was ordered once, and there are {times}"


def totals_are_sums(history: History) -> Iterator[str]:
    """3. What is to be paid is the sum of what was ordered, at the prices of then."""
    accepted: dict[str, Order] = {}
    for order in (*history.seen, *history.stored):
        if order.total != sum(price * quantity for price, quantity in order.lines):
            yield f"{order.id} costs {order.total}, which is not the sum of {order.lines}"
        first = accepted.setdefault(order.id, order)
        if first.lines != order.lines:
            yield f"{order.id} is {first.lines} for some, and {order.lines} for others"


def statuses_are_paths(history: History) -> Iterator[str]:
    """4. An order goes from status to status by the table, and takes no step twice."""
    paths: dict[str, list[str]] = defaultdict(list)
    for event in history.events:
        paths[event.id].append(event.status)
    for order in history.stored:
        path = paths.pop(order.id, [])
        allowed = path[:1] == [history.first] and all(
            after in history.steps[before] for before, after in pairwise(path)
        )
        if not allowed or path[-1] != order.status:
            yield f"{order.id} is {order.status}, and went {' -> '.join(path) or 'nowhere'}"
    for left in paths:
        yield f"there are events of {left}, which is no order"


def reads_are_linear(history: History) -> Iterator[str]:
    """5. What was seen of an order fits some order of all that was done to it."""
    by_order: dict[str, list[Act]] = defaultdict(list)
    known = {order.token: order.id for order in history.stored}
    for place in history.places:
        order_id = known.get(place.token) if place.order is None else place.order.id
        if order_id is not None and place.outcome is not Outcome.REFUSED:
            certain = place.outcome is Outcome.OK
            by_order[order_id].append(_act(place.begin, place.end, _placed(history), certain))
    for move in history.moves:
        if move.outcome is not Outcome.REFUSED:
            certain = move.outcome is Outcome.OK
            step = _moved(history, move.to)
            by_order[move.id].append(_act(move.begin, move.end, step, certain))
    for read in history.reads:
        for order in read.orders:
            by_order[order.id].append(Act(read.begin, read.end, _seen(order.status)))
    for order_id, acts in by_order.items():
        if not linear(acts, _NONE):
            yield f"{order_id} was seen in states that no order of events explains"


def backends_agree(history: History) -> Iterator[str]:
    """6. At rest all backends give the same bytes for an order, and the same tag."""
    (first, answers), *others = history.shown.items() or (("", {}),)
    for name, shown in others:
        for order_id in answers.keys() | shown.keys():
            if answers.get(order_id) != shown.get(order_id):
                yield f"{first} and {name} do not give the same answer for {order_id}"


def followers_miss_nothing(history: History) -> Iterator[str]:
    """7. Who follows the events and resumes sees each once, in order."""
    numbers = [event.number for event in history.events]
    if numbers != sorted(set(numbers)):
        yield "two events have one number"
    for follow in history.follows:
        since = [event for event in history.events if event.number > follow.after]
        if list(follow.events) != since[: len(follow.events)]:
            got = [event.number for event in follow.events]
            yield f"who followed from {follow.after} on was told of {got}"


def nothing_is_invented(history: History) -> Iterator[str]:
    """8. No answer has an order that nobody has posted."""
    posted = {place.token for place in history.places}
    stored = {order.id for order in history.stored}
    for order in history.seen:
        if order.token not in posted or order.id not in stored:
            yield f"an answer had {order.id}, {order.token!r}, which nobody has posted"
    for order in history.stored:
        if order.token not in posted:
            yield f"there is {order.id}, {order.token!r}, which nobody has posted"


RULES: tuple[Callable[[History], Iterator[str]], ...] = (
    acknowledged_exist_once,
    one_for_each_token,
    totals_are_sums,
    statuses_are_paths,
    reads_are_linear,
    backends_agree,
    followers_miss_nothing,
    nothing_is_invented,
)


def _act(begin: float, end: float, apply: Callable[[str], Iterable[str]], certain: bool) -> Act:
    """What is not certain may still happen after its client has given it up."""
    return Act(begin, end if certain else float("inf"), apply, certain)


def _placed(history: History) -> Callable[[str], Iterable[str]]:
    """Posted again, an order that is there stays as it is."""
    return lambda state: (history.first,) if state == _NONE else (state,)


def _moved(history: History, to: str) -> Callable[[str], Iterable[str]]:
    return lambda state: (to,) if to in history.steps.get(state, ()) else ()


def _seen(status: str) -> Callable[[str], Iterable[str]]:
    return lambda state: (state,) if state == status else ()
