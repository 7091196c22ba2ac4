"""The name `lean-epoll` for `twistd --reactor=`."""

from twisted.application.reactors import Reactor

lean_epoll = Reactor(
    "lean-epoll",
    "lbproxy.transport.reactor",
    "epoll(4) without a logging context around each event.",
)
