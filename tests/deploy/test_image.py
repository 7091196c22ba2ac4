"""The image and the compose file: their commands, run as they stand in a clean folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from tests.deploy.image import Image, build, environment
from tests.packaging.source import copy_checkout
from tests.processes import LISTENS, PATIENCE, READY, ROOT, Process, free_port

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    """For each port in the files, a free one to put in its place."""
    return {port: str(free_port()) for port in ("3000", "3001", "3002")}


@pytest.fixture(scope="module")
def image(ports: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built; its config listens on the loopback address alone."""
    folder = tmp_path_factory.mktemp("image")
    copy_checkout(folder / "context")
    config = folder / "context/deploy/image.toml"
    text = moved(config.read_text(encoding="utf-8"), ports)
    listen = f"tcp:{ports['3000']}"
    assert listen in text
    config.write_text(text.replace(listen, f"{listen}:interface=127.0.0.1"), encoding="utf-8")
    return build(folder / "context/deploy/Dockerfile", folder / "context", folder / "root")


def moved(text: str, ports: dict[str, str]) -> str:
    """The text with its ports replaced."""
    return re.sub(r"\b(?:" + "|".join(ports) + r")\b", lambda port: ports[port[0]], text)


def healthy(image: Image, command: list[str], ports: dict[str, str]) -> bool:
    """Whether a health check, run once in the image, passes."""
    check = [moved(word, ports) for word in command]
    done = subprocess.run(
        check, cwd=image.workdir, env=environment(), capture_output=True, timeout=PATIENCE
    )
    return done.returncode == 0


@pytest.fixture(scope="module")
def shop(image: Image, ports: dict[str, str]) -> Iterator[str]:
    """The services of the compose file, all running; the balancer's address."""
    with ExitStack() as running:
        for name, service in COMPOSE["services"].items():
            command = [moved(word, ports) for word in service.get("command", image.command)]
            variables = {**service.get("environment", {}), "PYTHONPATH": ""}
            process = running.enter_context(
                Process(command, environment=variables, directory=image.workdir)
            )
            process.wait_for_line(LISTENS if name == "lbproxy" else READY)
            if name == "lbproxy":
                balancer = process
        for backend in ("klein", "flask"):  # They have come after it.
            balancer.wait_for_line(f"api/{backend} is up: ")
        yield f"http://127.0.0.1:{ports['3000']}"


def test_compose_file() -> None:
    """All services run the one image, and the backends share the balancer's network and a store."""
    services = COMPOSE["services"]
    assert {service["image"] for service in services.values()} == {"lbproxy"}
    context = (ROOT / "deploy" / services["lbproxy"]["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / services["lbproxy"]["build"]["dockerfile"]).is_file()
    for name in ("klein", "flask"):
        assert services[name]["network_mode"] == "service:lbproxy"
        assert services[name]["volumes"] == ["store:/srv/lbproxy/store"]
        assert services[name]["environment"]["DATABASE_URL"].startswith("sqlite:///store/")
    assert set(COMPOSE["volumes"]) == {"store"}


def test_serves(image: Image, shop: str) -> None:
    """The page is served, and the store is where the volume is."""
    with urlopen(f"{shop}/", timeout=PATIENCE) as page:
        assert page.read() == (ROOT / "public/index.html").read_bytes()
    with urlopen(f"{shop}/api/restaurants", timeout=PATIENCE) as answer:
        assert answer.status == 200
    assert (image.workdir / "store/shop.sqlite").is_file()


def test_health_checks(image: Image, ports: dict[str, str], shop: str) -> None:
    """Each service's health check passes while it runs, and fails where nothing listens."""
    checks = [service.get("healthcheck") for service in COMPOSE["services"].values()]
    commands = [check["test"][1:] for check in checks if check is not None]
    assert len(commands) == 2
    nowhere = dict.fromkeys(ports, str(free_port()))
    for command in [image.healthcheck, *commands]:
        assert healthy(image, command, ports)
        assert not healthy(image, command, nowhere)
