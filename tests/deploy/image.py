"""Enough of a container engine to build the image of deploy/Dockerfile in a folder and run it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from attrs import define

SAID_TO_THE_ENGINE = ("USER", "VOLUME", "EXPOSE")
"""Instructions that need a container to mean anything."""


@define
class Image:
    """What the last stage of a Dockerfile leaves.

    Attributes:
        root: The folder that stands for `/`.
        workdir: The folder that `WORKDIR` names, below the root.
        command: What `CMD` starts.
        healthcheck: What `HEALTHCHECK` runs.
    """

    root: Path
    workdir: Path
    command: list[str]
    healthcheck: list[str]


def environment() -> dict[str, str]:
    """That of a command in the image: its `python3` is the one that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction of a Dockerfile with its arguments."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def build(dockerfile: Path, context: Path, root: Path) -> Image:
    """Carry out a Dockerfile, each stage in the same folder for `/` once the last is put away.

    Args:
        dockerfile: The file.
        context: What it copies from.
        root: An empty folder that stands for `/`.

    Raises:
        AssertionError: If a command of it fails, or an instruction is unknown.
    """
    stages: dict[str, Path] = {}
    image = Image(root, root, [], [])
    name = ""
    for instruction, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        match instruction:
            case "FROM":
                if name:
                    stages[name] = root.rename(root.with_name(f"stage-{name}"))
                root.mkdir(exist_ok=True)
                name = rest.partition(" AS ")[2]
            case "WORKDIR":
                image.workdir = root / rest.lstrip("/")
                image.workdir.mkdir(parents=True)
            case "COPY":
                _copy(rest, context, stages, image.workdir)
            case "RUN":
                _run(rest, image.workdir)
            case "CMD":
                image.command = json.loads(rest)
            case "HEALTHCHECK":
                image.healthcheck = json.loads(rest.partition(" CMD ")[2])
            case _:
                assert instruction in SAID_TO_THE_ENGINE, f"unknown instruction {instruction}"
    return image


def _copy(rest: str, context: Path, stages: dict[str, Path], workdir: Path) -> None:
    *options, source, target = shlex.split(rest)
    origin = context
    for option in options:
        origin = stages[option.removeprefix("--from=")]
    path = origin / source.lstrip("/")
    if path.is_dir():
        shutil.copytree(path, workdir / target, symlinks=True)
    else:
        shutil.copy(path, workdir / target)


def _run(command: str, workdir: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=workdir,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
