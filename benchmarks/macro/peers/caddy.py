"""Caddy, on one thread at a time."""

from __future__ import annotations

from benchmarks.macro.peers.peer import Command, Kind, Place, asked_version

_CONFIG = """\
{{
    admin off
    auto_https off
    grace_period 1s
    servers {{
        protocols h1 h2
    }}
}}

{scheme}://127.0.0.1:{port} {{
    bind 127.0.0.1
    log {{
        output file {folder}/access.log {{
            roll_disabled
        }}
    }}
{tls}{site}}}
"""

_PROXY = """\
    reverse_proxy {origins} {{
        lb_policy round_robin
        health_uri /health
        health_interval 5s
        transport http {{
            keepalive 75s
            keepalive_idle_conns_per_host 256
        }}
    }}
"""

_FILES = """\
    root * {site}
    file_server
"""


class Caddy:
    """Caddy's reverse_proxy and file_server."""

    name = "caddy"
    kinds = frozenset({Kind.HTTP, Kind.TLS, Kind.STATIC})
    install = "apt-get install caddy"

    def version(self) -> str | None:
        return asked_version(["caddy", "version"], r"(\d\S+)")

    def prepare(self, place: Place) -> Command:
        config = place.write("Caddyfile", self.config(place))
        # All that it would keep in the home folder goes to the run's.
        homes = ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
        environment = {"GOMAXPROCS": "1"} | dict.fromkeys(homes, str(place.folder))
        arguments = ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
        return Command(arguments, environment)

    def config(self, place: Place) -> str:
        """The config file."""
        tls = place.kind is Kind.TLS
        origins = " ".join(f"127.0.0.1:{port}" for port in place.origins)
        static = place.kind is Kind.STATIC
        return _CONFIG.format(
            scheme="https" if tls else "http",
            port=place.port,
            folder=place.folder,
            tls=f"    tls {place.certificate} {place.certificate}\n" if tls else "",
            site=_FILES.format(site=place.site) if static else _PROXY.format(origins=origins),
        )
