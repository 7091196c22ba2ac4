"""Time and chance come from outside: only the entries, and what is named here, ask for them."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).resolve().parent.parent.parent / "lbproxy"

#: Where something of it may be: the file, and why.
ALLOWED = {
    "service.py": "random",  # Begins everything with one source of chance.
    "worker/main.py": "random",  # The same, in a process of its own.
    "static/files.py": "time.time",  # A default that a test replaces; nothing else depends on it.
    "cli/check.py": "now",  # A command that runs once.
    "testing/__main__.py": "time.monotonic",  # How long the runner itself takes.
}

#: What gives another answer each time.
FORBIDDEN = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"},
    "random": {"random", "randint", "choice", "shuffle", "uniform", "randrange", "getrandbits"},
    "uuid": {"uuid1", "uuid4"},
    "os": {"urandom", "getrandom"},
    "secrets": {"token_bytes", "token_hex", "token_urlsafe", "choice", "randbelow"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def unseeded(source: str) -> list[str]:
    """What a module's source asks chance or the clock of the machine for."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN:
            taken = {alias.name for alias in node.names} & FORBIDDEN[node.module]
            found += [f"{node.module}.{name}" for name in sorted(taken)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in FORBIDDEN.get(node.value.id, ()):
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node) == "random.Random()":
            found.append("random.Random()")
    return found


class EntropyTests(SynchronousTestCase):
    def test_package(self) -> None:
        """No module but those that are named asks for it."""
        wrong = []
        for path in sorted(PACKAGE.rglob("*.py")):
            name = str(path.relative_to(PACKAGE))
            for what in unseeded(path.read_text(encoding="utf-8")):
                if ALLOWED.get(name, "nothing") not in what:
                    wrong.append(f"{name}: {what}")
        self.assertEqual(wrong, [])

    def test_allowed_is_needed(self) -> None:
        """Who is named does ask for it."""
        for name, what in ALLOWED.items():
            found = unseeded((PACKAGE / name).read_text(encoding="utf-8"))
            self.assertTrue(any(what in each for each in found), name)

    def test_finds(self) -> None:
        """It is found however it is asked for."""
        for source in (
            "import time\nx = time.time()",
            "from os import urandom",
            "import uuid\nx = uuid.uuid4()",
            "import random\nx = random.Random()",
            "import random\nx = random.choice([1])",
            "from datetime import datetime\nx = datetime.now()",
        ):
            self.assertEqual(len(unseeded(source)), 1, source)
        self.assertEqual(unseeded("import random\nx = random.Random(7)"), [])
