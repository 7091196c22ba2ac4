"""What can be asked of the admin listener: how all is, and changes of what takes requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.compat import nativeString
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from lbproxy.balance.backend import Backend
from lbproxy.config import model
from lbproxy.config.difference import Plan
from lbproxy.control import question, report, status
from lbproxy.control.answers import document, problem, whole
from lbproxy.control.link import Names
from lbproxy.control.overrides import Note, Override
from lbproxy.control.parent import Parent
from lbproxy.control.present import present
from lbproxy.control.question import Question
from lbproxy.errors import AdminError, BadQuestion, Broken, NotPossible, listed
from lbproxy.observe import exposition

#: Reads the config again, and has it served. Fires with what has changed.
Reload = Callable[[], Deferred[Plan]]


class Supervises(Protocol):
    """Who runs backends as processes of the balancer's."""

    def supervises(self, backend: model.Backend) -> bool:
        """Whether a backend is one of those."""

    def start_anew(self, backend: model.Backend) -> Deferred[None]:
        """Start it anew. Fires when its next process was started.

        Raises:
            NotPossible: If it is none of those.
        """


class Pages:
    """Each by its path. What is posted is JSON, and so is each answer but `/metrics`."""

    app = Klein()
    log = Logger()

    def __init__(
        self,
        parent: Parent,
        reload: Reload,
        backends: Supervises | None = None,
        file: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            parent: Knows the whole, and changes it.
            reload: Reads the config again, and has it served; see `Reloader.reload`.
            backends: Those that are supervised, if any are.
            file: The path of the config, if it is a file.
        """
        self._parent = parent
        self._reload = reload
        self._backends = backends
        self._file = file

    # How it is.

    @app.route("/health", methods=["GET", "HEAD"])
    async def health(self, request: IRequest) -> bytes:
        """The health report, the same as on the public listeners."""
        await self._parent.fresh()
        code, body = report.health(self._parent.document())
        request.setResponseCode(code)
        return whole(request, "application/json", body)

    @app.route("/metrics", methods=["GET", "HEAD"])
    async def metrics(self, request: IRequest) -> bytes:
        """The metrics of all workers together, for Prometheus."""
        await self._parent.fresh()
        families = exposition.counted(self._parent.counts) + present(self._parent)
        return whole(request, exposition.CONTENT_TYPE, exposition.render(families).encode())

    @app.route("/status", methods=["GET", "HEAD"])
    async def status(self, request: IRequest) -> bytes:
        """The health report, and what is only for those who run the balancer."""
        complete = await self._parent.fresh()
        told = status.document(self._parent, complete, self._supervises)
        return document(request, {**told, "config": self._file})

    # Changes. Each answers when all workers have heard of it.

    @app.route("/drain", methods=["POST"])
    async def drain(self, request: IRequest) -> bytes:
        """Have a backend finish what it has, and get nothing new."""
        asked, names = self._asked(request, question.FOR_A_WHILE)
        replaced = self._parent.overrides.drain(names, asked.note)
        return await self._changed(request, names, True, replaced)

    @app.route("/undrain", methods=["POST"])
    async def undrain(self, request: IRequest) -> bytes:
        """End that."""
        asked, names = self._asked(request, question.BASE)
        changed = self._parent.overrides.undrain(names, asked.note)
        return await self._changed(request, names, changed)

    @app.route("/weight", methods=["POST"])
    async def weight(self, request: IRequest) -> bytes:
        """Give a backend another weight: 0 drains it, and null is the weight of the config."""
        asked, names = self._asked(request, question.WEIGHT)
        overrides, changed, replaced = self._parent.overrides, True, list[Override]()
        if asked.weight is None:
            changed = overrides.unweigh(names, asked.note)
        elif asked.weight == 0:
            replaced = overrides.drain(names, asked.note)
        else:
            replaced = overrides.weigh(names, asked.weight, asked.note)
        return await self._changed(request, names, changed, replaced)

    @app.route("/reload", methods=["POST"])
    async def reload(self, request: IRequest) -> bytes:
        """Have the config read again, and served if all of it can be."""
        asked = question.read(request, question.RELOAD)
        self.log.info("reload: asked for {note}", note=asked.note)
        plan = await self._reload()
        complete = await self._parent.fresh()
        told = {"config": self._file, "plan": plan.lines(), "complete": complete}
        return document(request, told)

    @app.route("/restart", methods=["POST"])
    async def restart(self, request: IRequest) -> bytes:
        """Start a backend anew that runs under the balancer's supervision."""
        asked, names = self._asked(request, question.BASE)
        if self._backends is None:
            raise NotPossible("the balancer supervises no backend: it runs without --with-backends")
        restarted = self._backends.start_anew(self._one(names).config)
        self._log_restart(names, asked.note)
        await restarted
        return await self._changed(request, names, True)

    # What is not done.

    @app.handle_errors(AdminError)
    def refused(self, request: IRequest, failure: Failure) -> bytes:
        """Something that was asked is not done."""
        error: Any = failure.value
        return problem(request, error)

    @app.handle_errors(HTTPException)
    def lost(self, request: IRequest, failure: Failure) -> bytes:
        """There is no such page, or not for this method."""
        error: Any = failure.value
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            request.setHeader("Allow", allowed)
            return problem(request, BadQuestion(f"only {allowed} can be asked of this", 405))
        return problem(request, BadQuestion("there is nothing here", error.code))

    @app.handle_errors(Exception)
    def broke(self, request: IRequest, failure: Failure) -> bytes:
        """A mistake of ours: whoever asks hears of it, and the log has all of it."""
        self.log.failure("{path} failed", failure, path=nativeString(request.path))
        return problem(request, Broken(f"{failure.getErrorMessage()}; the balancer's log has more"))

    # The rest is ours.

    def _asked(self, request: IRequest, keys: question.Keys) -> tuple[Question, Names]:
        asked = question.read(request, keys)
        pool, _ = self._parent.named(asked.backend, asked.pool)
        return asked, (pool.name, asked.backend)

    def _supervises(self, backend: model.Backend) -> bool:
        return self._backends is not None and self._backends.supervises(backend)

    def _one(self, names: Names) -> Backend:
        _, found = self._parent.named(*reversed(names))
        if len(found) > 1:
            there = listed([each.name for each in found])
            raise NotPossible(f'"{names[1]}" is {len(found)} backends, one at a time: {there}')
        return found[0]

    async def _changed(
        self, request: IRequest, names: Names, changed: bool, replaced: Sequence[Override] = ()
    ) -> bytes:
        complete = await self._parent.fresh()
        pool, name = names
        told: dict[str, Any] = {"pool": pool, "name": name}
        told["backends"] = found = status.named(self._parent, names, self._supervises)
        if found[0]["name"] == name:
            told["backend"] = found[0]
        told["replaced"] = [status.override(each) for each in replaced]
        return document(request, {**told, "changed": changed, "complete": complete})

    def _log_restart(self, names: Names, note: Note) -> None:
        pool, backend = names
        self.log.info(
            "{pool}/{backend} is started anew {note}", pool=pool, backend=backend, note=note
        )
