"""Tests of reading a config file: what it gives, and what is told of each mistake."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from lbproxy.config.load import load
from lbproxy.config.model import (
    DNS,
    Admin,
    Backend,
    Config,
    DownstreamTimeouts,
    Hash,
    Health,
    Listener,
    Pool,
    Queue,
    Retry,
    Route,
    Stop,
    UpstreamTimeouts,
    default_config,
)
from lbproxy.errors import ConfigError
from lbproxy.http1.parser import HeadLimits
from tests.config.folder import temporary_folder

EXAMPLE = Path(__file__).parents[2] / "examples" / "lbproxy.toml"

#: A key or a header of a table in it that is commented out.
COMMENTED = re.compile(r"^# (\[|[a-z_]+ = )", re.MULTILINE)

#: A whole config; `{}` is replaced by lines at its end, inside the backend's table.
BASE = """\
[listeners.web]
endpoint = "tcp:3000"
[[routes]]
path = "/"
pool = "api"
[pools.api]
[[pools.api.backends]]
name = "one"
address = "127.0.0.1:3001"
"""

LISTENER = "listeners.web"
ROUTE = "routes[0]"
POOL = "pools.api"
BACKEND = "pools.api.backends[0]"

#: After which line of `BASE` the lines of each table are put.
ENDS = {"": 0, LISTENER: 2, ROUTE: 5, POOL: 6, BACKEND: 9}

HASH = "balancer = 'consistent_hash'\n"
SECONDS = "expected seconds above 0, a year at most, found "
WORKERS = 'expected "auto", or a whole number from 1 to 256, found '
HOST_NAME = "expected a host name without scheme, port or wildcard, found "
ENDPOINT = 'expected an endpoint such as "tcp:3000", found '

#: In which table, which line, and what is told of which key.
MISTAKES = (
    ("", "workers = true", "workers", f"{WORKERS}true"),
    ("", "workers = 0", "workers", f"{WORKERS}0"),
    ("", "workers = 257", "workers", f"{WORKERS}257"),
    ("", 'workers = "all"', "workers", f'{WORKERS}"all"'),
    ("", "admin = true", "admin", "expected a table, found true"),
    ("", 'admin = { endpoint = "3900" }', "admin.endpoint", ENDPOINT + '"3900"'),
    (
        "",
        'admin = { endpoint = "tcp:3000" }',
        "admin.endpoint",
        '"tcp:3000" is listeners.web.endpoint already',
    ),
    (
        "",
        "admin = { endpoint = false }",
        "admin.endpoint",
        "without it and without socket nobody could ask; admin = false turns all off",
    ),
    ("", "admin = { socket = true }", "admin.socket", "expected a string, found true"),
    ("", 'admin = { hosts = ["a b"] }', "admin.hosts[0]", HOST_NAME + '"a b"'),
    ("", "worker = 1", "worker", "unknown key; did you mean workers?"),
    (
        "",
        "zzz = 1",
        "zzz",
        "unknown key; known are access_log, admin, dns, listeners, pools, routes, stop, workers",
    ),
    ("", 'access_log = ""', "access_log", 'expected a string, found ""'),
    ("", "access_log = true", "access_log", "expected a string, found true"),
    (
        "",
        "stop = { drain = -1 }",
        "stop.drain",
        "expected seconds from 0, a year at most, found -1",
    ),
    (
        "",
        "stop = { drain = 2, spread = 3 }",
        "stop.spread",
        "3 seconds are more than drain has, which is 2",
    ),
    (
        "",
        "stop = { spread = 31 }",
        "stop.spread",
        "31 seconds are more than drain has, which is 30.0",
    ),
    ("", "stop = 3", "stop", "expected a table, found 3"),
    (
        "",
        'stop = { drain = "5s" }',
        "stop.drain",
        'expected seconds from 0, a year at most, found "5s"',
    ),
    ("", '"a b" = 1', '"a b"', "unknown key; known are"),
    (LISTENER, "timeouts = { head = 0 }", "listeners.web.timeouts.head", f"{SECONDS}0"),
    (LISTENER, "timeouts = { idle = nan }", "listeners.web.timeouts.idle", f"{SECONDS}nan"),
    (LISTENER, "timeouts.body = inf", "listeners.web.timeouts.body", f"{SECONDS}inf"),
    (LISTENER, "timeouts.body = true", "listeners.web.timeouts.body", f"{SECONDS}true"),
    (LISTENER, "timeouts.body = 2024-01-01", "listeners.web.timeouts.body", f"{SECONDS}2024-01-01"),
    (LISTENER, "timeouts = [1]", "listeners.web.timeouts", "expected a table, found a list"),
    (
        LISTENER,
        "timeouts.idel = 1",
        "listeners.web.timeouts.idel",
        "unknown key; did you mean idle?",
    ),
    (
        LISTENER,
        "limits.head = 1",
        "listeners.web.limits.head",
        "expected bytes from 256 to 1048576",
    ),
    (
        LISTENER,
        "limits.fields = 1.5",
        "listeners.web.limits.fields",
        "expected a whole number from 1",
    ),
    (LISTENER, "limits.target = 0", "listeners.web.limits.target", "expected bytes from 1"),
    (
        LISTENER,
        "limits = { head = 8192 }",
        "listeners.web.limits.target",
        "8192 bytes leave no room in a head of 8192 bytes",
    ),
    (LISTENER, "trusted = 'all'", "listeners.web.trusted", 'expected a list, found "all"'),
    (LISTENER, "trusted = ['x']", "listeners.web.trusted[0]", "expected an address or a network: "),
    (LISTENER, "trusted = ['10.0.0.1/8']", "listeners.web.trusted[0]", "10.0.0.1/8 has host bits"),
    (LISTENER, "tls = {}", "listeners.web.tls.certificates", "is missing"),
    (LISTENER, "mode = 'udp'", "listeners.web.mode", "expected http or tcp, found"),
    (LISTENER, "pool = 'api'", "listeners.web.pool", 'mode = "tcp"'),
    (LISTENER, "name = 'x'", "listeners.web.name", "unknown key; known are endpoint, limits"),
    (ROUTE, "static = '.'", "routes[0].static", "a route has pool or static, not both"),
    (
        ROUTE,
        "listener = 'wbe'",
        "routes[0].listener",
        "there is no listeners.wbe; did you mean web?",
    ),
    (ROUTE, "host = 'a.b:80'", "routes[0].host", "expected a host name without scheme, port or"),
    (ROUTE, "host = '[::1'", "routes[0].host", "expected a host name without"),
    (ROUTE, "host = '[1.2.3.4]'", "routes[0].host", "expected a host name, found"),
    (ROUTE, "methods = 'GET'", "routes[0].methods", 'expected a list, found "GET"'),
    (ROUTE, "methods = ['GET', 'get']", "routes[0].methods[1]", "methods are case-sensitive: did"),
    (ROUTE, "methods = ['A B']", "routes[0].methods[0]", 'expected a method, found "A B"'),
    (ROUTE, "headers = { 'a b' = 'c' }", "routes[0].headers", "expected names of header fields"),
    (ROUTE, "headers.a = 1", "routes[0].headers", "expected the value of a as a string, found 1"),
    (ROUTE, "headers = [1]", "routes[0].headers", "expected a table, found a list"),
    (ROUTE, "expose_backend = 1", "routes[0].expose_backend", "expected true or false, found 1"),
    (ROUTE, "max_body = -1", "routes[0].max_body", "expected bytes from 0 to"),
    (ROUTE, "max_body = '1 MiB'", "routes[0].max_body", "expected bytes from 0 to"),
    (
        ROUTE,
        "retry_on = [500]",
        "routes[0].retry_on",
        "expected a list of 502, 503 or 504, found 500",
    ),
    (
        ROUTE,
        "retry_on = [[502]]",
        "routes[0].retry_on",
        "expected a list of 502, 503 or 504, found a",
    ),
    (ROUTE, "retry_on = 502", "routes[0].retry_on", "expected a list, found 502"),
    (
        ROUTE,
        "[[routes]]\npath = '/a'\npool = 'api'",
        "routes[1]",
        "never reached: routes[0] takes all that matches",
    ),
    (POOL, "balancer = 'dice'", "pools.api.balancer", "expected round_robin or least_loaded or"),
    (POOL, "hash = {}", "pools.api.hash", 'goes only with balancer = "consistent_hash"'),
    (POOL, "decay = 1", "pools.api.decay", 'goes only with balancer = "peak_ewma"'),
    (POOL, f"{HASH}decay = 1", "pools.api.decay", 'goes only with balancer = "peak_ewma"'),
    (POOL, f"{HASH}hash.key = 'ip'", "pools.api.hash.key", 'expected "client", "path", "header:N'),
    (POOL, f"{HASH}hash.key = 'header:'", "pools.api.hash.key", 'expected "client", "path", "he'),
    (POOL, f"{HASH}hash.key = 'cookie:a b'", "pools.api.hash.key", 'expected "client", "path", '),
    (POOL, f"{HASH}hash.load_factor = 1", "pools.api.hash.load_factor", "expected a factor above"),
    (POOL, f"{HASH}hash.keys = 'path'", "pools.api.hash.keys", "unknown key; did you mean key?"),
    (POOL, "balancer = 'round-robin'", "pools.api.balancer", "did you mean round_robin?"),
    (POOL, "health = true", "pools.api.health", "expected a table, found true"),
    (POOL, "health.path = 'x'", "pools.api.health.path", 'expected a path that begins with "/"'),
    (POOL, "health.path = '/ü'", "pools.api.health.path", "percent-encoded"),
    (POOL, "health.rise = 0", "pools.api.health.rise", "expected a whole number from 1 to"),
    (
        POOL,
        "health.interval = 0.5",
        "pools.api.health.timeout",
        "1.0 s are longer than the interval of 0.5 s",
    ),
    (POOL, "health.statuses = []", "pools.api.health.statuses", "at least one is needed"),
    (POOL, "health.statuses = ['1xx']", "pools.api.health.statuses", "expected a list of statuse"),
    (POOL, "health.statuses = [99]", "pools.api.health.statuses", "expected a list of statuses"),
    (POOL, "health.statuses = 200", "pools.api.health.statuses", "expected a list, found 200"),
    (POOL, "health.status = [200]", "pools.api.health.status", "did you mean statuses?"),
    (POOL, "health.method = 'POST'", "pools.api.health.method", "expected GET or HEAD or OPTIONS"),
    (POOL, "health.body = '(a'", "pools.api.health.body", "expected a regular expression, but it"),
    (POOL, "health.body = '(?=a)'", "pools.api.health.body", "(?=a) is not spoken here"),
    (POOL, "health.headers = ['x']", "pools.api.health.headers", "expected a table, found a list"),
    (
        POOL,
        "health.headers = { connection = 'close' }",
        "pools.api.health.headers",
        "no connection here",
    ),
    (
        POOL,
        "health.headers = { Host = 'a', host = 'b' }",
        "pools.api.health.headers",
        "host stands here twice",
    ),
    (POOL, "health.port = 0", "pools.api.health.port", "expected a port from 1 to 65535, found 0"),
    (POOL, "health.json = 1", "pools.api.health.json", "expected true or false, found 1"),
    (POOL, "health.check = 'x'", "pools.api.health.check", 'there is no probe "x"; no plugin has'),
    (
        POOL,
        "health = { tcp = true, body = 'ok' }",
        "pools.api.health.body",
        "with tcp = true it only connects",
    ),
    (
        POOL,
        "health = { tcp = true, path = '/up' }",
        "pools.api.health.path",
        "with tcp = true it only connects",
    ),
    (
        POOL,
        "health = { method = 'HEAD', json = true }",
        "pools.api.health.json",
        "an answer to HEAD has none",
    ),
    (POOL, "timeouts.connect = -2.0", "pools.api.timeouts.connect", f"{SECONDS}-2.0"),
    (POOL, "timeouts.stream = 1e9", "pools.api.timeouts.stream", f"{SECONDS}1000000000.0"),
    (POOL, "retry.attempts = 0", "pools.api.retry.attempts", "expected a whole number from 1"),
    (POOL, "retry.budget = 20", "pools.api.retry.budget", "expected a ratio from 0 to 1, found 20"),
    (POOL, "slow_start = false", "pools.api.slow_start", "expected seconds from 0, a year at most"),
    (POOL, "ejection = 'no'", "pools.api.ejection", 'expected true or false, found "no"'),
    (POOL, "max_in_flight = 0", "pools.api.max_in_flight", "expected a whole number from 1"),
    (POOL, "queue.length = -1", "pools.api.queue.length", "expected a whole number from 0"),
    (POOL, "queue.wait = 0", "pools.api.queue.wait", f"{SECONDS}0"),
    (
        BACKEND,
        "weight = -1",
        "pools.api.backends[0].weight",
        "expected a whole number from 0 to 1000",
    ),
    (
        BACKEND,
        "record_weight = 2",
        "pools.api.backends[0].record_weight",
        "unknown key; did you mean weight?",
    ),
    (BACKEND, "backup = 1", "pools.api.backends[0].backup", "expected true or false, found 1"),
    (BACKEND, "backup = true", "pools.api.backends", "every one is a backup, and none is there"),
    (BACKEND, "weight = 0", "pools.api.backends", "every weight is 0, so none would be chosen"),
    (
        BACKEND,
        "server = 'apache'",
        "pools.api.backends[0].server",
        "expected gunicorn or hypercorn",
    ),
    (BACKEND, "server = 'guincorn'", "pools.api.backends[0].server", "did you mean gunicorn?"),
    (BACKEND, "server = 1", "pools.api.backends[0].server", "expected a string, found 1"),
    (BACKEND, "keep_alive = -1", "pools.api.backends[0].keep_alive", "expected seconds from 0"),
    (BACKEND, "wieght = 1", "pools.api.backends[0].wieght", "unknown key; did you mean weight?"),
    (BACKEND, "keep-alive = 1", "pools.api.backends[0].keep-alive", "did you mean keep_alive?"),
    (
        BACKEND,
        "[[pools.api.backends]]\nname = 'two'\naddress = '127.0.0.1:3001'",
        "pools.api.backends[1].address",
        '"127.0.0.1:3001" is pools.api.backends[0].address already',
    ),
    (
        BACKEND,
        "[[pools.api.backends]]\nname = 'one'\naddress = '127.0.0.1:3002'",
        "pools.api.backends[1].name",
        '"one" is pools.api.backends[0].name already',
    ),
    (
        BACKEND,
        "[listeners.again]\nendpoint = 'tcp:3000'",
        "listeners.again.endpoint",
        '"tcp:3000" is listeners.web.endpoint already',
    ),
    (BACKEND, "[pools.none]\nbackends = []", "pools.none.backends", "at least one is needed"),
    (BACKEND, "[pools.none]", "pools.none.backends", "is missing"),
)

#: A value in `BASE`, another one in its place, and what is told of which key.
REPLACED = (
    (
        'endpoint = "tcp:3000"',
        "endpoint = 'tcp:3000'\n[listeners.again]\nendpoint = 'tcp:3000:interface=127.0.0.1'",
        "listeners.again.endpoint",
        'cannot be bound beside listeners.web.endpoint, which is "tcp:3000"',
    ),
    (
        'endpoint = "tcp:3000"',
        "endpoint = 'unix:/run/x'\n[listeners.again]\nendpoint = 'haproxy:unix:/run//x:mode=600'",
        "listeners.again.endpoint",
        'cannot be bound beside listeners.web.endpoint, which is "unix:/run/x"',
    ),
    (
        'endpoint = "tcp:3000"',
        "endpoint = 'systemd:INET:name=a'\n[listeners.b]\nendpoint = 'systemd:INET6:name=a'",
        "listeners.b.endpoint",
        "cannot be bound beside listeners.web.endpoint",
    ),
    (
        "tcp:3000",
        "tcp:3900",
        "listeners.web.endpoint",
        'beside admin.endpoint, which is "tcp:3900:interface=127.0.0.1"',
    ),
    ("tcp:3000", "tcp:99999", "listeners.web.endpoint", "expected a port from 0 to 65535"),
    ("tcp:3000", "tcp:port=99999", "listeners.web.endpoint", "expected a port from 0 to 65535"),
    ("tcp:3000", "haproxy:tcp:99999", "listeners.web.endpoint", "expected a port from 0 to 65535"),
    ("tcp:3000", "tcp:-1", "listeners.web.endpoint", "expected a port from 0 to 65535"),
    ("tcp:3000", "tcp:http", "listeners.web.endpoint", "expected an endpoint such as"),
    ("tcp:3000", "tcp:80:x=y", "listeners.web.endpoint", "expected an endpoint such as"),
    ("tcp:3000", "tcp", "listeners.web.endpoint", "expected an endpoint such as"),
    ("tcp:3000", "tpc:80", "listeners.web.endpoint", "did you mean tcp?"),
    ("tcp:3000", "3000", "listeners.web.endpoint", "expected an endpoint such as"),
    ("tcp:3000", "unix:", "listeners.web.endpoint", "expected an endpoint such as"),
    ("tcp:3000", "ssl:443", "listeners.web.endpoint", "a tcp: endpoint, and tls = { ... }"),
    ("tcp:3000", "haproxy:haproxy:tcp:1", "listeners.web.endpoint", "haproxy: stands before an"),
    ("tcp:3000", "systemd:domain=INET", "listeners.web.endpoint", "expected name=, or index="),
    ("tcp:3000", "systemd:INET:0:web", "listeners.web.endpoint", "expected name=, or index="),
    (
        "tcp:3000",
        "systemd:domain=INET:index=x",
        "listeners.web.endpoint",
        "expected a whole number",
    ),
    ("tcp:3000", "systemd:domain=FOO:index=0", "listeners.web.endpoint", "expected domain=INET or"),
    ("tcp:3000", "systemd:name=web", "listeners.web.endpoint", "expected domain=INET or"),
    ("tcp:3000", "systemd:domain=INET:nmae=x", "listeners.web.endpoint", "expected an endpoint"),
    ("tcp:3000", "systemd:INET:0:web:1", "listeners.web.endpoint", "expected an endpoint"),
    ("tcp:3000", "haproxy:systemd:INET", "listeners.web.endpoint", "expected name=, or index="),
    ("tcp:3000", "haproxy:tls:443", "listeners.web.endpoint", "a tcp: endpoint, and tls = { ... }"),
    ('"/"', '"api"', "routes[0].path", 'expected a path that begins with "/", found "api"'),
    ('"/"', '"/a%20b"', "routes[0].path", "a path is compared decoded"),
    ('"/"', '"/a?b"', "routes[0].path", "a path is compared decoded"),
    ('"/"', '"/a//b"', "routes[0].path", "a path is compared without empty"),
    ('"/"', '"/a/../b"', "routes[0].path", "a path is compared without empty"),
    ('"/"', '"/a\\u0000"', "routes[0].path", "expected a string"),
    ('"api"', '"apii"', "routes[0].pool", "there is no pools.apii; did you mean api?"),
    ('"api"', "1", "routes[0].pool", "expected a string, found 1"),
    ('pool = "api"', 'static = "gone"', "routes[0].static", "no such folder: "),
    ('pool = "api"', "", "routes[0]", "a route needs pool or static"),
    (
        'pool = "api"',
        'static = "."\nmax_body = 1',
        "routes[0].max_body",
        "goes only with pool, and this route has static",
    ),
    ('name = "one"', "", "pools.api.backends[0].name", "is missing"),
    ('"one"', '"ö"', "pools.api.backends[0].name", "expected a name in ASCII"),
    ("127.0.0.1:3001", "127.0.0.1", "pools.api.backends[0].address", 'expected "host:port"'),
    ("127.0.0.1:3001", "127.0.0.1:0", "pools.api.backends[0].address", "expected a port from 1"),
    ("127.0.0.1:3001", "a:99999", "pools.api.backends[0].address", "expected a port from 1"),
    ("127.0.0.1:3001", "::1:3001", "pools.api.backends[0].address", 'expected "host:port"'),
    ("127.0.0.1:3001", "[::g]:3001", "pools.api.backends[0].address", 'expected "host:port"'),
    ("127.0.0.1:3001", "1.2.3:3001", "pools.api.backends[0].address", 'expected "host:port"'),
    ("127.0.0.1:3001", "a b:3001", "pools.api.backends[0].address", 'expected "host:port"'),
    ("127.0.0.1:3001", "http://a:80", "pools.api.backends[0].address", 'expected "host:port"'),
    ("127.0.0.1:3001", "unix:x", "pools.api.backends[0].address", 'expected "host:port"'),
)


#: What stands in `[pools.api]`, the key at fault, and what is said of it.
FAILOVER = (
    ("hold_when_down = {}\nhealth = false", "hold_when_down", "needs health: nothing else says"),
    ("hold_when_down = { requests = 0 }", "hold_when_down.requests", "expected a whole number"),
    ("hold_when_down = { second = 1 }", "hold_when_down.second", "did you mean seconds?"),
    ("hold_when_down = true", "hold_when_down", "expected a table, found true"),
    ("hedge = {}", "hedge", "needs a second backend"),
    ('hedge = { after = "p30" }', "hedge.after", 'expected "p50" to "p99", or seconds'),
    ("hedge = { after = 0 }", "hedge.after", "expected seconds above 0"),
    ("hedge = { budget = 2 }", "hedge.budget", "expected a ratio"),
    ("breaker = true", "breaker", "expected a table, found true"),
    ("breaker = { share = 0 }", "breaker.share", "expected a ratio above 0 to 1"),
    ("breaker = { requests = 0 }", "breaker.requests", "expected a whole number from 1"),
    ("breaker = { open = 301 }", "breaker.open", "expected seconds above 0 to 300"),
    ("breaker = { opens = 3 }", "breaker.opens", "did you mean open?"),
    ("hedge = {}\nretry = { attempts = 1 }", "hedge", "needs retry.attempts above 1"),
    ("retry = { timeout = 1, attempts = 1 }", "retry.timeout", "needs retry.attempts above 1"),
    ("retry = { timeout = 30 }", "retry.timeout", "30 s are not less than timeouts.first_byte"),
    (
        "retry = { timeout = 2 }\ntimeouts = { first_byte = 1 }",
        "retry.timeout",
        "2 s are not less than timeouts.first_byte, 1 s",
    ),
)


class LoadTestCase(SynchronousTestCase):
    """A folder with one config file."""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = temporary_folder(self)
        self.file = self.folder / "lb.toml"

    def load(self, text: str) -> Config:
        """Read a text as a file."""
        self.file.write_text(text)
        return load(self.file)

    def mistakes(self, text: str) -> list[str]:
        """What is told, without the file's name."""
        error = self.assertRaises(ConfigError, self.load, text)
        lines = str(error).split("\n")
        self.assertTrue(all(line.startswith(f"{self.file}:") for line in lines), lines)
        return [line.removeprefix(f"{self.file}:") for line in lines]


