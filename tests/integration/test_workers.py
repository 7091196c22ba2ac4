"""Several workers: they share the load, and one that dies takes only its own connections along."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.group import ASK, HEALTH, TOP, Group, alive, answer, group, until
from tests.integration.load import Load
from tests.integration.origin import OK, Balancer, Origin, Wire, polite, script
from tests.processes import PATIENCE, Process

#: So many that the kernel spreads them: all at one of two workers would be a miracle.
CLIENTS = 64


@contextlib.contextmanager
def clients(of: Balancer, count: int) -> Iterator[list[Wire]]:
    """Clients' connections, each used once."""
    with contextlib.ExitStack() as stack:
        wires = []
        for _ in range(count):
            wire = of.connect()
            stack.enter_context(wire.socket)
            wires.append(wire)
        for wire in wires:
            wire.send(ASK)
        for wire in wires:
            assert answer(wire).endswith(b"ok")
        yield wires


def views(wires: list[Wire]) -> set[str]:
    """The backends' states, as each of these connections' workers knows them."""
    told = set()
    for wire in wires:
        wire.send(HEALTH)
        document = json.loads(answer(wire).partition(b"\r\n\r\n")[2])
        states = [backend["state"] for pool in document["pools"] for backend in pool["backends"]]
        told.add(" ".join(states))
    return told


def test_both_serve(tmp_path: Path) -> None:
    """Connections are spread within 60/40, and what is counted is of the whole."""
    count = 512  # At 64 chance alone would spread them worse one time in ten.
    with group(tmp_path, Origin(polite)) as proxy, clients(proxy, count):
        spread = proxy.clients()
        assert sum(spread) == count
        assert min(spread) >= 0.4 * count, spread
        assert proxy.requests() == count
        metrics = proxy.metrics()
        assert metrics["lbproxy_worker_up", "1"] == metrics["lbproxy_worker_up", "2"] == 1
        assert metrics["lbproxy_request_seconds_count", "/", "api", "a"] == count
    lines = proxy.log.read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines].count(200) == count


def test_in_flight(tmp_path: Path) -> None:
    """The health report of any worker counts what is under way in all of them."""
    go_on = threading.Event()

    def act(wire: Wire) -> None:
        assert go_on.wait(PATIENCE)
        wire.send(OK)

    with group(tmp_path, Origin(script(act))) as proxy, contextlib.ExitStack() as stack:
        waiting = [proxy.connect() for _ in range(CLIENTS)]
        for wire in waiting:
            stack.enter_context(wire.socket)
            wire.send(ASK)

        def told() -> int:
            wire = proxy.connect()
            with wire.socket:
                wire.send(HEALTH)
                document = json.loads(answer(wire).partition(b"\r\n\r\n")[2])
            count: int = document["pools"][0]["backends"][0]["in_flight"]
            return count

        for _ in range(8):  # At either worker.
            until(lambda: told() == CLIENTS)
        assert proxy.health()["pools"][0]["backends"][0]["in_flight"] == CLIENTS
        go_on.set()
        for wire in waiting:
            assert answer(wire).endswith(b"ok")


def test_killed_worker(tmp_path: Path) -> None:
    """Under load its connections are lost and nothing else, and another one takes its place."""
    with group(tmp_path, Origin(polite)) as proxy:
        first, second = proxy.wait_until_all_serve()
        with Load(proxy, 16) as load:
            load.wait_for_progress()
            connected = proxy.clients()
            assert sum(connected) == 16
            os.kill(first, signal.SIGKILL)
            proxy.process.wait_for_line(r"worker 1 ended by signal 9 \(SIGKILL\)")
            load.wait_for_progress()
            replaced, kept = proxy.wait_until_all_serve()
            load.wait_for_progress()
        assert kept == second and replaced != first
        assert sum(load.lost) == connected[0]
        assert max(load.lost) <= 1
        assert load.refused == []
        told = proxy.workers()
        assert [worker["restarts"] for worker in told] == [1, 0]
        with clients(proxy, CLIENTS):
            assert min(proxy.clients()) > 0


def test_all_killed(tmp_path: Path) -> None:
    """Clients that come while no worker lives wait for one."""
    with group(tmp_path, Origin(polite)) as proxy:
        for pid in proxy.wait_until_all_serve():
            os.kill(pid, signal.SIGKILL)
        with clients(proxy, CLIENTS):
            pass


def test_crash_loop(tmp_path: Path) -> None:
    """A worker that cannot start is named and waited for; clients on its queue are served."""
    folder = tmp_path / "files"
    folder.mkdir()
    route = f'[[routes]]\npath = "/files/"\nstatic = "{folder}"\n'
    with group(tmp_path, Origin(polite), top=TOP + route) as proxy:
        pids = proxy.wait_until_all_serve()
        folder.rmdir()

        def loops() -> bool:
            second = proxy.workers()[1]
            if second["state"] == "serving":  # There is a worker in reserve.
                os.kill(second["pid"], signal.SIGKILL)
            return "[worker 2] lbproxy: cannot serve the folder" in proxy.process.output

        until(loops)
        loop = r"worker 2 ended \d times within \d+ s, with exit status 1; next try in [124] s"
        proxy.process.wait_for_line(loop)
        with clients(proxy, CLIENTS):
            assert proxy.clients() == [CLIENTS, 0]
        folder.mkdir()
        assert proxy.wait_until_all_serve()[0] == pids[0]


