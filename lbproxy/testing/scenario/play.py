"""From two files to a result: what the command and the fixture do."""

from __future__ import annotations

import gc
from os import fspath
from pathlib import Path

import attrs

from lbproxy.config.load import load as load_config
from lbproxy.config.model import Config
from lbproxy.testing.complaints import Complaints
from lbproxy.testing.reactor import Spinning
from lbproxy.testing.scenario.load import load
from lbproxy.testing.scenario.model import Scenario
from lbproxy.testing.scenario.result import Result
from lbproxy.testing.scenario.stage import Stage
from lbproxy.testing.simulate import collected


def play(scenario: str | Path, config: str | Path, seed: int | None = None) -> Result:
    """Play a scenario.

    Args:
        scenario: Its file.
        config: The config's file.
        seed: Instead of the scenario's own.

    Raises:
        ConfigError: With the mistakes in either file.
    """
    settings = load_config(config)
    played = load(scenario, settings)
    if seed is not None:
        played = attrs.evolve(played, seed=seed)
    return play_values(played, settings, fspath(scenario), fspath(config))


def play_values(scenario: Scenario, config: Config, scenario_file: str, config_file: str) -> Result:
    """Play what has been read.

    Args:
        scenario: What happens.
        config: What the balancer runs with.
        scenario_file: Where the scenario comes from, for people.
        config_file: Where the config does.

    Raises:
        ConfigError: If a folder of the config cannot be served.
    """
    with collected(), Complaints() as complaints:
        stage = Stage(config, scenario)
        wrongs = stage.wrongs
        try:
            stage.play()
        except Spinning as spinning:
            stage.wrong(str(spinning))
        result = Result(
            scenario,
            scenario_file,
            config_file,
            stage.cast,
            tuple(stage.acts),
            tuple(stage.requests),
            tuple(stage.turns),
            stage.notes,
            (),
        )
        del stage
        gc.collect()  # A Deferred that failed unheard says so when it goes.
    logged = [f"logged: {said}" for said in complaints.said]
    return attrs.evolve(result, wrongs=(*wrongs, *logged))
