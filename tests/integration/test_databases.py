"""Real servers behind TCP mode: Redis and PostgreSQL, each with its own clients."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.streams import StreamBalancer, pool, stream_balancer
from tests.processes import PATIENCE, Process, free_port

REDIS = shutil.which("redis-server")

#: Debian has the server's programs beside the path, a folder for each version.
POSTGRES = next((str(path.parent) for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), "")


def run(*arguments: str | Path, given: str = "") -> str:
    """What a client prints."""
    ended = subprocess.run(
        [str(argument) for argument in arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PGCONNECT_TIMEOUT": "10"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")
def test_redis(tmp_path: Path) -> None:
    """A session of redis-cli, a value of 10 MiB, and a benchmark of pipelined commands."""
    assert REDIS is not None
    port = free_port()
    server = Process(
        [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    )
    with server, stream_balancer(tmp_path, pool(port, more="")) as proxy:
        server.wait_for_line("Ready to accept connections")
        client = ["redis-cli", "-p", str(proxy.port("db"))]
        assert run(*client, given="SET a 1\nINCR a\nGET a\n").split() == ["OK", "2", "2"]
        value = "0123456789" * 1024 * 1024
        assert run(*client, "-x", "SET", "big", given=value) == "OK\n"
        assert run(*client, "GET", "big") == value + "\n"
        benchmark = ["redis-benchmark", "-p", str(proxy.port("db")), "-q", "-t", "get,set"]
        told = run(*benchmark, "-n", "2000", "-c", "20", "-P", "10")
        assert len(re.findall(r"[0-9.]+ requests per second", told)) == 2
    assert {record["reason"] for record in proxy.records()} <= {"ended", "client_reset"}


@pytest.fixture
def postgres() -> Iterator[int]:
    """A PostgreSQL server of its own; its port."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed")
    # It refuses to run as root, and cannot look into folders that are root's alone.
    as_user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "data")
        if as_user:
            shutil.chown(name, "postgres")
        make = ["--no-sync", "--auth", "trust", "--username", "test", "--pgdata", str(folder)]
        run(*as_user, Path(POSTGRES, "initdb"), *make)
        options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={name}"]
        options += ["fsync=off"]
        switches = [word for option in options for word in ("-c", option)]
        server = Process([*as_user, Path(POSTGRES, "postgres"), "-D", folder, *switches])
        with server:
            server.wait_for_line("database system is ready to accept connections")
            yield port


def psql(proxy: StreamBalancer, *arguments: str, given: str = "") -> str:
    """What `psql` prints, through the balancer."""
    where = ["-h", "127.0.0.1", "-p", str(proxy.port("db")), "-U", "test", "-d", "postgres"]
    return run("psql", *where, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments, given=given)


def test_postgres(tmp_path: Path, postgres: int) -> None:
    """A session of psql, 10 MB out of a query and into a table, and a short pgbench."""
    # Every other session is tried at a backend that refuses.
    with stream_balancer(tmp_path, pool(postgres, free_port())) as proxy:
        assert psql(proxy, "-c", "SELECT 1 + 1") == "2\n"
        assert psql(proxy, "-c", "SELECT repeat('x', 10000000)") == "x" * 10_000_000 + "\n"
        rows = "".join(f"{number}\t{'y' * 100}\n" for number in range(100_000))
        copy = f"CREATE TABLE t (n int, s text);\nCOPY t FROM STDIN;\n{rows}\\.\n"
        psql(proxy, given=copy)
        counted = psql(proxy, "-c", "SELECT count(*), sum(n), sum(length(s)) FROM t")
        assert counted == "100000|4999950000|10000000\n"
        where = ["-h", "127.0.0.1", "-p", str(proxy.port("db")), "-U", "test", "postgres"]
        run("pgbench", "-i", "-q", *where)
        told = run("pgbench", "-c", "4", "-t", "50", *where)
        assert "number of transactions actually processed: 200/200" in told
        assert "number of failed transactions: 0 " in told
    assert all(record["attempts"][-1]["outcome"] == "connected" for record in proxy.records())
