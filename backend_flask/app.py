"""The Flask application: routes for the service's operations."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound

from ordering.answers import Answer, refusal
from ordering.api import Api
from ordering.calls import BODY_LIMIT, Call
from ordering.command import store_url
from ordering.operations import OPERATIONS, Operation, unrouted
from ordering.store import Store


def create_app(url: str | None = None, threads: int = 8) -> Flask:
    """The application, with its `Api` as the extension `ordering`.

    Args:
        url: Of the store; without one, `DATABASE_URL` tells.
        threads: How many requests come at once.
    """
    store = Store(url or store_url(), threads)
    api = Api(store, "flask")
    app = Flask(__name__, static_folder=None)
    app.extensions["ordering"] = api
    app.url_map.merge_slashes = False  # It would answer with a redirect.
    for operation in OPERATIONS:
        app.add_url_rule(
            operation.path,
            operation.name,
            _view(api, operation),
            methods=[operation.method],
            provide_automatic_options=False,
        )

    @app.before_request
    def look() -> None:
        if not _call(b"").readable:
            raise NotFound

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        call = _call(b"")
        allowed = getattr(error, "valid_methods", None)
        return _response(refusal(unrouted(error.code, allowed, call), call))

    return app


def _view(api: Api, operation: Operation) -> Callable[..., Response]:
    def view(**arguments: str) -> Response:
        call = _call(request.stream.read(BODY_LIMIT + 1), arguments)
        return _response(api.run(operation.run, call))

    return view


def _call(body: bytes, arguments: dict[str, str] | None = None) -> Call:
    return Call(
        method=request.method,
        # The path of WSGI is decoded already, the target is as it came.
        target=request.environ["RAW_URI"],
        fields={name.lower(): value for name, value in request.headers.items()},
        body=body,
        arguments=arguments or {},
    )


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, list(answer.fields))
