"""The wheel, installed in an empty environment far from the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.packaging.source import copy_checkout
from tests.processes import LISTENS, PATIENCE, ROOT, Process, free_port

CONFIG = """\
admin = false

[listeners.web]
endpoint = "tcp:0:interface=127.0.0.1"

[[routes]]
path = "/api/"
pool = "api"

[[routes]]
path = "/"
static = "{public}"

[pools.api]

[[pools.api.backends]]
name = "klein"
address = "127.0.0.1:{port}"
"""

ALONE = {"PYTHONPATH": ""}
"""Without the checkout on the import path."""


def run(*arguments: str | Path, directory: Path) -> str:
    """Run a program to its good end, outside the checkout; what it printed."""
    process = Process(arguments, environment=ALONE, directory=directory)
    code = process.wait()
    assert code == 0, process.output
    return process.output


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    copy_checkout(folder / "source")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", folder, folder / "source", directory=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which the wheel is installed; its dependencies are the test's own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", directory=folder)
    python = folder / "venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    run(*pip, wheel, directory=folder)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    # A path that a .pth file adds has its own .pth files left unread: an editable lbproxy in the
    # test's environment stays out.
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return folder


def twistd(environment: Path) -> tuple[Path, Path]:
    """The command `twistd` under the environment's Python."""
    return environment / "venv/bin/python", Path(sys.executable).with_name("twistd")


def test_names(wheel: Path) -> None:
    """The plugin, the packages, the page and the type marker are there, and nothing astray."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.startswith("twisted/")} == {
        "twisted/plugins/lbproxy_plugin.py",
        "twisted/plugins/lbproxy_reactor.py",
    }
    tops = {name.partition("/")[0] for name in names if not name.startswith("lbproxy-")}
    assert tops == {"backend_flask", "backend_klein", "lbproxy", "ordering", "twisted"}
    assert "lbproxy/py.typed" in names
    page = {name.partition("/share/lbproxy/")[2] for name in names if "/share/lbproxy/" in name}
    files = (ROOT / "public").rglob("*")
    assert page == {str(path.relative_to(ROOT)) for path in files if path.is_file()}


def test_installed_elsewhere(environment: Path) -> None:
    """What is imported is the wheel's, not the checkout's."""
    code = "import lbproxy, ordering; print(lbproxy.__file__); print(ordering.__file__)"
    printed = run(environment / "venv/bin/python", "-c", code, directory=environment)
    for line in printed.splitlines():
        assert Path(line).is_relative_to(environment / "venv")


def test_twistd_lists_it(environment: Path) -> None:
    """`twistd --help` lists the plugin."""
    printed = run(*twistd(environment), "--help", directory=environment)
    assert "An HTTP load balancer and reverse proxy" in printed


def test_command(environment: Path) -> None:
    """The command `lbproxy` is installed, and reads a config."""
    config = environment / "checked.toml"
    public = environment / "venv/share/lbproxy/public"
    config.write_text(CONFIG.format(public=public, port=free_port()), encoding="utf-8")
    run(environment / "venv/bin/lbproxy", "check", config, directory=environment)


def test_serves(environment: Path) -> None:
    """`twistd -n lbproxy` serves the page and its health, and SIGTERM ends it with 0."""
    config = environment / "lbproxy.toml"
    public = environment / "venv/share/lbproxy/public"
    config.write_text(CONFIG.format(public=public, port=free_port()), encoding="utf-8")
    arguments = (*twistd(environment), "-n", "--pidfile=", "lbproxy", "--config", config)
    balancer = Process(arguments, environment=ALONE, directory=environment)
    try:
        port = balancer.wait_for_line(LISTENS)["port"]
        with urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as page:
            assert page.read() == (ROOT / "public/index.html").read_bytes()
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as health:
            assert b'"klein"' in health.read()
        assert balancer.stop() == 0, balancer.output
    except (AssertionError, OSError, subprocess.TimeoutExpired):
        balancer.kill()
        raise
