"""Changes at run time, on real processes: what is drained loses no request, and gets none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.commands import done, lbproxy, run, status, top
from tests.integration.group import ASK, TOP, Group, answer, group, until
from tests.integration.load import Load
from tests.integration.origin import OK, Origin, Wire, polite
from tests.processes import PATIENCE, Process

WORKERS = pytest.mark.parametrize("workers", [1, 2])

#: An admin listener that has a socket besides its port.
SOCKET = TOP + 'socket = "admin.sock"\n'


@WORKERS
def test_drain_under_load(tmp_path: Path, workers: int) -> None:
    """No request fails while a backend is drained, none goes to it then, and some do afterwards."""
    first, second = Origin(polite), Origin(polite)
    pool = "slow_start = 0.0"
    with group(tmp_path, first, second, pool=pool, top=top(workers)) as proxy:
        with Load(proxy, 8) as load:
            load.wait_for_progress()
            told = done(proxy, "drain", "a", "--wait", "--reason", "deploy")
            assert told.endswith("api/a has finished\n")
            before = len(first.heads)
            load.wait_for_progress()
            load.wait_for_progress()
            assert len(first.heads) == before > 0
            metrics = proxy.metrics()
            assert metrics["lbproxy_backend_weight", "api", "a"] == 0
            assert metrics["lbproxy_backend_draining", "api", "a"] == 1
            assert proxy.health()["pools"][0]["backends"][0]["draining"] is True
            done(proxy, "undrain", "a")
            until(lambda: len(first.heads) > before)
        assert (sum(load.lost), load.refused) == (0, [])
        proxy.process.wait_for_line(r"api/a is drained by \S+: deploy")


@WORKERS
def test_finishes_what_runs(tmp_path: Path, workers: int) -> None:
    """What runs at a drained backend is waited for; with nobody else, others are told so."""
    begun, go_on = threading.Event(), threading.Event()

    def act(origin: Origin, wire: Wire) -> None:
        while origin.request(wire):
            begun.set()
            assert go_on.wait(PATIENCE)
            wire.send(OK)

    with group(tmp_path, Origin(act), top=top(workers)) as proxy:
        running, late = proxy.connect(), proxy.connect()
        with running.socket, late.socket:
            running.send(ASK)
            assert begun.wait(PATIENCE)
            ended = lbproxy(proxy, "drain", "a", "--wait", "--timeout", "0.3")
            assert ended.returncode == 1
            assert "there is still 1 in flight at api/a; it stays drained" in ended.stderr
            late.send(ASK)
            told = answer(late)
            assert told.startswith(b"HTTP/1.1 503 ") and b'"reason": "drained"' in told
            go_on.set()
            assert answer(running).endswith(b"ok")
            assert done(proxy, "drain", "a", "--wait").endswith("has finished\n")


def test_outlives_a_worker(tmp_path: Path) -> None:
    """A worker that takes the place of a killed one knows what is drained."""
    first, second = Origin(polite), Origin(polite)
    with group(tmp_path, first, second) as proxy:
        done(proxy, "drain", "a", "--wait")
        for pid in proxy.wait_until_all_serve():
            os.kill(pid, signal.SIGKILL)
        for number in (1, 2):
            proxy.process.wait_for_line(rf"worker {number} ended by signal 9")
        proxy.wait_until_all_serve()
        with Load(proxy, 16) as load:
            load.wait_for_progress()
            assert min(proxy.clients()) > 0
            load.wait_for_progress()
        assert first.heads == []
        assert load.refused == []
        assert status(proxy)["a"]["draining"] is True


def test_expiry(tmp_path: Path) -> None:
    """A change that was made for a while is over by itself, and the log says so."""
    with group(tmp_path, Origin(polite), Origin(polite)) as proxy:
        told = done(proxy, "weight", "b", "7", "--for", "0.5", "--author", "ann")
        assert told.startswith("api/b has the weight 7 (config: 1); weight 7 by ann until ")
        proxy.process.wait_for_line("api/b: the weight by ann for 0.5 s is over")
        assert (status(proxy)["b"]["weight"], status(proxy)["b"]["override"]) == (1, None)


def test_sessions(tmp_path: Path) -> None:
    """A session at a drained backend goes on, and is waited for; new ones do not come."""

    def named(name: bytes) -> Origin:
        def act(origin: Origin, wire: Wire) -> None:
            wire.send(name)
            while data := wire.socket.recv(4096):
                wire.send(data)

        return Origin(act)

    backends = "".join(
        f'[[pools.db.backends]]\nname = "{name}"\naddress = "127.0.0.1:{origin.port}"\n'
        for name, origin in (("x", named(b"x")), ("y", named(b"y")))
    )
    more = (
        '[listeners.db]\nendpoint = "tcp:0:backlog=50:interface=127.0.0.1"\n'
        'mode = "tcp"\npool = "db"\n'
        f"[pools.db]\nhealth = false\n{backends}"
    )
    with group(tmp_path, Origin(polite), top=TOP + more) as proxy:
        line = proxy.process.wait_for_line(r"db listens on tcp://\S+:(\d+)")
        web, proxy.process.port = proxy.process.port, int(line[1])
        sessions = [proxy.connect() for _ in range(2)]
        names = [session.exactly(1) for session in sessions]
        done(proxy, "drain", "x")
        for _ in range(4):
            new = proxy.connect()
            with new.socket:
                assert new.exactly(1) == b"y"
        for session in sessions:
            session.send(b"ping")
            assert session.exactly(4) == b"ping"
        waiting = subprocess.Popen(
            [
                *(Path(sys.executable).with_name("lbproxy"), "drain", "x", "--wait"),
                *("--admin", f"127.0.0.1:{proxy.admin}"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert waiting.stdout is not None
        at_x = names.count(b"x")
        assert waiting.stdout.readline() == f"db/x gets nothing new; {at_x} in flight\n"
        for session in sessions:
            session.socket.close()
        with waiting:
            assert waiting.stdout.readline() == "db/x has finished\n"
        assert waiting.returncode == 0
        proxy.process.port = web


def post(path: bytes, body: bytes, *fields: bytes) -> bytes:
    """A request to change something."""
    lines = [b"POST %b HTTP/1.1" % path, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


def test_hostile(tmp_path: Path) -> None:
    """What a page of another site can send, and what makes no sense, changes nothing."""
    here, kind = b"Host: localhost", b"Content-Type: application/json"
    drain = b'{"backend": "a", "author": "mallory"}'
    with group(tmp_path, Origin(polite), Origin(polite)) as proxy:
        own = b"Host: 127.0.0.1:%d" % proxy.admin
        for request, code, reason in (
            (post(b"/drain", drain, b"Host: evil.example", kind), 403, "foreign"),
            (post(b"/drain", drain, here, here, kind), 403, "foreign"),
            (post(b"/drain", drain, here, kind, b"Origin: http://evil.example"), 403, "foreign"),
            (post(b"/drain", drain, here, kind, b"Origin: null"), 403, "foreign"),
            (post(b"/drain", drain, here, kind, b"Sec-Fetch-Site: cross-site"), 403, "foreign"),
            (post(b"/drain", drain, here, b"Content-Type: text/plain"), 415, "bad_request"),
            (post(b"/drain", drain, here), 415, "bad_request"),
            (post(b"/drain", b"{", here, kind), 400, "bad_request"),
            (post(b"/drain", b"[]", here, kind), 400, "bad_request"),
            (post(b"/drain", b"\xff" * 20000, here, kind), 413, "bad_request"),
            (
                post(b"/drain", b'{"backend": "c", "author": "m"}', own, kind),
                404,
                "unknown_backend",
            ),
            (post(b"/drain", drain[:-1] + b', "for": -1}', own, kind), 400, "bad_request"),
            (post(b"/weight", drain[:-1] + b', "weight": 1e9}', own, kind), 400, "bad_request"),
            (post(b"/restart", drain, own, kind), 409, "not_possible"),
            (post(b"/status", drain, own, kind), 405, "bad_request"),
            (post(b"/%ff", drain, own, kind), 404, "bad_request"),
            (post(b"/drain", drain, own, kind).replace(b"POST", b"GET"), 405, "bad_request"),
            (post(b"/drain", drain, own, kind).replace(b"POST", b"PURGE"), 405, "bad_request"),
        ):
            public, proxy.process.port = proxy.process.port, proxy.admin
            told = proxy.ask(request)
            proxy.process.port = public
            assert told.startswith(b"HTTP/1.1 %d " % code), (request, told)
            assert b"\r\nContent-Type: application/problem+json\r\n" in told
            assert json.loads(told.partition(b"\r\n\r\n")[2])["reason"] == reason
        assert not any(backend["draining"] for backend in status(proxy).values())


def test_not_in_public(tmp_path: Path) -> None:
    """On a public listener these paths are the backends' own."""
    origin = Origin(polite)
    with group(tmp_path, origin) as proxy:
        for path in (b"/status", b"/drain", b"/metrics"):
            told = proxy.ask(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
            )
            assert told.endswith(b"\r\n\r\nok")
        paths = [head.split(b" ")[1] for head in origin.heads]
        assert paths == [b"/status", b"/drain", b"/metrics"]


