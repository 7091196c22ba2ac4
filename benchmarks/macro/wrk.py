"""The load: wrk, which tells its numbers in JSON at the end."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path

import attrs

from benchmarks.macro.workloads import Workload

#: Seconds for which a client waits for an answer before it counts an error.
TIMEOUT = 10

_DONE = """\
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\\n{"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,'
        .. '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
"""


# A browser's head of 12 fields, 5 of whose values and the target are never the same twice: what
# remembers heads that it has seen gains nothing by it.
_VARIED = """\
math.randomseed({seed})
local many, random = 2147483647, math.random
local head = table.concat({{
    "GET {path}/%d/orders/%d?page=%d&sort=%x HTTP/1.1",
    "Host: %s",
    "Connection: keep-alive",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0",
    "Accept: application/json, text/plain, */*",
    "Accept-Language: el-GR,el;q=0.9,en-US;q=0.8,en;q=0.7",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: https://shop.example/restaurants/%d",
    "Cookie: session=%08x%08x%08x; theme=dark; cart=%d; consent=1",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
    "traceparent: 00-%08x%08x%08x%08x-%08x%08x-01",
    "", ""
}}, "\\r\\n")
request = function()
    local version = random(90, 140)
    return string.format(head,
        random(many), random(many), random(99), random(many), wrk.headers["Host"],
        version, version, random(many),
        random(many), random(many), random(many), random(many),
        random(many), random(many), random(many), random(many), random(many), random(many))
end
"""


class LoadFailed(Exception):
    """The load could not be made; the text says why."""


@attrs.frozen
class Load:
    """What the clients saw.

    Attributes:
        requests: Answers that came whole.
        received: Bytes, those of heads and of answers that did not come whole included.
        seconds: How long it took.
        p50: Half of the answers came within these seconds.
        p99: All but a hundredth came within these seconds.
        errors: Connections that failed or timed out, and answers of 400 and above.
    """

    requests: int
    received: int
    seconds: float
    p50: float
    p99: float
    errors: int


def script(workload: Workload, seed: int) -> str:
    """The Lua script; but for varied heads it does not run for each request.

    Args:
        workload: What to ask.
        seed: Of the varied heads.
    """
    lines = []
    if workload.varied:
        lines.append(_VARIED.format(path=workload.path, seed=seed))
    if workload.body:
        lines += ['wrk.method = "POST"', f'wrk.body = string.rep("x", {workload.body})']
    if workload.close:
        lines.append('wrk.headers["Connection"] = "close"')
    return "\n".join([*lines, _DONE])


def parse(output: str) -> Load:
    """Read what the script printed at the end.

    Raises:
        ValueError: If it is not there; the text is what is.
    """
    last = output.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        raise ValueError(last or "nothing")
    told = json.loads(last)
    return Load(
        requests=told["requests"],
        received=told["bytes"],
        seconds=told["microseconds"] / 1e6,
        p50=told["p50"] / 1e6,
        p99=told["p99"] / 1e6,
        errors=sum(told["errors"].values()),
    )


def run(
    workload: Workload, port: int, seconds: int, folder: Path, cores: Collection[int], seed: int
) -> Load:
    """Load a proxy on the loopback address.

    Args:
        workload: What to ask.
        port: Where the proxy listens.
        seconds: For how long.
        folder: For the script.
        cores: Where wrk may run.
        seed: Another one for each run, so that varied heads are new.

    Raises:
        LoadFailed: If wrk could not do it.
    """
    path = folder / f"{workload.name}.lua"
    path.write_text(script(workload, seed), encoding="utf-8")
    scheme = "https" if workload.tls else "http"
    arguments = [
        "wrk",
        "--threads=1",
        f"--connections={workload.connections}",
        f"--duration={seconds}s",
        f"--timeout={TIMEOUT}s",
        f"--script={path}",
        f"{scheme}://127.0.0.1:{port}{workload.path}",
    ]
    try:
        ended = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + 3 * TIMEOUT,
            check=False,
            text=True,
            preexec_fn=functools.partial(os.sched_setaffinity, 0, cores),
        )
        return parse(ended.stdout)
    except subprocess.TimeoutExpired:
        raise LoadFailed("wrk did not end") from None
    except ValueError as error:
        raise LoadFailed(f"wrk said: {error}") from None
