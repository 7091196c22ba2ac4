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

Play = Callable[..., "Result"]


@pytest.fixture
def lbproxy_scenario(request: pytest.FixtureRequest) -> Play:
    """Plays a scenario: `lbproxy_scenario("rolling.toml", config="lbproxy.toml").failed == 0`.

    Paths start from the folder of the test's file. What comes back is a
    `lbproxy.testing.scenario.result.Result`; with `check=True` (the default is false) the test
    fails, with the whole report, where an expectation of the scenario does not hold.
    """

    def play(
        scenario: str | Path, *, config: str | Path, seed: int | None = None, check: bool = False
    ) -> Result:
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
        if check and not result.ok:
            pytest.fail("\n".join(report(result, 100, BLOCKS)), pytrace=False)
        return result

    return play
