"""How a request is forwarded: all that the same head brings each time it comes."""

from __future__ import annotations

import attrs

from lbproxy.config.model import Route
from lbproxy.forward.fields import RequestTemplate, upgrade_to
from lbproxy.forward.retry import MethodClass, method_class
from lbproxy.http1.message import RequestHead
from lbproxy.proxy.upstreams import Upstreams


@attrs.define(init=False)
class Plan:
    """What is decided once for a request's head, and holds as long as the config does.

    Attributes:
        route: The route that matched.
        upstreams: The pool that the route names.
        head: The request.
        asked: As the access log has it.
        method_class: What may be retried.
        upgrade: The protocol that it may switch to, or `None`.
        template: The head as a backend gets it.
    """

    route: Route
    upstreams: Upstreams
    head: RequestHead
    asked: str
    method_class: MethodClass
    upgrade: bytes | None
    template: RequestTemplate

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