class LoadTests(LoadTestCase):
    """What `load` gives."""

    def test_least(self) -> None:
        """What a file does not say is as the model has it."""
        self.assertEqual(
            self.load(BASE),
            Config(
                listeners=(Listener("web", "tcp:3000"),),
                routes=(Route("/", pool="api"),),
                pools=(Pool("api", (Backend("one", "127.0.0.1:3001"),)),),
            ),
        )

    def test_failover(self) -> None:
        """What is done about failures is told with its line and key where it cannot be done."""
        for text, key, said in FAILOVER:
            mistakes = self.mistakes(BASE.replace("[pools.api]\n", f"[pools.api]\n{text}\n"))
            self.assertIn(f"pools.api.{key}: ", "\n".join(mistakes))
            self.assertIn(said, "\n".join(mistakes))

    def test_everything(self) -> None:
        """Each key arrives at its field."""
        config = self.load(
            """\
workers = 1
access_log = "log/access.log"
stop = { drain = 20, spread = 0 }
admin = { endpoint = false, socket = "run/admin.sock", hosts = ["lb1.internal"] }
[listeners.web]
endpoint = "systemd:domain=INET:name=web"
timeouts = { head = 1, body = 2.5, idle = 3 }
limits = { head = 1000, fields = 10, target = 500 }
trusted = ["10.0.0.0/8", "::1"]
[[routes]]
path = "/api/"
pool = "api"
listener = "web"
host = "shop.example"
methods = ["GET", "PURGE"]
headers = { X-A = "b" }
expose_backend = true
max_body = 0
retry_on = [502, 504]
[[routes]]
path = "/"
static = "."
[pools.api]
balancer = "consistent_hash"
hash = { key = "header:X-Tenant", load_factor = 2 }
health = { path = "/up?x=1", interval = 2, timeout = 2, rise = 1, fall = 1, json = true, \
method = "OPTIONS", statuses = ["2xx", 401], headers = { Host = "h" }, body = "ok", tcp = false }
timeouts = { connect = 1, first_byte = 2, read = 3, stream = 4 }
retry = { attempts = 1, budget = 0 }
slow_start = 0
ejection = false
max_in_flight = 1
queue = { length = 0, wait = 0.5 }
backends = [
  { name = "one", address = "[::1]:1", weight = 0, server = "uvicorn", keep_alive = 0 },
  { name = "two", address = "unix:/run/two.sock", backup = true },
]
"""
        )
        folder = self.folder
        expected = Config(
            listeners=(
                Listener(
                    "web",
                    "systemd:domain=INET:name=web",
                    DownstreamTimeouts(1.0, 2.5, 3.0),
                    HeadLimits(1000, 10, 500),
                    (ip_network("10.0.0.0/8"), ip_network("::1")),
                ),
            ),
            routes=(
                Route(
                    "/api/",
                    pool="api",
                    listener="web",
                    host="shop.example",
                    methods=("GET", "PURGE"),
                    headers=(("X-A", "b"),),
                    expose_backend=True,
                    max_body=0,
                    retry_on=frozenset((502, 504)),
                ),
                Route("/", static=str(folder)),
            ),
            pools=(
                Pool(
                    "api",
                    (
                        Backend("one", "[::1]:1", 0, "uvicorn", 0.0),
                        Backend("two", "unix:/run/two.sock", backup=True),
                    ),
                    "consistent_hash",
                    Health(
                        "/up?x=1",
                        2.0,
                        2.0,
                        1,
                        1,
                        "OPTIONS",
                        frozenset((*range(200, 300), 401)),
                        (("Host", "h"),),
                        "ok",
                        json=True,
                    ),
                    UpstreamTimeouts(1.0, 2.0, 3.0, 4.0),
                    Retry(1, 0.0),
                    0.0,
                    False,
                    1,
                    Queue(0, 0.5),
                    hash=Hash("header:X-Tenant", 2.0),
                ),
            ),
            stop=Stop(20.0, 0.0),
            access_log=str(folder / "log" / "access.log"),
            admin=Admin(None, str(folder / "run" / "admin.sock"), ("lb1.internal",)),
        )
        self.assertEqual(config, expected)

    def test_spread(self) -> None:
        """Where there is less time than it takes by default, the ends are spread over all of it."""
        for drain, spread in (("0", 0.0), ("2", 2.0), ("20", 5.0)):
            self.assertEqual(self.load(f"stop.drain = {drain}\n{BASE}").stop.spread, spread)

    def test_off(self) -> None:
        """`false` turns the probes and the access log off."""
        text = "access_log = false\n" + BASE.replace("[pools.api]", "[pools.api]\nhealth = false")
        config = self.load(text)
        self.assertIsNone(config.access_log)
        self.assertIsNone(config.pools[0].health)

    def test_tcp(self) -> None:
        """TCP mode needs no routes, or some by SNI; its pools are those that HTTP has not."""
        config = self.load(TCP_BASE)
        self.assertEqual((config.listeners[0].mode, config.listeners[0].pool), ("tcp", "db"))
        self.assertEqual((config.routes[0].sni, config.routes[0].pool), ("db.example", "named"))
        self.assertEqual(config.pools[0].send_proxy, "v2")
        self.assertEqual(config.stream_pools, {"db", "named"})
        routes = TCP_BASE[TCP_BASE.index("[[routes]]") : TCP_BASE.index("[pools.db]")]
        self.assertEqual(self.load(TCP_BASE.replace(routes, "")).routes, ())
        both = TCP_BASE.replace('send_proxy = "v2"\n', "") + (
            "[listeners.web]\nendpoint = 'tcp:80'\n[[routes]]\npath = '/'\npool = 'db'\n"
        )
        self.assertEqual(self.load(both).stream_pools, {"named"})

    def test_names_reached(self) -> None:
        """A name behind one that is not its own, or behind those below another, is reached."""
        for first, later in (("a.x", "b.x"), ("*.a.x", "a.x"), ("*.a.x", "*.x"), ("a.x", "*.x")):
            route = f"[[routes]]\nsni = '{later}'\npool = 'db'\n[pools.db]"
            text = TCP_BASE.replace("[pools.db]", route).replace('listener = "db"\n', "")
            self.load(text.replace("db.example", first))

    def test_reachable(self) -> None:
        """A route that some request still reaches is accepted."""
        for earlier in ("/apis", "/api/v1"):
            self.load(BASE.replace('path = "/"', f"path = '{earlier}'\n{SECOND}"))
        for condition in ("host = 'a'", "methods = ['GET']", "headers.a = 'b'", "listener = 'web'"):
            self.load(BASE.replace('path = "/"', f"path = '/'\n{condition}\n{SECOND}"))

    def test_turned_off(self) -> None:
        """What is not on by default may be turned off all the same, whatever it would need."""
        off = "[pools.api]\nhedge = false\nhold_when_down = false\nhealth = false"
        (pool,) = self.load(BASE.replace("[pools.api]", off + "\nretry = { attempts = 1 }")).pools
        self.assertEqual((pool.hedge, pool.hold_when_down, pool.health), (None, None, None))
        pool_of_tcp = "[pools.db]\nhedge = false\nhold_when_down = false"
        self.load(TCP_BASE.replace("[pools.db]", pool_of_tcp))

    def test_admin_as_backend(self) -> None:
        """No backend is the admin listener, by whatever name for it."""
        anywhere, v6 = 'admin.endpoint = "tcp:4000"\n', 'admin.endpoint = "tcp6:4000"\n'
        other = 'admin.endpoint = "tcp:4000:interface=10.0.0.9"\n'
        socket = 'admin.socket = "run/admin.sock"\n'
        hosts = ("127.0.0.1", "localhost", "LocalHost.", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]")
        places = [("", f"{host}:3900") for host in hosts]
        places += [(anywhere, "127.0.0.1:4000"), (v6, "[::1]:04000"), (other, "10.0.0.9:4000")]
        places += [(socket, f"unix:{self.folder}/run/../run/admin.sock")]
        places += [('admin.endpoint = "unix:/run/x"\n', "unix:/run/x")]
        for admin, address in places:
            (mistake,) = self.mistakes(admin + BASE.replace("127.0.0.1:3001", address))
            told = f'pools.api.backends[0].address: "{address}" is the admin listener, which'
            self.assertIn(told, mistake)
        for admin, address in (
            ("admin = false\n", "127.0.0.1:3900"),
            ("admin.endpoint = false\n" + socket, "127.0.0.1:3900"),
            (other, "127.0.0.1:4000"),
            (anywhere, "localhost:3900"),
            ("", "shop.test:3900"),
            (socket, f"unix:{self.folder}/other.sock"),
        ):
            self.load(admin + BASE.replace("127.0.0.1:3001", address))

    def test_endpoints(self) -> None:
        """Each kind of endpoint that can be served is accepted."""
        for endpoint in (
            "tcp:0",
            "tcp:3000:interface=127.0.0.1",
            "tcp:interface=127.0.0.1:port=80",
            "tcp6:80",
            "unix:/run/x",
            "haproxy:tcp:80",
            "systemd:domain=INET:name=web",
            "systemd:INET6:0",
            "haproxy:systemd:domain=UNIX:index=0",
        ):
            config = self.load(BASE.replace("tcp:3000", endpoint))
            self.assertEqual(config.listeners[0].endpoint, endpoint)

    def test_beside(self) -> None:
        """Endpoints that can be bound beside each other."""
        for one, other in (
            ("tcp:0", "tcp:0:interface=127.0.0.1"),
            ("tcp:80:interface=127.0.0.1", "tcp:80:interface=127.0.0.2"),
            ("tcp:80", "tcp6:80"),
            ("tcp:80", "tcp:81"),
            ("unix:/run/x", "unix:/run/y"),
            ("systemd:INET:name=a", "systemd:INET:name=b"),
            ("systemd:INET:0", "systemd:INET:index=1"),
        ):
            second = f"{one}'\n[listeners.again]\nendpoint = '{other}"
            self.load(BASE.replace('"tcp:3000"', f"'{second}'"))
        self.load("admin = false\n" + BASE.replace("tcp:3000", "tcp:3900"))

    def test_example(self) -> None:
        """The example is right, and but for its folder it is what runs without a config."""
        config = load(EXAMPLE)
        default = default_config()
        self.assertEqual(config.pools, default.pools)
        self.assertEqual(config.listeners, default.listeners)
        self.assertEqual(config.routes[0], default.routes[0])
        self.assertTrue(Path(config.routes[1].static or "", "index.html").is_file())

    def test_example_of_tcp(self) -> None:
        """The example of TCP mode is right."""
        config = load(EXAMPLE.with_name("tcp.toml"))
        self.assertEqual({listener.mode for listener in config.listeners}, {"tcp"})
        self.assertEqual(config.stream_pools, {pool.name for pool in config.pools})

    def test_example_comments(self) -> None:
        """Each key is there, most as a comment with the default as its value."""
        lines = EXAMPLE.read_text().splitlines()
        keys = {line.removeprefix("# ").split(" = ")[0] for line in lines if " = " in line}
        for cls in (Pool, Config, Admin, DNS, Stop):
            wanted = {
                field.name for field in attrs.fields(cls) if field.default is not attrs.NOTHING
            }
            self.assertEqual(wanted - keys - {"admin", "dns", "pools", "routes", "stop"}, set())

    def test_example_twice(self) -> None:
        """With no comments left no key stands there twice."""
        document = tomllib.loads(COMMENTED.sub(r"\1", EXAMPLE.read_text()))
        self.assertGreater(len(document["pools"]["api"]), 15)

    def test_example_defaults(self) -> None:
        """What is commented out changes nothing, unless the file says that it is an example."""
        text = EXAMPLE.read_text().replace("../public", str(EXAMPLE.parents[1] / "public"))
        text = re.sub(r"^# (?=\[(?:stop|admin|dns)\])", "", text, flags=re.MULTILINE)
        text = text.replace("# health = ", "health = ")  # Which says what else `None` does.
        default, table, seen = self.load(text), "", 0
        self.assertEqual(default.pools[0].health, Health("/health"))
        for found in re.finditer(r"^(?:\S.*)(?:\n +#.*)*", text, re.MULTILINE):
            line = found[0]
            if line.removeprefix("# ").startswith("["):
                table = line
            if not COMMENTED.match(line) or table.startswith("# ["):
                continue
            if "only with" in line or "only in TCP" in line:
                continue  # It would not go with the rest.
            seen += 1
            example = "none by default" in line or table.startswith("[[routes]]")
            config = self.load(text[: found.start()] + line[2:] + text[found.end() :])
            self.assertEqual(config != default, example, line)
        self.assertGreater(seen, 30)


