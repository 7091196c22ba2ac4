"""What a pool becomes by the answers of DNS."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.model import Backend, Pool
from lbproxy.discovery.answer import Answer, Place, Question
from lbproxy.discovery.members import MOST, configured_name, expanded, goes_by, question_of

API = Question("api.test")
SERVICE = Question("_http._tcp.shop.test", service=True)

STATIC = Backend("static", "10.9.9.9:80")


def answer(*places: Place) -> Answer:
    """An answer."""
    return Answer(frozenset(places), 60.0)


class QuestionTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Names are asked for, as are services; case is nothing, and the port is not asked."""
        for address in ("api.test:80", "API.test:81"):
            self.assertEqual(question_of(address), API)
        self.assertEqual(question_of("srv:_http._tcp.SHOP.test"), SERVICE)
        self.assertEqual(question_of("api:80"), Question("api"))
        self.assertEqual(question_of("nolocalhost:80"), Question("nolocalhost"))

    def test_others(self) -> None:
        """What is an address already is not, nor what every system knows by itself."""
        for address in (
            *("127.0.0.1:80", "[::1]:80", "unix:/run/a.b:80"),
            *("localhost:80", "LocalHost.:80", "a.localhost:80"),
        ):
            self.assertIsNone(question_of(address), address)


class MembersTests(SynchronousTestCase):
    def members(
        self, backend: Backend, places: Iterable[Place], **more: Any
    ) -> tuple[Backend, ...]:
        """What a backend becomes in a pool."""
        pool = Pool("api", (backend, STATIC))
        pool = attrs.evolve(pool, **more)
        question = question_of(backend.address)
        assert question is not None
        *members, other = expanded(pool, {question: answer(*places)}).backends
        self.assertEqual(other, STATIC)
        return tuple(members)

    def test_each_address(self) -> None:
        """Each is a backend of its own, with all that the config says of the name."""
        klein = Backend("klein", "api.test:3001", 3, server="klein", backup=True)
        places = (Place("10.0.0.10"), Place("10.0.0.9"), Place("2001:db8::5"))
        self.assertEqual(
            self.members(klein, places),
            tuple(
                attrs.evolve(klein, name=f"klein@{where}", address=where)
                for where in ("10.0.0.9:3001", "10.0.0.10:3001", "[2001:db8::5]:3001")
            ),
        )

    def test_rest_stays(self) -> None:
        """The rest of the pool is as it was, and so is a name of which nothing is known."""
        pool = Pool("api", (STATIC, Backend("klein", "api.test:80")), slow_start=3.0)
        self.assertEqual(expanded(pool, {SERVICE: answer(Place("10.0.0.1", "a", 1))}), pool)
        now = expanded(pool, {API: answer(Place("10.0.0.1"))})
        self.assertEqual((now.name, now.slow_start, now.backends[0]), ("api", 3.0, STATIC))

    def test_service(self) -> None:
        """A target is named by its record, so that it keeps its keys at another address."""
        klein = Backend("klein", "srv:_http._tcp.shop.test", 2)
        places = (
            Place("10.0.0.2", "b.test", 82, priority=5, weight=0),
            Place("10.0.0.1", "a.test", 81, priority=5, weight=10),
            Place("10.0.0.3", "c.test", 83, priority=6, weight=10),
        )
        self.assertEqual(
            [
                (each.name, each.address, each.weight, each.record_weight, each.backup)
                for each in self.members(klein, places)
            ],
            [
                ("klein@a.test:81", "10.0.0.1:81", 20, 10, False),
                ("klein@b.test:82", "10.0.0.2:82", 2, 1, False),
                ("klein@c.test:83", "10.0.0.3:83", 20, 10, True),
            ],
        )

    def test_configured_backup(self) -> None:
        """A backup has no first tier, whatever the records say; a weight of 0 stays one."""
        klein = Backend("klein", "srv:_http._tcp.shop.test", 0, backup=True)
        (member,) = self.members(klein, [Place("10.0.0.1", "a.test", 81, weight=7)])
        told = member.weight, member.record_weight, member.backup
        self.assertEqual(told, (0, 7, True))

    def test_several_addresses_of_a_target(self) -> None:
        """Then they are told apart by the address; a target of the same name elsewhere is not."""
        klein = Backend("klein", "srv:_http._tcp.shop.test")
        places = (
            Place("10.0.0.1", "a.test", 81),
            Place("2001:db8::1", "a.test", 81),
            Place("10.0.0.1", "a.test", 82),
        )
        self.assertEqual(
            [(each.name, each.address) for each in self.members(klein, places)],
            [
                ("klein@a.test:81/10.0.0.1", "10.0.0.1:81"),
                ("klein@a.test:81/2001:db8::1", "[2001:db8::1]:81"),
                ("klein@a.test:82", "10.0.0.1:82"),
            ],
        )

    def test_same_place_twice(self) -> None:
        """Of records that say different things of one place the first in rank counts."""
        klein = Backend("klein", "srv:_http._tcp.shop.test")
        places = [
            Place("10.0.0.1", "a.test", 81, rank, weight)
            for rank, weight in ((2, 9), (1, 3), (1, 4))
        ]
        (member,) = self.members(klein, places)
        self.assertEqual((member.name, member.weight, member.backup), ("klein@a.test:81", 4, False))

    def test_order(self) -> None:
        """Answers in another order give the same pool."""
        places = [Place(f"10.0.0.{place}") for place in range(1, 30)]
        wanted = self.members(Backend("k", "api.test:80"), places)
        for seed in range(5):
            random.Random(seed).shuffle(places)
            self.assertEqual(self.members(Backend("k", "api.test:80"), places), wanted)

    def test_most(self) -> None:
        """Beyond a bound the highest addresses are left out, at every balancer the same ones."""
        places = [Place(f"10.0.{place >> 8}.{place & 255}") for place in range(MOST + 5)]
        members = self.members(Backend("k", "api.test:80"), places)
        self.assertEqual((len(members), members[-1].address), (MOST, "10.0.3.231:80"))

    def test_certificates(self) -> None:
        """Their certificate is for the name, as it is without DNS, unless the config says which."""
        place = [Place("10.0.0.1")]
        name = Backend("k", "api.test.:80")
        self.assertIsNone(self.members(name, place)[0].sni)
        (member,) = self.members(name, place, tls=True)
        self.assertEqual(member.sni, "api.test")
        (member,) = self.members(name, place, tls=True, sni="shop.test")
        self.assertEqual(member.sni, "shop.test")
        (member,) = self.members(attrs.evolve(name, tls=True, sni="own.test"), place)
        self.assertEqual(member.sni, "own.test")
        service = Backend("k", "srv:_http._tcp.shop.test", tls=True, verify=False)
        (member,) = self.members(service, [Place("10.0.0.1", "a.test", 81)])
        self.assertEqual(member.sni, "a.test")

    def test_configured_name(self) -> None:
        """From a member's name to the one in the config."""
        for name in ("klein", "klein@10.0.0.1:80", "klein@a.test:81/10.0.0.1"):
            self.assertEqual(configured_name(name), "klein")

    def test_goes_by(self) -> None:
        """By its own name, and by that in the config; not by what these only begin with."""
        for name, own in (("klein@10.0.0.1:80", True), ("klein", True), ("klein@", False)):
            self.assertIs(goes_by("klein@10.0.0.1:80", name), own, name)
        self.assertFalse(goes_by("klein", "klein@10.0.0.1:80"))
        self.assertFalse(goes_by("klein2@10.0.0.1:80", "klein"))


class AnswerTests(SynchronousTestCase):
    def test_unanswered(self) -> None:
        """Of what could not be asked the last that was known is kept, and of nothing else."""
        before = answer(
            *(Place("10.0.0.1"), Place("2001:db8::1")),
            *(Place("10.0.0.3", "a.test", 81), Place("10.0.0.4", "b.test", 81)),
        )
        now = Answer(frozenset({Place("10.0.0.2")}), 5.0, frozenset({("", 6), ("b.test", 4)}))
        kept = {Place("10.0.0.2"), Place("2001:db8::1"), Place("10.0.0.4", "b.test", 81)}
        self.assertEqual(now.after(before).places, kept)
        self.assertEqual(now.after(before).ttl, 5.0)
        self.assertEqual(now.after(None), now)
        self.assertEqual(answer(Place("10.0.0.2")).after(before), answer(Place("10.0.0.2")))
