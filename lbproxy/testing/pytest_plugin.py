"""The fixture `lbproxy_scenario` for pytest, which finds it by the entry point `pytest11`.

Nothing else of lbproxy imports this module, so pytest need not be there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lbproxy.testing.scenario.result import Result

#: Columns of the report.
WIDTH = 100

Play = Callable[..., "Result"]


@pytest.fixture
def lbproxy_scenario(request: pytest.FixtureRequest) -> Play:
    """Plays a scenario: `assert lbproxy_scenario("rolling.toml", config="lbproxy.toml").ok`.

    Paths start from the folder of the test's file; `seed=` replaces the scenario's own. What comes
    back is a `lbproxy.testing.scenario.result.Result`. The report is printed, so pytest shows it
    with a test that fails.
    """

    def play(scenario: str | Path, *, config: str | Path, seed: int | None = None) -> Result:
        # Every session of pytest imports this module: most never need the balancer.
        from lbproxy.errors import ConfigError
        from lbproxy.testing.scenario import play as playing
        from lbproxy.testing.scenario.report import report
        from lbproxy.testing.scenario.terminal import BLOCKS

        folder = request.path.parent
        try:
            result = playing.play(folder / scenario, folder / config, seed)
        except ConfigError as error:
            pytest.fail(str(error), pytrace=False)
        print("\n".join(report(result, WIDTH, BLOCKS)))
        return result

    return play