#: A whole config of TCP mode.
TCP_BASE = """\
[listeners.db]
endpoint = "tcp:15432"
mode = "tcp"
pool = "db"
timeouts.head = 3.0
[[routes]]
sni = "db.example"
listener = "db"
pool = "named"
[pools.db]
send_proxy = "v2"
timeouts.connect = 1.0
[[pools.db.backends]]
name = "one"
address = "127.0.0.1:5432"
[pools.named]
[[pools.named.backends]]
name = "one"
address = "127.0.0.1:5433"
"""

ONLY_TCP = 'and only listeners with mode = "tcp" have this pool'

#: A value in `TCP_BASE`, another one in its place, and what is told of which key.
TCP_REPLACED = (
    (
        'pool = "db"\n',
        'pool = "bd"\n',
        "listeners.db.pool",
        "there is no pools.bd",
    ),
    ("timeouts.head", "timeouts.idle", "listeners.db.timeouts.idle", "its pool"),
    ("timeouts.head", "timeouts.body", "listeners.db.timeouts.body", 'only with mode = "http"'),
    (
        "timeouts.head = 3.0",
        "limits.head = 9999",
        "listeners.db.limits",
        'goes only with mode = "http"',
    ),
    ("timeouts.head = 3.0", "trusted = []", "listeners.db.trusted", 'goes only with mode = "http"'),
    ('"db.example"', '"*"', "routes[0].sni", 'expected a name such as "db.example"'),
    ('"db.example"', '"*.*.example"', "routes[0].sni", 'expected a name such as "db.example"'),
    ('"db.example"', '"db.example."', "routes[0].sni", 'expected a name such as "db.example"'),
    ('listener = "db"', 'listener = "bd"', "routes[0].listener", "there is no listeners.bd"),
    (
        'listener = "db"',
        'host = "x"',
        "routes[0].host",
        "goes only with HTTP, and this route has sni",
    ),
    (
        'listener = "db"',
        'path = "/"',
        "routes[0].path",
        "goes only with HTTP, and this route has sni",
    ),
    ('pool = "named"', "", "routes[0].pool", "is missing"),
    ('sni = "db.example"', 'path = "/"', "routes[0]", 'only with a listener with mode = "http"'),
    ('"v2"', '"v3"', "pools.db.send_proxy", "expected v1 or v2"),
    (
        "timeouts.connect",
        "tls = true\ntimeouts.connect",
        "pools.db.send_proxy",
        "does not go with tls",
    ),
    (
        "[pools.named]",
        "tls = true\n[pools.named]",
        "pools.db.send_proxy",
        "does not go with tls",
    ),
    (
        "[pools.named]",
        f"[pools.named]\n{HASH}hash.key = 'path'",
        "pools.named.hash.key",
        '"path" is not known of a session in TCP mode; only client is',
    ),
    ("timeouts.connect", "timeouts.read", "pools.db.timeouts.read", ONLY_TCP),
    ("timeouts.connect", "timeouts.first_byte", "pools.db.timeouts.first_byte", ONLY_TCP),
    ("[pools.named]", "server = 'klein'\n[pools.named]", "pools.db.backends[0].server", ONLY_TCP),
    (
        "[pools.db]",
        "[[routes]]\nsni = 'DB.example'\npool = 'db'\nlistener = 'db'\n[pools.db]",
        "routes[1]",
        "never reached: routes[0] takes all that matches",
    ),
    (
        "[pools.db]",
        "[listeners.web]\nendpoint = 'tcp:80'\n[[routes]]\npath = '/'\npool = 'db'\n[pools.db]",
        "pools.db.send_proxy",
        "goes only with TCP mode, and a route of HTTP has this pool",
    ),
    (
        "[pools.db]",
        "[listeners.web]\nendpoint = 'tcp:80'\n"
        "[[routes]]\nlistener = 'web'\nsni = 'a'\npool = 'db'\n[pools.db]",
        "routes[1].sni",
        'goes only with a listener with mode = "tcp"',
    ),
)

