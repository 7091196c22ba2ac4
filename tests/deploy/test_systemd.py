"""The systemd units: well-formed, and the balancer started by its socket."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.integration import commands
from tests.processes import LISTENS, PATIENCE, ROOT, Process, free_port

DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent


def program(name: str) -> str:
    """Where one of systemd's programs is."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def test_units_verify(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about the units."""
    analyze = program("systemd-analyze")
    units = []
    for unit in sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.socket")]):
        text = unit.read_text(encoding="utf-8").replace("/opt/lbproxy/bin", str(BIN))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
        units.append(tmp_path / unit.name)
    assert len(units) == 5
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (verified.stdout + verified.stderr, verified.returncode) == ("", 0)


def test_stand_in() -> None:
    """The unit that stands in for the balancer is confined as that is, and runs beside it."""

    def settings(name: str) -> list[str]:
        lines = (DEPLOY / name).read_text(encoding="utf-8").partition("[Service]")[2]
        return [line for line in lines.partition("[Install]")[0].split("\n") if line[:1].isupper()]

    usual, stand_in = settings("lbproxy.service"), settings("lbproxy-standin.service")
    (command,) = [line for line in usual if line.startswith("ExecStart=")]
    # It runs for a minute, without an admin socket, and nobody changes its config meanwhile.
    own = ("Restart", "ExecReload", "RuntimeDirectory")
    left_out = [line for line in usual if line.startswith(own)]
    wanted = {*usual, "Sockets=lbproxy.socket", f"{command} --no-admin"} - {command, *left_out}
    assert set(stand_in) == wanted


def started(text: str) -> list[str]:
    """The command of a unit's ExecStart."""
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    return line.removeprefix("ExecStart=").split()


def runtime_directory() -> str:
    """What the balancer's unit has systemd make under /run."""
    unit = (DEPLOY / "lbproxy.service").read_text(encoding="utf-8")
    (name,) = [
        line.partition("=")[2] for line in unit.splitlines() if line.startswith("RuntimeDirectory=")
    ]
    return name


@pytest.mark.parametrize("workers", [1, 2])
def test_socket_activation(tmp_path: Path, workers: int) -> None:
    """The unit's command and config serve the client for whom systemd opened the socket."""
    activate = program("systemd-socket-activate")
    text = (DEPLOY / "lbproxy.toml").read_text(encoding="utf-8")
    config = tmp_path / "lbproxy.toml"
    text = text.replace("/opt/lbproxy/share/lbproxy/public", str(ROOT / "public"))
    for backend in ("127.0.0.1:3001", "127.0.0.1:3002"):
        text = text.replace(backend, f"127.0.0.1:{free_port()}")
    text = text.replace("[admin]\n", "[admin]\nendpoint = false\n")
    admin = tmp_path / "admin.sock"
    text = text.replace(f"/run/{runtime_directory()}/admin.sock", str(admin))
    config.write_text(f"workers = {workers}\n{text}", encoding="utf-8")
    unit = (DEPLOY / "lbproxy.service").read_text(encoding="utf-8")
    unit = unit.replace("/opt/lbproxy/bin", str(BIN))
    unit = unit.replace("/etc/lbproxy/lbproxy.toml", str(config))
    socket_unit = (DEPLOY / "lbproxy.socket").read_text(encoding="utf-8")
    (name,) = [
        line.partition("=")[2]
        for line in socket_unit.splitlines()
        if line.startswith("FileDescriptorName=")
    ]
    port = free_port()
    opened = [activate, f"--fdname={name}", f"--listen=127.0.0.1:{port}"]
    # It starts the program with next to nothing of its own environment.
    environment = ["--setenv=PYTHONPATH", "--setenv=PYTHONUNBUFFERED"]
    with Process([*opened, *environment, *started(unit)], directory=tmp_path) as balancer:
        balancer.wait_for_line("Listening on ")
        # The first client starts the program, and waits in the kernel's queue until it accepts.
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with client.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
                assert answer.read().endswith((ROOT / "public/index.html").read_bytes())
        assert int(balancer.wait_for_line(LISTENS)["port"]) == port
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as health:
            assert json.load(health)
        asked = commands.run("status", "--config", str(config))
        assert asked.returncode == 0, asked.stderr
        assert balancer.stop() == 0, balancer.output
