"""Who is next, in turn."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.balance import round_robin
from lbproxy.balance.round_robin import RoundRobin
from tests.balance.candidates import One

SHARES = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def candidates(*shares: float) -> list[One]:
    """As many, named a, b, c, ..."""
    return [One(name, share=share) for name, share in zip("abcdef", shares, strict=False)]


def chosen(policy: RoundRobin, among: list[One], times: int) -> str:
    """The names of so many choices."""
    return "".join(policy.choose(among, 0.0, None).name for _ in range(times))


class Watched(One):
    """A candidate that counts how often somebody looks at its share."""

    looks = 0

    def __getattribute__(self, name: str) -> object:
        if name == "share":
            Watched.looks += 1
        return super().__getattribute__(name)


class RoundRobinTests(SynchronousTestCase):
    def test_turns(self) -> None:
        """Equal ones have their turns; one alone has all."""
        self.assertEqual(chosen(RoundRobin(), candidates(1.0, 1.0), 6), "ababab")
        self.assertEqual(chosen(RoundRobin(), candidates(7.0, 7.0, 7.0), 7), "abcabca")
        self.assertEqual(chosen(RoundRobin(), candidates(3.0), 3), "aaa")

    def test_smooth(self) -> None:
        """The turns of a heavy one are spread."""
        self.assertEqual(chosen(RoundRobin(), candidates(5.0, 1.0, 1.0), 14), "abaacaa" * 2)
        self.assertEqual(chosen(RoundRobin(), candidates(3.0, 1.0), 8), "abaa" * 2)

    @given(SHARES)
    def test_never_a_turn_off(self, shares: list[int]) -> None:
        """However many are chosen, nobody is a whole turn ahead of its share, or behind."""
        among = candidates(*map(float, shares))
        policy = RoundRobin()
        counted: Counter[str] = Counter()
        for count in range(1, 2 * sum(shares) + 1):
            counted[chosen(policy, among, 1)] += 1
            for each in among:
                due = count * each.share / sum(shares)
                self.assertLess(abs(counted[each.name] - due), 1.0)

    @given(SHARES)
    def test_shares(self, shares: list[int]) -> None:
        """Each has exactly its share, as often as all of them add up to, from the start on."""
        among = candidates(*map(float, shares))
        policy = RoundRobin()
        for _ in range(3):
            counted = Counter(chosen(policy, among, sum(shares)))
            self.assertEqual([counted[each.name] for each in among], shares)

    @given(SHARES, st.lists(st.integers(1, 30), max_size=6))
    def test_repeated(self, shares: list[int], runs: list[int]) -> None:
        """What is made beforehand is what would be chosen one by one, whatever comes between."""
        kept, single = candidates(*map(float, shares)), candidates(*map(float, shares))
        policy, plain = RoundRobin(), RoundRobin()
        for run in runs:
            names = "".join(plain.choose([*single], 0.0, None).name for _ in range(run))
            self.assertEqual(chosen(policy, kept, run), names)
            self.assertEqual(
                policy.choose(kept[-2:], 0.0, None).name, plain.choose(single[-2:], 0.0, None).name
            )

    @given(st.lists(st.tuples(st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 30)), max_size=5))
    def test_other_shares(self, courses: list[tuple[tuple[int, ...], int]]) -> None:
        """When shares change, what was made beforehand by the old ones is as if it had not been."""
        kept, single = candidates(1.0, 1.0, 1.0), candidates(1.0, 1.0, 1.0)
        policy, plain = RoundRobin(), RoundRobin()
        for shares, run in courses:
            for each, share in zip((*kept, *single), shares * 2, strict=True):
                each.share = float(share)
            kept = [*kept]  # As a pool does.
            names = "".join(plain.choose([*single], 0.0, None).name for _ in range(run))
            self.assertEqual(chosen(policy, kept, run), names)

    def test_broken_shares(self) -> None:
        """Shares that grow in a slow start are kept too, and so are very many."""
        counted = Counter(chosen(RoundRobin(), candidates(0.5, 1.0), 3000))
        self.assertEqual(counted, {"a": 1000, "b": 2000})
        self.patch(round_robin, "LONGEST", 4)
        self.assertEqual(chosen(RoundRobin(), candidates(5.0, 1.0, 1.0), 14), "abaacaa" * 2)

    @given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6), st.integers(0, 200))
    def test_any_shares(self, shares: list[float], run: int) -> None:
        """Whatever the shares are and were, each choice is one, and nobody is left out."""
        among = candidates(*shares)
        policy = RoundRobin()
        chosen(policy, among, run)
        for each in among:
            each.share = 1.0
        policy.choose([*among], 0.0, None)  # By which all stand where they are.
        late = sum(map(abs, (each.current for each in among)))
        counted = Counter(chosen(policy, [*among], 10 * len(among) + int(late)))
        self.assertEqual(set(counted), {each.name for each in among})

    def test_nobody_looks(self) -> None:
        """Once a list is known, a choice does not look at each of many, whatever their weights."""
        for heaviest in (1, 10):
            among = [Watched(str(place), share=1.0 + place % heaviest) for place in range(1000)]
            policy = RoundRobin()
            for _ in range(2):
                policy.choose(among, 0.0, None)
            Watched.looks = 0
            for _ in range(800):
                policy.choose(among, 0.0, None)
            self.assertEqual(Watched.looks, 0)

    def test_others_meanwhile(self) -> None:
        """A choice among some of them does not give anybody two turns in a row afterwards."""
        among = candidates(1.0, 1.0)
        policy = RoundRobin()
        turns = ""
        for _ in range(6):
            turns += chosen(policy, among, 1)
            if turns[-1] == "a":  # It fails each time, and the other one is taken.
                policy.choose(among[1:], 0.0, None)
        self.assertNotIn("aa", turns)
        self.assertTrue(all(pair in {("a", "b"), ("b", "a")} for pair in pairwise(turns)))