SECOND = 'pool = "api"\n[[routes]]\npath = "/api"'


class MistakeTests(LoadTestCase):
    """What is told of mistakes."""

    def test_added(self) -> None:
        """A line too many gives one line, which names its key, and mostly its own line."""
        for place, line, key, message in MISTAKES:
            with self.subTest(line=line):
                before = BASE.splitlines()
                end = ENDS[place]
                text = "\n".join([*before[:end], line, *before[end:], ""])
                told = self.mistakes(text)
                self.assertEqual(len(told), 1, told)
                self.assertIn(f" {key}: ", told[0])
                self.assertIn(message, told[0])
                number = int(told[0].partition(":")[0])
                last = end + 1 + line.count("\n")
                if key != "pools.api.backends":  # All of them, where the first one stands.
                    self.assertTrue(end < number <= last, told)

    def test_tcp(self) -> None:
        """A wrong value of TCP mode gives one line, which names its key."""
        self.load(TCP_BASE)
        for old, new, key, message in TCP_REPLACED:
            with self.subTest(new=new):
                self.assertIn(old, TCP_BASE)
                told = self.mistakes(TCP_BASE.replace(old, new, 1))
                self.assertEqual(len(told), 1, told)
                self.assertIn(f" {key}: ", told[0])
                self.assertIn(message, told[0])

    def test_tcp_nowhere(self) -> None:
        """A listener in TCP mode needs somewhere to go."""
        routes = TCP_BASE[TCP_BASE.index("[[routes]]") : TCP_BASE.index("[pools.db]")]
        told = self.mistakes(TCP_BASE.replace('pool = "db"\n', "").replace(routes, ""))
        self.assertEqual(len(told), 1, told)
        self.assertIn('listeners.db: a listener with mode = "tcp" needs pool', told[0])

    def test_replaced(self) -> None:
        """A wrong value gives one line, which names its key."""
        for old, new, key, message in REPLACED:
            with self.subTest(new=new):
                self.assertIn(old, BASE)
                told = self.mistakes(BASE.replace(old, new, 1))
                self.assertEqual(len(told), 1, told)
                self.assertIn(f" {key}: ", told[0])
                self.assertIn(message, told[0])

    def test_line(self) -> None:
        """The whole line: file, line, key and message."""
        text = BASE.replace("endpoint", "endpiont")
        told = self.mistakes(text)
        self.assertEqual(told, ["2: listeners.web.endpiont: unknown key; did you mean endpoint?"])

    def test_shares(self) -> None:
        """What is limited in all must be enough for each worker; `auto` gets what it can."""
        text = BASE.replace("[pools.api]", "[pools.api]\nmax_in_flight = 2")
        (told,) = self.mistakes("workers = 3\n" + text)
        self.assertIn("pools.api.max_in_flight: 2 cannot be divided among 3 workers", told)
        self.assertEqual(self.load("workers = 2\n" + text).workers, 2)
        cores = len(os.sched_getaffinity(0))
        self.assertEqual(self.load('workers = "auto"\n' + text).workers, cores)

    def test_all_at_once(self) -> None:
        """All mistakes are told, in the file's order."""
        text = BASE.replace("3001", "99999").replace('pool = "api"', 'pool = "ap"\nmethods = [1]')
        told = self.mistakes("workers = 0\n" + text + "weight = 'x'\n")
        keys = [line.split(": ")[1] for line in told]
        self.assertEqual(
            keys,
            [
                "workers",
                "routes[0].pool",
                "routes[0].methods[0]",
                "pools.api.backends[0].address",
                "pools.api.backends[0].weight",
            ],
        )

    def test_one_typo_one_line(self) -> None:
        """What is only missing because its key has a typo is not told as well."""
        for old, new in (
            ("pools.api", "pool.api"),
            ("[[routes]]", "[[route]]"),
            ("listeners", "listener"),
            ('pool = "api"', 'pol = "api"'),
            ("backends]]", "backend]]"),
            ("address", "adress"),
        ):
            with self.subTest(new=new):
                told = self.mistakes(BASE.replace(old, new))
                self.assertEqual(len(told), 1, told)
                self.assertIn("unknown key; did you mean", told[0])

    def test_unknown_and_missing(self) -> None:
        """A key that is missing is told, whatever else is unknown."""
        told = self.mistakes(BASE.replace("name =", "zzzzzz ="))
        keys = [line.split(": ")[1] for line in told]
        self.assertEqual(keys, [f"{BACKEND}.name", f"{BACKEND}.zzzzzz"])

    def test_nothing(self) -> None:
        """An empty file lacks what no default can know."""
        self.assertEqual(self.mistakes(""), [" listeners: is missing", " routes: is missing"])

    def test_wrong_shapes(self) -> None:
        """Tables, lists and scalars in each other's places."""
        told = self.mistakes("listeners = 1\nroutes = {}\npools = []\n")
        self.assertEqual(
            told,
            [
                "1: listeners: expected a table, found 1",
                "2: routes: expected a list, found a table",
                "3: pools: expected a table, found a list",
            ],
        )
        told = self.mistakes("listeners = {}\nroutes = []\npools.x = 1\n")
        self.assertEqual(
            told,
            [
                "1: listeners: at least one is needed",
                "2: routes: at least one is needed",
                "3: pools.x: expected a table, found 1",
            ],
        )

    def test_syntax(self) -> None:
        """What is not TOML is told with its line."""
        for text, line in (("a = 1\nb =\nc = 2", 2), ("a = 1\na = 2\n", 2), ("[a]\n[a]\n", 2)):
            told = self.mistakes(text)
            self.assertEqual(len(told), 1)
            self.assertTrue(told[0].startswith(f"{line}: not TOML: "), told)

    def test_unreadable_values(self) -> None:
        """What the TOML reader gives up on is one line as well."""
        digits = self.mistakes("a = " + "1" * 5000)
        self.assertEqual(digits, [" not TOML: a number far too large"])
        nested = self.mistakes("a = " + "[" * 9000 + "]" * 9000)
        self.assertEqual(nested, [" lists or tables are nested too deeply"])
        huge = self.mistakes(BASE + "weight = 0x" + "f" * 5000)
        self.assertIn("found a number far too large", huge[0])

    def test_mark(self) -> None:
        """A mark of the encoding, with which some editors begin a file, is no mistake."""
        self.assertEqual(self.load("\ufeff" + BASE), self.load(BASE))

    def test_not_utf8(self) -> None:
        """A byte that is not UTF-8 is told with its line."""
        self.file.write_bytes(b"# one\n# \xff\n")
        error = self.assertRaises(ConfigError, load, self.file)
        self.assertEqual(str(error), f"{self.file}:2: not UTF-8, which TOML is written in")

    def test_missing_file(self) -> None:
        """A file that is not there, or is a folder, is one line."""
        error = self.assertRaises(ConfigError, load, self.file)
        self.assertEqual(
            str(error), f"{self.file}: cannot read the config: No such file or directory"
        )
        error = self.assertRaises(ConfigError, load, self.folder)
        self.assertEqual(str(error), f"{self.folder}: cannot read the config: Is a directory")


