"""Taking a changed config while the balancer runs: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from lbproxy.config.difference import Plan, compare
from lbproxy.config.model import Config
from lbproxy.control.link import Workers
from lbproxy.control.parent import Parent
from lbproxy.errors import ConfigError, ReloadRefused
from lbproxy.observe.accesslog import check_writable


class Reloader:
    """Reads the config again when it is asked to, and has it served.

    Attributes:
        config: The one that is served, as it was read: with names where backends have names.
    """

    log = Logger()

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        expand: Callable[[Config], Config],
        parent: Parent,
        workers: Workers,
    ) -> None:
        """Prepare.

        Args:
            config: The one that is served.
            read: Reads it again; raises `ConfigError` if it is wrong.
            expand: Puts what is known of the names in a config in their place, and has them
                watched from now on.
            parent: Has it served.
            workers: Open what is new in it.
        """
        self.config = config
        self._read = read
        self._expand = expand
        self._parent = parent
        self._workers = workers
        self._turn = DeferredLock()
        self._outdated = False

    def reload(self) -> Deferred[Plan]:
        """Read the config, and have it served if all of it can be.

        Fires with what was changed when the workers have been told of it; or fails with
        `ReloadRefused`, and nothing was changed. The access log is opened anew in either case: it
        may have been rotated.
        """
        return self._turn.run(lambda: Deferred.fromCoroutine(self._reload()))

    def refresh(self) -> None:
        """Have the config served by what its names stand for now."""
        if self._outdated:
            return  # Somebody is about to do so.
        self._outdated = True
        served = self._turn.run(self._serve_as_it_is)
        served.addErrback(lambda failure: self.log.failure("names cannot be followed", failure))

    def _serve_as_it_is(self) -> Deferred[None]:
        self._outdated = False
        return self._parent.serve(self._expand(self.config))

    async def _reload(self) -> Plan:
        try:
            plan = await self._try()
        except ReloadRefused as error:  # At the end, which is nobody's mistake.
            self.log.warn("reload refused: {reason}", reason=error)
            self._reopen()
            raise
        except (ConfigError, OSError) as error:
            for line in str(error).splitlines():
                self.log.error("reload refused: {line}", line=line)
            self._reopen()
            raise ReloadRefused(str(error)) from None
        for line in plan.lines():
            self.log.info("reload: {line}", line=line)
        self._reopen()
        return plan

    async def _try(self) -> Plan:
        self._refuse_at_the_end()
        config = self._read()
        plan = compare(self.config, config)
        if plan.needs_restart:
            told = "\n".join(f"{each}: needs a restart" for each in plan.needs_restart)
            raise ConfigError(told)
        if config.access_log != self.config.access_log:
            check_writable(config.access_log)
        self._workers.prepare(config)
        try:
            self._parent.check(config)  # What is known of names is not touched yet.
            await self._parent.serve(self._expand(config))
            self._refuse_at_the_end()
        except Exception:
            self._workers.give_up()
            self._expand(self.config)
            raise
        self.config = config
        return plan

    def _refuse_at_the_end(self) -> None:
        if self._parent.draining:
            raise ReloadRefused("the balancer is about to end")

    def _reopen(self) -> None:
        try:
            self._workers.reopen()
            self._parent.reopen()
        except OSError as error:
            self.log.error("access_log: cannot be opened anew: {error}", error=error)