def test_asked_to_leave(tmp_path: Path) -> None:
    """A worker that gets SIGTERM finishes what runs while another one serves already."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def act(origin: Origin, wire: Wire) -> None:
        while head := origin.request(wire):
            if b"/slow" in head:
                begun.release()
                assert go_on.wait(PATIENCE)
            wire.send(OK)

    with group(tmp_path, Origin(act)) as proxy, contextlib.ExitStack() as stack:
        first, second = proxy.wait_until_all_serve()
        slow = [proxy.connect() for _ in range(16)]
        for wire in slow:
            stack.enter_context(wire.socket)
            wire.send(ASK.replace(b" / ", b" /slow "))
        for _ in slow:
            assert begun.acquire(timeout=PATIENCE)
        os.kill(first, signal.SIGTERM)
        until(lambda: proxy.workers()[0]["pid"] != first)
        assert proxy.wait_until_all_serve()[1] == second
        with clients(proxy, CLIENTS):
            assert alive(first)
        go_on.set()
        for wire in slow:
            assert answer(wire).endswith(b"ok")
        until(lambda: not alive(first))
        assert proxy.workers()[0]["restarts"] == 1


def test_stop(tmp_path: Path) -> None:
    """SIGTERM has all workers finish what runs, and end with exit code 0."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def act(wire: Wire) -> None:
        begun.release()
        assert go_on.wait(PATIENCE)
        wire.send(OK)

    proxy = Group(tmp_path, [Origin(script(act)).port], "", "false", TOP)
    with proxy.process, contextlib.ExitStack() as stack:
        pids = proxy.wait_until_all_serve()
        waiting = [proxy.connect() for _ in range(16)]
        for wire in waiting:
            stack.enter_context(wire.socket)
            wire.send(ASK)
        for _ in waiting:
            assert begun.acquire(timeout=PATIENCE)
        counted = proxy.clients()
        proxy.process.signal(signal.SIGINT)

        def refused() -> bool:
            try:
                proxy.connect().socket.close()
            except ConnectionError:
                return True
            return False

        until(refused)
        assert proxy.health()["status"] == "draining"
        assert {worker["state"] for worker in proxy.workers()} == {"draining"}
        go_on.set()
        for wire in waiting:
            assert b"\r\nConnection: close\r\n" in answer(wire)
        assert min(counted) > 0
        assert proxy.process.wait() == 0
        assert [pid for pid in pids if alive(pid)] == []


def test_second_signal(tmp_path: Path) -> None:
    """A second signal ends what still runs."""
    begun = threading.Event()

    def act(wire: Wire) -> None:
        begun.set()
        wire.rest()

    proxy = Group(tmp_path, [Origin(script(act)).port], "", "false", TOP)
    with proxy.process, (wire := proxy.connect()).socket:
        proxy.wait_until_all_serve()
        wire.send(ASK)
        assert begun.wait(PATIENCE)
        proxy.process.signal(signal.SIGTERM)
        until(lambda: {worker["state"] for worker in proxy.workers()} == {"draining"})
        proxy.process.signal(signal.SIGTERM)
        assert proxy.process.wait() == 0
        assert answer(wire) == b""


def test_killed_parent(tmp_path: Path) -> None:
    """Workers whose parent was killed finish what runs, and end."""
    proxy = Group(tmp_path, [Origin(polite).port], "", "false", TOP)
    with proxy.process:
        pids = proxy.wait_until_all_serve()
        proxy.process.kill()
        until(lambda: not any(alive(pid) for pid in pids))


def test_verdicts(tmp_path: Path) -> None:
    """A backend is probed once for all, and all hear of it at once."""
    ill = threading.Event()
    probes = Counter[str]()

    def act(origin: Origin, wire: Wire) -> None:
        while head := origin.request(wire):
            if head.startswith(b"GET /health "):
                probes["ill" if ill.is_set() else "well"] += 1
                wire.send(OK.replace(b"200 OK", b"503 No") if ill.is_set() else OK)
            else:
                wire.send(OK)

    with (
        group(tmp_path, Origin(act), health="{ interval = 1.0, fall = 2 }") as proxy,
        clients(proxy, CLIENTS) as wires,
    ):
        assert min(proxy.clients()) > 0
        assert views(wires) == {"up"}
        ill.set()
        proxy.process.wait_for_line("api/a is down: answered 503")
        until(lambda: views(wires) == {"down"})
        assert probes["ill"] <= 3
        assert proxy.process.output.count("api/a is down") == 1


