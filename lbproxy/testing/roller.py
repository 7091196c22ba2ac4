"""Who rolls the first pool: with the command itself, and backends that are simulated."""

from __future__ import annotations

import argparse
import shlex
from functools import cache
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from lbproxy.cli import drain, roll
from lbproxy.cli.arguments import said
from lbproxy.cli.client import Client, Failed
from lbproxy.cli.restart import Restart
from lbproxy.testing.admin import Exchange, Visitor
from lbproxy.testing.changes import Change
from lbproxy.testing.people import Expected
from lbproxy.testing.rolls import Course

if TYPE_CHECKING:
    from lbproxy.testing.plan import Rolling
    from lbproxy.testing.world import World

#: Seconds that a command takes which starts a backend anew; it does not wait for that to be back.
_COMMAND = 0.2

#: Seconds in which somebody copies what a roll has printed.
_COPYING = 0.5

#: What stands before the commands that end what a roll has left.
_UNTIL = "until: "


class Roller:
    """Somebody, once.

    Attributes:
        course: What was seen of it.
        latest: Seconds from the beginning after which nothing of it can be left.
        settled: Whether nothing is: it has ended, who was restarted is back, and what was printed
            is done.
    """

    def __init__(self, world: World, rolling: Rolling) -> None:
        """Prepare.

        Args:
            world: Has the balancer.
            rolling: How it is done.
        """
        self._world = world
        self._rolling = rolling
        self._client: Client
        self._expected: Expected
        self.course = Course(world, rolling.force)
        self.latest = rolling.at + rolling.interrupted + max(rolling.downs) + 2 * _COPYING + 1.0
        self.settled = False

    def start(self) -> None:
        """Begin when it is time."""
        self._world.clock.callLater(self._rolling.at, self._begin)

    # What is heard at the pages.

    @property
    def open(self) -> bool:
        """Whether the balancer still answers."""
        return self._world.ended_at is None

    def asked(self, path: str, said: Any, exchange: Exchange) -> None:
        """A page was asked just now, which has done what it does at once."""
        if said is None:
            self.course.looks()
        elif not exchange.refused:
            self._world.tell("roll", path, said["backend"])
            kind = {"/drain": "drained", "/undrain": "undrained"}[path]
            self._expected = self._world.operator.hear(Change(kind, 0.0), said["backend"])
            self.course.told(kind, said["backend"])

    def answered(self, path: str, said: Any, document: Any) -> None:
        """It has answered."""
        if said is None:
            self.course.looked(document)
        elif "changed" in document:
            self._world.operator.check(document, self._expected)

    # The rest is ours.

    def _begin(self) -> None:
        world, rolling = self._world, self._rolling
        if world.stopped is not None:
            self.settled = True
            return
        world.tell("roll")
        world.happened("roll")
        self._client = Visitor(world.reactor, world.operator.admin, self)
        asked = _read(_words(rolling))
        story = Deferred.fromCoroutine(self._roll(asked))
        ends = world.clock.callLater(rolling.interrupted, story.cancel)

        def ended(why: str | None) -> None:
            if ends.active():
                ends.cancel()
            elif why is not None:
                world.happened("roll_interrupted")
            world.tell("roll ends", why)
            commands = _commands(why)
            self.course.ended(why, [command.name for command in commands])
            Deferred.fromCoroutine(self._undrain(commands)).addErrback(self._broke)

        story.addCallback(ended).addErrback(self._broke)

    async def _roll(self, asked: argparse.Namespace) -> str | None:
        """Roll; why that has stopped before its end, if it has."""
        restart = _Simulated(self._world, self._rolling, self.course)
        lines: list[str] = []
        try:
            await roll.rolled(self._client, asked, restart, lines.append, lines.append)
        except Failed as error:
            return str(error)
        except CancelledError:
            return "interrupted"
        return None

    async def _undrain(self, commands: list[argparse.Namespace]) -> None:
        """Do what was printed, once all are back."""
        world = self._world
        if commands:
            world.happened("roll_left")
        back = max(self.course.back - world.reactor.now, 0.0)
        await deferLater(world.reactor, back + _COPYING)
        for asked in commands:
            try:
                await self._client.tell("/undrain", said(asked))
                world.happened("roll_undrained")
            except Failed as error:
                world.tell("not undrained", str(error))
        self.settled = True

    def _broke(self, failure: Any) -> None:
        self._world.violation(f"a roll broke: {failure.getTraceback()}")


class _Simulated(Restart):
    """Starts simulated backends anew."""

    def __init__(self, world: World, rolling: Rolling, course: Course) -> None:
        super().__init__("restart {name}")
        self._world = world
        self._rolling = rolling
        self._course = course

    def check(self, name: str, address: str) -> None:
        """There is such a program."""

    async def run(self, reactor: Any, name: str, address: str, seconds: float) -> None:
        """Kill all that listens at an address, and start it some time later."""
        world, rolling = self._world, self._rolling
        number = len(self._course.restarted)
        down = rolling.downs[number % len(rolling.downs)]
        world.tell("restart", name, down)
        world.happened("roll_restart")
        self._course.restarts(name, address, down)
        for backend in self._course.at(address):
            backend.kill()
            reactor.callLater(down, backend.start)
        await deferLater(reactor, _COMMAND)
        if number == rolling.fails:
            raise Failed(f"restart {name} ended with exit status 1")


def _words(rolling: Rolling) -> list[str]:
    """The command line."""
    words = ["roll", "--pool", "api", "--author", "roller", "--command", "restart {name}"]
    words += ["--timeout", f"{rolling.timeout:g}"]
    if rolling.pause is not None:
        words += ["--pause", f"{rolling.pause:g}"]
    return [*words, "--force"] if rolling.force else words


def _commands(why: str | None) -> list[argparse.Namespace]:
    """What a roll that has stopped says is to be done, as it would be read from a shell."""
    _, _, told = (why or "").partition(_UNTIL)
    commands = []
    for command in filter(None, told.split(" && ")):
        program, *words = shlex.split(command)
        assert (program, words[0]) == ("lbproxy", "undrain"), command
        commands.append(_read([*words, "--author", "roller"]))
    return commands


def _read(words: list[str]) -> argparse.Namespace:
    return _parser().parse_args(words)


@cache
def _parser() -> argparse.ArgumentParser:
    """What reads the two commands, as `lbproxy.cli.main` does all."""
    made = argparse.ArgumentParser(prog="lbproxy")
    commands = made.add_subparsers(required=True)
    for command in (drain, roll):
        command.add_to(commands)
    return made
