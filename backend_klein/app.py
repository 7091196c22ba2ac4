"""The Klein application: routes for the service's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from ordering.answers import Answer, refusal
from ordering.api import Api
from ordering.calls import BODY_LIMIT, Call
from ordering.command import store_url
from ordering.operations import OPERATIONS, Operation, unrouted
from ordering.problems import NotFound
from ordering.store import Store


class OrderingResource(KleinResource):
    """Klein's, but a path that is no UTF-8 gets a problem as any other unknown one."""

    def render(self, request: Any) -> Any:
        """Answer a request."""
        call = _call(request)
        if not call.readable:
            return _send(request, refusal(unrouted(NotFound.status, None, call), call))
        return super().render(request)


def create_resource(api: Api, reactor: Any, pool: ThreadPool) -> OrderingResource:
    """The application as a resource.

    Args:
        api: What answers.
        reactor: Provides `IReactorFromThreads`.
        pool: Where the store is asked: a commit waits for the disk, and before that perhaps for
            another process, which must not hold up the reactor.
    """
    app = Klein()
    app.url_map.merge_slashes = False  # It would answer with a redirect.
    for operation in OPERATIONS:
        view = _view(api, operation, reactor, pool)
        view.__name__ = operation.name
        app.route(operation.path, methods=[operation.method])(view)

    @app.handle_errors(HTTPException)
    def refuse(request: Any, failure: Failure) -> bytes:
        call = _call(request)
        error: Any = failure.value
        allowed = getattr(error, "valid_methods", None)
        return _send(request, refusal(unrouted(error.code, allowed, call), call))

    return OrderingResource(app)


def resource() -> OrderingResource:
    """The application for `twistd web`, with the store that `DATABASE_URL` tells."""
    from twisted.internet import reactor

    pool = reactor.getThreadPool()  # type: ignore[attr-defined]
    return create_resource(Api(Store(store_url(), pool.max), "klein"), reactor, pool)


def _view(
    api: Api, operation: Operation, reactor: Any, pool: ThreadPool
) -> Callable[..., bytes | Deferred[bytes]]:
    def view(request: Request, **arguments: str) -> bytes | Deferred[bytes]:
        call = _call(request, arguments)
        if operation.run is Api.health:
            return _send(request, api.run(operation.run, call))
        asked = deferToThreadPool(reactor, pool, api.run, operation.run, call)
        return asked.addCallback(lambda answer: _send(request, answer))

    return view


def _call(request: Request, arguments: dict[str, str] | None = None) -> Call:
    assert request.content is not None
    request.content.seek(0)
    return Call(
        method=request.method.decode("latin-1"),
        target=request.uri.decode("latin-1"),
        fields={
            name.decode("latin-1").lower(): b",".join(values).decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        },
        body=request.content.read(BODY_LIMIT + 1),
        arguments=arguments or {},
    )


def _send(request: Request, answer: Answer) -> bytes:
    request.setResponseCode(answer.status)
    for name, value in answer.fields:
        request.responseHeaders.setRawHeaders(name, [value])
    return answer.body