def test_ejection(tmp_path: Path) -> None:
    """What one worker's traffic shows puts a backend out at all, but never the last one."""
    failing = threading.Event()

    def act(origin: Origin, wire: Wire) -> None:
        while origin.request(wire):
            if failing.is_set():
                return
            wire.send(OK)

    with (
        group(tmp_path, Origin(act), Origin(polite)) as proxy,
        clients(proxy, CLIENTS) as wires,
    ):
        assert min(proxy.clients()) > 0
        failing.set()

        def ejected() -> bool:
            wires[0].send(ASK)
            assert answer(wires[0]).endswith(b"ok")
            return "ejected" in proxy.process.output

        until(ejected)
        until(lambda: views(wires) == {"ejected up"})
        assert proxy.metrics()["lbproxy_ejections_total", "api", "a"] == 1
        assert proxy.metrics()["lbproxy_backend_up", "api", "a"] == 0


def command(config: Path, *options: str) -> list[str | Path]:
    """What starts a balancer."""
    twistd = Path(sys.executable).with_name("twistd")
    return [twistd, "--nodaemon", "--pidfile=", *options, "lbproxy", "--config", config]


def test_port_in_use(tmp_path: Path) -> None:
    """Another balancer is told, although both could share the port; and so is the admin port."""
    with group(tmp_path, Origin(polite)) as proxy:
        config = tmp_path / "lbproxy.toml"
        text = config.read_text()
        for knob, free, port in (
            ("admin", "tcp:port=0:", proxy.admin),
            ("listeners.web", "tcp:0:", proxy.process.port),
        ):
            config.write_text(text.replace(free, f"tcp:{port}:"))
            process = Process(command(config), directory=tmp_path)
            assert process.wait() == 1
            told = f"{knob}.endpoint: cannot listen on port {port}: Address already in use (held by"
            assert process.output.count(told) == 1, process.output
            assert "Traceback" not in process.output


@pytest.mark.parametrize("prefix", ["unix", "haproxy:unix", "haproxy:tcp"])
def test_endpoints(tmp_path: Path, prefix: str) -> None:
    """A socket that all share, and the PROXY protocol, serve with workers too."""
    path = tmp_path / "socket"
    endpoint = f"{prefix}:0:interface=127.0.0.1" if "tcp" in prefix else f"{prefix}:{path}"
    config = tmp_path / "lbproxy.toml"
    origin = Origin(polite)
    text = f"""\
{TOP}
[listeners.web]
endpoint = "{endpoint}"
[[routes]]
path = "/"
pool = "api"
[pools.api]
health = false
[[pools.api.backends]]
name = "a"
address = "127.0.0.1:{origin.port}"
"""
    config.write_text(text)
    with Process(command(config), directory=tmp_path) as process:
        said = process.wait_for_line(r"web listens on (\S+)")[1]
        for _ in range(8):
            client = socket.socket(socket.AF_UNIX if "unix" in prefix else socket.AF_INET)
            with client:
                port = re.search(r":(\d+)/", said)
                client.connect(str(path) if port is None else ("127.0.0.1", int(port[1])))
                wire = Wire(client)
                if "haproxy" in prefix:
                    wire.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n")
                wire.send(ASK)
                assert answer(wire).endswith(b"ok")
        assert process.stop() == 0, process.output
    assert not path.exists()
    assert len(origin.heads) == 8
    if "haproxy" in prefix:
        assert {b"\r\nX-Forwarded-For: 192.0.2.7\r\n" in head for head in origin.heads} == {True}


NOBODY = 65534
"""The user without privileges."""


def readable_by_all(path: Path) -> bool:
    """Whether any user may come to a file and read it."""
    parents = [*path.resolve().parents]
    return bool(path.stat().st_mode & 4) and all(each.stat().st_mode & 1 for each in parents)


def test_without_privileges(tmp_path: Path) -> None:
    """A worker that is made after the privileges were dropped serves, and logs, as before."""
    # Elsewhere it is only a worker that is made later.
    drops = os.geteuid() == 0 and all(map(readable_by_all, (Path(sys.executable), Path(__file__))))
    ports = range(900, 1000) if drops else [0]
    port = next(port for port in ports if not port or not is_taken(port))
    origin = Origin(polite)
    config = tmp_path / "lbproxy.toml"
    config.write_text(f"""\
access_log = "access.log"
{TOP}
[listeners.web]
endpoint = "tcp:{port}:interface=127.0.0.1"
[[routes]]
path = "/"
pool = "api"
[pools.api]
health = false
[[pools.api.backends]]
name = "a"
address = "127.0.0.1:{origin.port}"
""")
    options = [f"--uid={NOBODY}", f"--gid={NOBODY}"] if drops else []
    with Group.of(Process(command(config, *options), directory=tmp_path)) as proxy:
        pids = proxy.wait_until_all_serve()
        for pid in pids:
            uid = Path(f"/proc/{pid}/status").read_text().partition("\nUid:\t")[2].split()[0]
            assert int(uid) == (NOBODY if drops else os.geteuid())
            os.kill(pid, signal.SIGKILL)
        until(lambda: not set(pids) & {worker["pid"] for worker in proxy.workers()})
        proxy.wait_until_all_serve()
        with clients(proxy, CLIENTS):
            assert min(proxy.clients()) > 0
        assert proxy.process.stop() == 0, proxy.process.output
    assert len((tmp_path / "access.log").read_text().splitlines()) == CLIENTS


def is_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
