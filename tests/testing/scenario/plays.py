"""Playing a scenario that a test writes, against a config that it writes."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lbproxy.testing.scenario.play import play
from lbproxy.testing.scenario.result import Result
from tests.config.folder import temporary_folder

CONFIG = """\
[listeners.web]
endpoint = "tcp:3000"
[[routes]]
path = "/"
pool = "api"
[pools.api]
{pool}
[[pools.api.backends]]
name = "klein"
address = "127.0.0.1:3001"
[[pools.api.backends]]
name = "flask"
address = "127.0.0.1:3002"
"""

SCENARIO = """\
duration = 10.0
{top}
[[load]]
rate = 50.0
{load}
"""


def folder_with(
    case: SynchronousTestCase, scenario: str, config: str | None = None, pool: str = ""
) -> Path:
    """A folder with `scenario.toml` and `lbproxy.toml`.

    Args:
        case: The test.
        scenario: The whole of the scenario.
        config: The whole of the config, if not the one above.
        pool: Else what stands in its pool.
    """
    folder = temporary_folder(case)
    (folder / "scenario.toml").write_text(scenario)
    (folder / "lbproxy.toml").write_text(CONFIG.format(pool=pool) if config is None else config)
    return folder


def played(
    case: SynchronousTestCase,
    top: str = "",
    load: str = "",
    pool: str = "",
    *,
    scenario: str | None = None,
    config: str | None = None,
) -> Result:
    """What comes of a scenario.

    Args:
        case: The test.
        top: More of the scenario before its load.
        load: More of its load.
        pool: What stands in the config's pool.
        scenario: The scenario, if not the one above.
        config: The config, if not the one above.
    """
    text = SCENARIO.format(top=top, load=load) if scenario is None else scenario
    folder = folder_with(case, text, config, pool)
    return play(folder / "scenario.toml", folder / "lbproxy.toml")
