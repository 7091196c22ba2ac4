"""How a request is answered: all that the same head brings each time it comes."""

from __future__ import annotations

from weakref import ref

import attrs

from lbproxy.config.model import Route
from lbproxy.errors import BodyTooLarge, Stage
from lbproxy.forward.fields import RequestTemplate, upgrade_to
from lbproxy.forward.hash_key import HashKey, hash_key
from lbproxy.forward.retry import MethodClass, Verdict, may_retry, method_class
from lbproxy.http1.message import NONE, RequestHead
from lbproxy.proxy.upstreams import Upstreams
from lbproxy.static.files import FileAnswer, Folder


def body_too_large(route: Route) -> BodyTooLarge:
    """The error for a request whose body is longer than its route allows."""
    knob = f"routes[path={route.path}].max_body"
    return BodyTooLarge(f"The body is longer than {route.max_body} bytes.", knob=knob)


@attrs.define(init=False)
class Plan:
    """What is decided once for a head that is forwarded, and holds as long as the config does.

    Attributes:
        route: The route that matched.
        upstreams: The pool that the route names.
        head: The request.
        asked: As the access log has it.
        method_class: What may be retried.
        upgrade: The protocol that it may switch to, or `None`.
        template: The head as a backend gets it.
        hash_key: Gives what the pool's policy hashes; `None` if it hashes nothing.
        patience: Seconds of one try, if it may then be sent elsewhere; `None` else.
        hedged: Whether a second backend may be asked as well: GET and HEAD without a body.
    """

    route: Route
    upstreams: Upstreams
    head: RequestHead
    asked: str
    method_class: MethodClass
    upgrade: bytes | None
    template: RequestTemplate
    hash_key: HashKey | None
    patience: float | None
    hedged: bool

    def __init__(
        self,
        route: Route,
        upstreams: Upstreams,
        head: RequestHead,
        target: bytes,
        host: bytes,
        asked: str,
    ) -> None:
        """Plan.

        Args:
            route: The route that matched.
            upstreams: The pool that the route names.
            head: The request.
            target: The request-target in origin form.
            host: The authority that was asked for.
            asked: As the access log has it.
        """
        self.route = route
        self.upstreams = upstreams
        self.head = head
        self.asked = asked
        self.method_class = method_class(head)
        self.upgrade = upgrade_to(head)
        self.template = RequestTemplate(head, target, host, self.upgrade)
        hashed = upstreams.pool.config.hash_key
        self.hash_key = None if hashed is None else hash_key(hashed.key, head, target)
        again = may_retry(Stage.TIMED_OUT, self.method_class) is not Verdict.NO
        self.patience = upstreams.pool.config.retry.timeout if again else None
        self.hedged = (
            upstreams.hedging is not None
            and head.method in (b"GET", b"HEAD")
            and head.framing is NONE
            and self.upgrade is None
        )


@attrs.define
class FolderPlan:
    """The same for a head that asks for a file.

    Attributes:
        route: The route that matched.
        folder: The one that the route names.
        head: The request.
        path: Of the file below the folder, as it came.
        asked: As the access log has it.
    """

    route: Route
    folder: Folder
    head: RequestHead
    path: bytes
    asked: str
    # Weak, since the cache answers for the memory that answers take.
    _last: ref[FileAnswer] | None = None

    def answer(self) -> FileAnswer:
        """What the folder answers at present.

        Raises:
            ProxyError: Instead of an answer.
        """
        last = None if self._last is None else self._last()
        if last is not None and self.folder.holds(last):
            return last
        answer = self.folder.answer(self.head.method, self.path, self.head.values)
        if answer.key is not None:
            self._last = ref(answer)
        return answer