def test_socket(tmp_path: Path) -> None:
    """The socket is its owner's alone; one that is held is left, and a stale one replaced."""
    path, config = tmp_path / "admin.sock", str(tmp_path / "lbproxy.toml")
    proxy = Group(tmp_path, [Origin(polite).port], "", "false", SOCKET)
    with proxy.process:
        assert path.stat().st_mode & 0o777 == 0o600
        assert run("status", "--config", config).stdout.startswith("lbproxy ")
        assert run("drain", "a", "--admin", str(path)).returncode == 0
        other = tmp_path / "other.toml"
        other.write_text(Path(config).read_text())
        second = Process(twistd(other), directory=tmp_path)
        assert second.wait() == 1
        held = f"admin.socket: cannot listen on {path}: another process listens there"
        assert held in second.output and "Traceback" not in second.output, second.output
        assert run("status", "--admin", str(path)).returncode == 0
        proxy.process.kill()
        assert path.exists()
        ended = run("status", "--config", config)
        assert ended.returncode == 1
        assert "Connection refused" in ended.stderr
        with Group.of(Process(twistd(Path(config)), directory=tmp_path)) as again:
            again.wait_until_all_serve()
            assert run("status", "--config", config).returncode == 0
            assert again.process.stop() == 0
        assert not path.exists()


def twistd(config: Path) -> list[str | Path]:
    """What starts a balancer."""
    program = Path(sys.executable).with_name("twistd")
    return [program, "--nodaemon", "--pidfile=", "lbproxy", "--config", config]


def test_no_admin(tmp_path: Path) -> None:
    """Where there is no admin listener the command says which key makes one."""
    with group(tmp_path, Origin(polite)) as proxy:
        config = tmp_path / "without.toml"
        text = (tmp_path / "lbproxy.toml").read_text()
        config.write_text(
            text.replace("[admin]\n", "").replace(TOP.splitlines()[2], "admin = false")
        )
        ended = run("status", "--config", str(config))
        assert ended.returncode == 1
        assert "admin = false, so there is no listener for this command" in ended.stderr
        assert "Traceback" not in ended.stderr
        public = run("status", "--admin", f"127.0.0.1:{proxy.process.port}")
        assert public.returncode == 1
        assert "is no admin listener of lbproxy" in public.stderr
