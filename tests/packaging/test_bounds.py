"""The oldest dependencies admitted are those that are tested."""

from __future__ import annotations

import configparser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


def pinned(name: str) -> dict[str, Version]:
    """The versions in a constraints file, each by its project's name in lower case."""
    pins = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            project, version = line.split("==")
            pins[project.lower()] = Version(version)
    return pins


def required() -> dict[str, Requirement]:
    """What setup.cfg requires, each by its project's name in lower case."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n")
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {requirement.name.lower(): requirement for requirement in wanted}


def test_lower_bounds() -> None:
    """Each lower bound in setup.cfg is the version in constraints-lower.txt."""
    bounds = {name: str(wanted.specifier) for name, wanted in required().items()}
    assert bounds == {
        name: f">={version}" for name, version in pinned("constraints-lower.txt").items()
    }


def test_lock_is_admitted() -> None:
    """The versions that `make run` installs are all admitted by setup.cfg."""
    locked = pinned("constraints.txt")
    for name, wanted in required().items():
        assert locked[name] in wanted.specifier, name