WORDS = ("api", "web", "/", "tcp:0", "127.0.0.1:1", "klein", "round_robin", "x", "", ".")
SCALARS = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=3).filter(lambda text: text.isprintable() and text.isascii()),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.dates(),
)
NAMES = st.sampled_from(
    (
        *(
            "listeners",
            "routes",
            "pools",
            "stop",
            "workers",
            "access_log",
            "admin",
            "web",
            "api",
            "name",
        ),
        *("endpoint", "timeouts", "limits", "trusted", "path", "pool", "static", "listener"),
        *("host", "methods", "headers", "retry_on", "max_body", "backends", "address", "weight"),
        *("health", "interval", "timeout", "head", "target", "server", "queue", "x y", "drain"),
        *("dns", "servers", "min_ttl", "max_ttl", "family"),
        *("tls", "certificates", "client_ca", "client_auth", "ciphers", "verify", "sni"),
    )
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "listeners": st.dictionaries(NAMES, st.dictionaries(NAMES, DOCUMENTS, max_size=4)),
        "routes": st.lists(st.dictionaries(NAMES, DOCUMENTS, max_size=5), max_size=3),
        "pools": st.dictionaries(NAMES, st.dictionaries(NAMES, DOCUMENTS, max_size=5)),
        "stop": DOCUMENTS,
        "dns": st.dictionaries(NAMES, DOCUMENTS, max_size=4),
        "access_log": DOCUMENTS,
    },
)


