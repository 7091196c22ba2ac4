"""The steps of a roll: what is done with one backend before it is the next one's turn."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from math import inf
from typing import Any

import attrs
from twisted.internet.defer import CancelledError

from lbproxy.cli import found, words
from lbproxy.cli.client import Client, Failed
from lbproxy.cli.restart import Restart
from lbproxy.errors import listed


class Stopped(Failed):
    """A step is not taken to its end; the text says too how its backend is left."""


@attrs.frozen
class Step:
    """One program that is started anew, and all backends that it is.

    Attributes:
        address: Where it listens.
        members: Pools and backends, by name: one program may be in several pools, and takes
            requests from each of them.
        supervised: Whether the balancer can start it anew itself.
    """

    address: str
    members: tuple[tuple[str, str], ...]
    supervised: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(f"{pool}/{backend}" for pool, backend in self.members)


def steps_of(status: dict[str, Any], pool: str | None) -> list[Step]:
    """What is to be rolled, in the order of the config.

    Args:
        status: How all is.
        pool: Only the backends of this one, in whatever other pools they are.

    Raises:
        Failed: If there is no such pool.
    """
    pools = status["pools"]
    if pool is not None and pool not in [each["name"] for each in pools]:
        raise Failed(f'there is no pool "{pool}"')
    members: dict[str, list[tuple[str, str]]] = {}
    wanted, supervised = set(), set()
    for each in pools:
        for backend in each["backends"]:
            address = backend["address"]
            members.setdefault(address, []).append((each["name"], backend["name"]))
            if pool in (None, each["name"]):
                wanted.add(address)
            if backend["supervised"]:
                supervised.add(address)
    return [
        Step(address, tuple(named), address in supervised)
        for address, named in members.items()
        if address in wanted
    ]


class Roll:
    """Takes one step after another."""

    def __init__(
        self,
        client: Client,
        asked: argparse.Namespace,
        restart: Restart | None,
        say: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            client: Asks the balancer.
            asked: The command line.
            restart: Starts a backend anew; without it the balancer does.
            say: Takes each line for people.
        """
        self._client = client
        self._asked = asked
        self._restart = restart
        self._say = say

    def check(self, steps: Sequence[Step]) -> None:
        """See before the first step that all of them can be started anew.

        Raises:
            Failed: If one cannot.
        """
        if self._restart is not None:
            for step in steps:
                self._restart.check(step.members[0][1], step.address)
            return
        others = [step.name for step in steps if not step.supervised]
        if others:
            raise Failed(
                f"the balancer can only restart what it supervises (--with-backends), which"
                f" {listed(others)} is not; nothing was done, say with --command what restarts it"
            )

    async def take(self, step: Step) -> None:
        """Take a step.

        Raises:
            Failed: If the backend does not come back, or cannot be taken out, with how it is left.
        """
        before = await self._look(step)
        needed = [each["pool"] for each in before if each["backend"]["available"]]
        self._check(step, before, needed)
        ours = []
        for told in before:
            backend = told["backend"]
            # A drain that it has asked for itself, as one that ends does, is over with its restart.
            its_own = backend["drain"] is None and words.asks_for_none(backend)
            if backend["draining"] and not its_own and not self._has_left(backend):
                notes = words.notes(backend)
                self._say(f"{words.name(told, backend)}: {notes}; it stays so")
            else:
                ours.append((told["pool"], backend["name"]))
        try:
            await self._tell("/drain", ours)
            await self._empty(step, ours, needed)
            await self._start_anew(step)
            await self._tell("/undrain", ours)
        except Stopped:
            raise
        except found.Gone as error:
            left = [each for each in ours if each != error.names]
            others = f"; {self._left(left)}" if left else ""
            raise Stopped(
                f"{error}, nor is its drain, unless {step.address} has another name now{others}"
            ) from None
        except Failed as error:
            raise Stopped(f"{step.name}: {error}; {self._left(ours)}") from None
        except CancelledError:
            raise Stopped(f"interrupted; {self._left(ours)}") from None
        if ours:
            try:
                await self._warm(step)
            except CancelledError:
                raise Stopped(f"interrupted; {step.name} takes requests again") from None

    # The rest is ours.

    def _has_left(self, backend: dict[str, Any]) -> bool:
        """Whether a roll like this one has ended and left a backend drained."""
        drain, asked = backend["drain"], self._asked
        if drain is None or drain["backend"] != backend["name"] or drain["until"] is not None:
            return False
        return (drain["author"], drain["reason"]) == (asked.author, asked.reason)

    async def _empty(self, step: Step, ours: list[tuple[str, str]], needed: list[str]) -> None:
        """Wait until it has finished, and look meanwhile whether it is still to be spared."""
        alone = again = False

        async def finished() -> bool:
            nonlocal alone, again
            told = await self._look(step)
            alone, again = self._is_alone(told, needed), _takes_requests(told)
            return alone or again or all(map(found.is_idle, told))

        self._say(f"{step.name}: drained, finishing what it has")
        seconds = self._asked.timeout
        finishes = await self._client.eventually(seconds, finished)
        if finishes and not (alone or again):
            return
        await self._tell("/undrain", ours)
        why = f"has not finished after {seconds:g} s"
        if again:
            why = "takes requests again: its drain was ended meanwhile"
        if alone:
            why = "is needed: no other backend takes requests any more"
        raise Stopped(f"{step.name} {why}; it was not restarted, and takes requests as before")

    async def _start_anew(self, step: Step) -> None:
        self._say(f"{step.name}: restarting")
        if self._restart is not None:
            reactor, seconds = self._client.reactor, self._asked.timeout
            await self._restart.run(reactor, step.members[0][1], step.address, seconds)
        else:
            await self._tell("/restart", step.members[:1])
        since = (await self._client.status())["now"]

        async def back() -> bool:
            return all(_answers(told["backend"], since) for told in await self._look(step))

        if not await self._client.eventually(self._asked.timeout, back):
            last = words.probe((await self._look(step))[0]["backend"])
            raise Failed(f"did not come back within {self._asked.timeout:g} s, last probe: {last}")

    async def _warm(self, step: Step) -> None:
        """Wait until it has its whole share, or for a pause."""
        self._say(f"{step.name}: is back, and takes requests")
        pause = self._asked.pause
        end = None if pause is None else self._client.reactor.seconds() + pause

        async def warm() -> bool:
            told = await self._look(step)
            if not all(each["backend"]["available"] for each in told):
                raise Failed(f"{step.name} takes no requests any more while it is warming up")
            if end is not None:
                return bool(self._client.reactor.seconds() >= end)
            return not any(each["backend"]["starting"] for each in told)

        await self._client.eventually(inf, warm)

    def _check(self, step: Step, told: list[dict[str, Any]], needed: list[str]) -> None:
        """Look before the leap: would its return be noticed, and does anybody else do its work?"""
        for each in told:
            pool = each["pool"]
            if not each["probed"]:
                raise Failed(
                    f"nobody would notice whether {words.name(each, each['backend'])} comes back,"
                    f" since pools.{pool}.health is false; nothing was done"
                )
        if self._is_alone(told, needed):
            raise Failed(
                f"no other backend takes requests now, so that restarting {step.name} would leave"
                " them without an answer; nothing was done, --force does it"
            )

    def _left(self, members: Sequence[tuple[str, str]]) -> str:
        """How backends are left that are to take no requests until somebody has looked at them."""
        if not members:
            return "it stays drained as it was before"
        named = (words.command(self._asked, "undrain", pool, name) for pool, name in members)
        return f"it stays drained, until: {' && '.join(named)}"

    def _is_alone(self, told: list[dict[str, Any]], needed: list[str]) -> bool:
        """Whether requests of a pool in which it takes some would have nobody to go to."""
        alone = [each["pool"] for each in told if not each["others"]]
        return not self._asked.force and not set(needed).isdisjoint(alone)

    async def _tell(self, path: str, members: Iterable[tuple[str, str]]) -> None:
        for pool, backend in members:
            said = {"author": self._asked.author, "reason": self._asked.reason}
            await self._client.tell(path, {"pool": pool, "backend": backend, **said})

    async def _look(self, step: Step) -> list[dict[str, Any]]:
        """How each member of a step is; and whether it is probed, and has others beside it."""
        status = await self._client.status()
        pools = {pool["name"]: pool for pool in status["pools"]}
        looked = []
        for pool, backend in step.members:
            told = found.one(status, pool, backend)
            others = [
                each["available"]
                for each in pools[pool]["backends"]
                if each["address"] != step.address
            ]
            looked.append({**told, "probed": pools[pool]["probed"], "others": any(others)})
        return looked


def _takes_requests(told: list[dict[str, Any]]) -> bool:
    """Whether a step would cut some: the drain of a member has been ended, or was over."""
    return not all(each["backend"]["draining"] for each in told)


def _answers(backend: dict[str, Any], since: str) -> bool:
    """Whether it is up by a probe that ended after a time.

    Before it the verdict may still be about the process that was: a restart can be too fast to
    turn it.
    """
    probe = backend["last_probe"]
    return (
        backend["state"] == "up"
        and probe["passed"]
        and datetime.fromisoformat(probe["at"]) > datetime.fromisoformat(since)
    )
