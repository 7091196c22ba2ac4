"""HAProxy, on one thread."""

from __future__ import annotations

import resource

from benchmarks.macro.peers.peer import Command, Kind, Place, asked_version

#: More than any workload opens.
CONNECTIONS = 4000

# It writes no files. Of its ways to log, a ring that is sent on in batches costs least: 1.5 µs a
# request, where standard output took 4 and a datagram for each line 7.
_CONFIG = """\
global
    nbthread 1
    maxconn {maxconn}
    log ring@lines daemon

ring lines
    format rfc3164
    maxlen 1200
    size 1048576
    timeout connect 5s
    timeout server 10s
    server sink 127.0.0.1:{sink}

defaults
    mode {mode}
    log global
    timeout connect 2s
    timeout client 75s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 75s
{defaults}
frontend web
    bind 127.0.0.1:{port}{tls}
    default_backend origin

backend origin
    balance roundrobin
    option httpchk GET /health
    default-server check inter 5s
{servers}
"""

_OF_TCP = """\
    option tcplog
"""

_OF_HTTP = """\
    option httplog
    http-reuse always
    option forwardfor
"""


class HAProxy:
    """HAProxy with kept-alive connections to the origin, whichever client they served before."""

    name = "haproxy"
    kinds = frozenset({Kind.HTTP, Kind.TLS, Kind.TCP})
    install = "apt-get install haproxy"

    def version(self) -> str | None:
        return asked_version(["haproxy", "-v"], r"version (\S+)")

    def prepare(self, place: Place) -> Command:
        # In the foreground, and without a config of the machine's own.
        config = place.write("haproxy.cfg", self.config(place))
        return Command(["haproxy", "-db", "-f", str(config)])

    def config(self, place: Place) -> str:
        """The config file."""
        # It refuses to start if it cannot have two descriptors for each connection.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        room = CONNECTIONS if hard == resource.RLIM_INFINITY else (hard - 100) // 2
        return _CONFIG.format(
            maxconn=max(1, min(CONNECTIONS, room)),
            mode="tcp" if place.kind is Kind.TCP else "http",
            defaults=_OF_TCP if place.kind is Kind.TCP else _OF_HTTP,
            port=place.port,
            sink=place.sink,
            tls=f" ssl crt {place.certificate}" if place.kind is Kind.TLS else "",
            servers="\n".join(
                f"    server origin-{number} 127.0.0.1:{port}"
                for number, port in enumerate(place.origins, 1)
            ),
        )