def toml(value: Any) -> str:
    """A value in TOML, tables inline."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case date():
            return value.isoformat()
        case float():
            return repr(value)
    return json.dumps(value)


class AnythingTests(SynchronousTestCase):
    """Whatever a file says, it is a config or a list of mistakes."""

    def check(self, document: dict[str, Any]) -> None:
        """Load the document; only a `ConfigError` may come out."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "lb.toml")
            file.write_text("".join(f"{json.dumps(k)} = {toml(v)}\n" for k, v in document.items()))
            try:
                config = load(file)
            except ConfigError as error:
                told = str(error).split("\n")
                self.assertTrue(all(line.startswith(f"{file}:") for line in told), told)
                self.assertEqual(len(set(told)), len(told))
            else:
                self.assertIsInstance(config, Config)

    @given(st.dictionaries(NAMES, DOCUMENTS, max_size=5))
    def test_any_mapping(self, document: dict[str, Any]) -> None:
        """Any mapping."""
        self.check(document)

    @given(SHAPES)
    def test_near_misses(self, document: dict[str, Any]) -> None:
        """Mappings that look like a config."""
        self.check(document)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text at all."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "lb.toml")
            file.write_bytes(text.encode(errors="surrogatepass"))
            self.assertRaises(ConfigError, load, file)
