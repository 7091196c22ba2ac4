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


class Reloader:
    """Reads the config again when it is asked to, and has it served.

    Attributes:
        config: The one that is served, as it was read.
    """

    log = Logger()

    def __init__(
        self, config: Config, read: Callable[[], Config], parent: Parent, workers: Workers
    ) -> None:
        """Prepare.

        Args:
            config: The one that is served.
            read: Reads it again; raises `ConfigError` if it is wrong.
            parent: Has it served.
            workers: Open what is new in it.
        """
        self.config = config
        self._read = read
        self._parent = parent
        self._workers = workers
        self._turn = DeferredLock()

    def reload(self) -> Deferred[Plan]:
        """Read the config, and have it served if all of it can be.

        Fires with what was changed when the workers have been told of it; or fails with
        `ReloadRefused`, and nothing was changed. The access log is opened anew in either case: it
        may have been rotated.
        """
        return self._turn.run(Deferred.fromCoroutine, self._reload())

    async def _reload(self) -> Plan:
        try:
            plan = await self._try()
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
        config = self._read()
        plan = compare(self.config, config)
        if plan.needs_restart:
            told = "\n".join(f"{each}: needs a restart" for each in plan.needs_restart)
            raise ConfigError(told)
        self._workers.prepare(config)
        self.config = config
        await self._parent.serve(config)
        return plan

    def _reopen(self) -> None:
        try:
            self._workers.reopen()
        except OSError as error:
            self.log.error("access_log: cannot be opened anew: {error}", error=error)
        else:
            self._parent.reopen()
