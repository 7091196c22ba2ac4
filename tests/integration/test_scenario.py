"""The same scenario in the simulator and on real processes: the verdict is the same."""

from __future__ import annotations

import sys
from pathlib import Path

from lbproxy.testing.scenario.play import play
from tests.integration.real_stage import RealStage, Verdict, verdict
from tests.processes import ROOT, Process, free_port

CONFIG = """\
admin = false
access_log = false
[listeners.web]
endpoint = "tcp:0:interface=127.0.0.1"
[[routes]]
path = "/"
pool = "api"
[pools.api]
{pool}
[[pools.api.backends]]
name = "klein"
address = "127.0.0.1:{klein}"
[[pools.api.backends]]
name = "flask"
address = "127.0.0.1:{flask}"
"""

SCENARIO = """\
duration = 5.0
events = [{event}]
[[load]]
rate = 40.0
paths = ["/a", "/b"]
methods = {{ GET = 0.7, POST = 0.3 }}
keyed = {keyed}
[backends."*"]
latency = {{ median = 0.02 }}
"""

CAREFUL = "health = { interval = 0.5, timeout = 0.5, rise = 1, fall = 1 }\nslow_start = 0.0"
CARELESS = "health = false\nejection = false\nretry = { attempts = 1 }"


EXAMPLES = ROOT / "examples"


def both(folder: Path, pool: str, event: str, keyed: float = 0.0) -> tuple[Verdict, Verdict]:
    """The verdict of the simulator, and that of real processes."""
    ports = {"klein": free_port(), "flask": free_port()}
    config, scenario = folder / "lbproxy.toml", folder / "scenario.toml"
    config.write_text(CONFIG.format(pool=pool, **ports))
    scenario.write_text(SCENARIO.format(event=event, keyed=keyed))
    simulated = play(scenario, config)
    assert simulated.wrongs == ()
    return verdict(simulated.requests), RealStage(folder, simulated, ports).play()


def test_rolling(tmp_path: Path) -> None:
    """Each backend finishes what runs, is away, and comes back: nothing fails."""
    event = '{ at = 1.0, restart = ["klein", "flask"], seconds = 0.5, every = 2.0 }'
    simulated, real = both(tmp_path, CAREFUL + "\nejection = false", event)
    assert (simulated.failed, simulated.doubled) == (False, False)
    assert simulated.served == {"klein", "flask"}
    assert (real.failed, real.doubled, real.served) == (False, False, simulated.served), real


def test_flapping(tmp_path: Path) -> None:
    """A backend that is killed again and again: nothing with a key is lost, nor done twice."""
    event = '{ at = 0.5, flap = "klein", every = 0.5, seconds = 4.0 }'
    simulated, real = both(tmp_path, CAREFUL, event, keyed=1.0)
    assert (simulated.failed, simulated.doubled, simulated.main) == (False, False, "flask")
    assert real == simulated


def test_careless(tmp_path: Path) -> None:
    """Where nobody looks after the backends, both see requests fail for the same reason."""
    event = '{ at = 1.0, kill = "klein", seconds = 2.0 }'
    simulated, real = both(tmp_path, CARELESS, event)
    assert (simulated.failed, simulated.doubled) == (True, False)
    assert "no_backend" in simulated.reasons & real.reasons
    assert (real.failed, real.doubled, real.main) == (True, False, simulated.main)


def test_same_everywhere() -> None:
    """The same seed gives the same, whatever order a process keeps its sets in."""
    scenario, config = EXAMPLES / "scenarios" / "flapping.toml", EXAMPLES / "lbproxy.toml"
    lbproxy = Path(sys.executable).with_name("lbproxy")
    command: list[str | Path] = [lbproxy, "test", scenario, "--config", config, "--json"]
    printed = []
    for seed in ("0", "1"):
        process = Process(command, environment={"PYTHONHASHSEED": seed})
        assert process.wait() == 0, process.output
        printed.append(process.output)
    assert printed[0] == printed[1]
