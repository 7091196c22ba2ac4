"""Reloads on real processes: what did not change does not notice, and what cannot be is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.integration.commands import done, lbproxy, status, top
from tests.integration.group import ASK, Group, answer, group, until
from tests.integration.load import Load
from tests.integration.origin import BACKEND, Origin, Wire, polite
from tests.processes import free_port, refuses
from tests.trials.reloading import edit, reloading

WORKERS = pytest.mark.parametrize("workers", [1, 2])

ASK_ONCE = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@WORKERS
def test_nothing_is_cut(tmp_path: Path, workers: int) -> None:
    """A WebSocket, an event stream, a slow upload and many requests live through all reloads."""
    outcome = reloading(tmp_path / "trial", workers, reloads=6)
    assert outcome.faults == [], outcome.verdict


@WORKERS
def test_backends(tmp_path: Path, workers: int) -> None:
    """One that is gone gets nothing more; one that stays keeps its connections and counters."""
    stays, goes, comes = Origin(polite), Origin(polite), Origin(polite)
    pool = "slow_start = 0.0"
    with group(tmp_path, stays, goes, pool=pool, top=top(workers)) as proxy:
        with Load(proxy, 8) as load:
            load.wait_for_progress()
            done(proxy, "weight", "a", "5", "--reason", "canary")
            done(proxy, "drain", "b")
            counted = proxy.requests()
            gone = BACKEND.format(name="b", port=goes.port)
            come = BACKEND.format(name="c", port=comes.port)
            edit(tmp_path, gone, come)
            told = done(proxy, "reload")
            assert f"+ pools.api.backends.c (127.0.0.1:{comes.port})" in told
            assert "- pools.api.backends.b" in told
            assert "1 route unchanged" in told
            ended = len(goes.heads)
            load.wait_for_progress()
            load.wait_for_progress()
            until(lambda: len(comes.heads) > 0)
            assert len(goes.heads) == ended
            assert proxy.requests() > counted
            assert status(proxy)["a"]["weight"] == 5
            assert list(status(proxy)) == ["a", "c"]
        assert (sum(load.lost), load.refused) == (0, [])
    assert "api/b is gone, and with it the drain by" in proxy.process.output


@WORKERS
def test_listeners(tmp_path: Path, workers: int) -> None:
    """A new one is opened; one that is gone refuses, and its idle clients are parted from."""
    two = f'[listeners.two]\nendpoint = "tcp:{free_port()}:interface=127.0.0.1"\n'
    with group(tmp_path, Origin(polite), top=top(workers)) as proxy:
        edit(tmp_path, "[listeners.web]", f"{two}[listeners.web]")
        done(proxy, "reload")
        line = proxy.process.wait_for_line(r"two listens on http://\S+:(\d+)/")
        address = ("127.0.0.1", int(line[1]))
        wires = [Wire(socket.create_connection(address)) for _ in range(4)]
        for wire in wires:
            wire.send(ASK)
            assert answer(wire).endswith(b"ok")
        kept = proxy.connect()
        kept.send(ASK)
        assert answer(kept).endswith(b"ok")
        edit(tmp_path, two, "")
        assert "- listeners.two" in done(proxy, "reload")
        for wire in wires:
            assert wire.rest() == b""
            wire.socket.close()
        # The worker in reserve has the sockets too, and nobody waits for it.
        until(lambda: refuses(address[1]))
        kept.send(ASK)
        assert answer(kept).endswith(b"ok")
        kept.socket.close()


@WORKERS
def test_routes(tmp_path: Path, workers: int) -> None:
    """A connection that is kept is served by the new routes from its next request on."""
    with group(tmp_path, Origin(polite), top=top(workers)) as proxy:
        wire = proxy.connect()
        with wire.socket:
            for _ in range(3):  # Often enough that the head is remembered.
                wire.send(ASK)
                assert b"X-Served-By: a" in answer(wire)
            edit(tmp_path, "expose_backend = true", "")
            done(proxy, "reload")
            wire.send(ASK)
            told = answer(wire)
            assert told.endswith(b"ok") and b"X-Served-By" not in told


@WORKERS
def test_refused(tmp_path: Path, workers: int) -> None:
    """Whatever is wrong is told with its place, and all goes on as before."""
    with group(tmp_path, Origin(polite), top=top(workers)) as proxy:
        config = tmp_path / "lbproxy.toml"
        good = config.read_text()
        taken = f'[listeners.two]\nendpoint = "tcp:{proxy.admin}:interface=127.0.0.1"\n'
        for wrong, told in (
            (good.replace("pools.api]", "pools.api]\nbalancr = 1"), "balancr"),
            (good.replace("[listeners.web]", f"{taken}[listeners.web]"), "listeners.two.endpoint"),
            (good.replace(f"workers = {workers}", "workers = 3"), "workers"),
            (good + '[[routes]]\npath = "/files"\nstatic = "nowhere"\n', "nowhere"),
            (good.replace("tcp:port=0:", "tcp:port=3900:"), "admin.endpoint"),
        ):
            config.write_text(wrong)
            ended = lbproxy(proxy, "reload")
            assert ended.returncode == 1
            assert told in ended.stderr and "Traceback" not in ended.stderr
            assert proxy.ask(ASK_ONCE).endswith(b"ok")
        config.unlink()
        proxy.process.signal(signal.SIGHUP)
        proxy.process.wait_for_line(r"reload refused: .*lbproxy\.toml")
        config.write_text(good)
        assert "1 listener, 1 pool, 1 backend, 1 route unchanged" in done(proxy, "reload")


@WORKERS
def test_log_is_rotated(tmp_path: Path, workers: int) -> None:
    """After a SIGHUP the access log is the file of its name again, and no line is lost."""
    with group(tmp_path, Origin(polite), top=top(workers)) as proxy:
        with Load(proxy, 4) as load:
            load.wait_for_progress()
            proxy.log.rename(tmp_path / "access.log.1")
            proxy.process.signal(signal.SIGHUP)
            until(lambda: proxy.log.exists() and proxy.log.stat().st_size > 0)
        asked = sum(load.asked)
    lines = [
        json.loads(line)
        for file in ("access.log", "access.log.1")
        for line in (tmp_path / file).read_text().splitlines()
    ]
    assert sum(line["route"] == "/" for line in lines if "route" in line) == asked


def test_worker_made_afterwards(tmp_path: Path) -> None:
    """A worker that takes the place of one that was killed serves what was reloaded."""
    first, second = Origin(polite), Origin(polite)
    with group(tmp_path, first) as proxy:
        old, new = (BACKEND.format(name="a", port=origin.port) for origin in (first, second))
        edit(tmp_path, old, new)
        done(proxy, "reload")
        kill_all(proxy)
        for _ in range(8):
            assert proxy.ask(ASK_ONCE).endswith(b"ok")
        assert (len(first.heads), len(second.heads)) == (0, 8)


def kill_all(proxy: Group) -> None:
    """Kill each worker, and wait for those in their places."""
    before = proxy.wait_until_all_serve()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(
        lambda: all(
            worker["state"] == "serving" and worker["pid"] not in before
            for worker in proxy.workers()
        )
    )
