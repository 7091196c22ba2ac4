"""Which room of the package may import which, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).resolve().parent.parent / "lbproxy"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "health": set(),
    "plugins": set(),
    "seldom": set(),
    "http1": {"errors"},
    "preface": {"errors"},
    "transport": {"errors", "seldom"},
    "config": {"errors", "health", "http1", "plugins", "transport"},
    "static": {"errors", "http1"},
    "observe": {"errors", "transport"},
    "forward": {"config", "errors", "health", "http1"},
    "balance": {"config", "errors", "health", "seldom"},
    "probe": {"balance", "config", "errors", "health", "plugins", "transport"},
    "discovery": {"config", "errors", "health", "probe", "transport"},
    "control": {
        "balance",
        "config",
        "discovery",
        "errors",
        "health",
        "observe",
        "plugins",
        "probe",
        "seldom",
        "transport",
    },
    "options": {"config", "errors"},
    "proxy": {
        "balance",
        "config",
        "errors",
        "forward",
        "health",
        "http1",
        "observe",
        "preface",
        "static",
        "transport",
    },
    "worker": {
        "balance",
        "config",
        "control",
        "errors",
        "observe",
        "plugins",
        "proxy",
        "transport",
    },
    "service": {
        "config",
        "control",
        "discovery",
        "errors",
        "health",
        "options",
        "preface",
        "probe",
        "proxy",
        "static",
        "transport",
        "worker",
    },
    "cli": {"config", "errors"},
    "testing": {
        "cli",
        "control",
        "worker",
        "balance",
        "config",
        "discovery",
        "errors",
        "forward",
        "health",
        "http1",
        "observe",
        "plugins",
        "probe",
        "proxy",
        "service",
        "transport",
    },
    "cli/test.py": {"errors", "testing"},
}
"""For each room those it may import, each of which stands above it here."""

APART = ("cli/test.py",)
"""Rooms of their own: the simulator runs the other commands, and this one runs the simulator."""

PURE = ("http1", "preface", "forward", "balance", "health")
"""Rooms that are told the time and handed their bytes."""

IMPURE = ("asyncio", "os", "socket", "time", "treq", "twisted")


def imported(source: str) -> Iterator[str]:
    """The dotted names that a module's source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import keeps its dots, and so is in no table.
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def imports() -> Iterator[tuple[Path, str, str]]:
    """Each import in the package: its file, the room that this is in, and the name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if relative != Path("__init__.py"):
            for name in imported(path.read_text(encoding="utf-8")):
                room = relative.parts[0].removesuffix(".py")
                yield relative, str(relative) if str(relative) in APART else room, name


class LayersTest(SynchronousTestCase):
    """The arrows between rooms."""

    def test_table_is_whole(self) -> None:
        """Each room is in the table, and the table has no other."""
        self.assertEqual({room for _, room, _ in imports()} - set(MAY_IMPORT), set())
        rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
        self.assertEqual(set(MAY_IMPORT) - rooms, set(APART))

    def test_table_points_one_way(self) -> None:
        """No room may import one that stands below it, so there is no circle."""
        above: set[str] = set()
        for room, allowed in MAY_IMPORT.items():
            self.assertEqual(allowed - above, set(), room)
            above.add(room)

    def test_rooms(self) -> None:
        """A room imports itself and those that the table allows it."""
        wrong = []
        for path, room, name in imports():
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            ours = top in ("", "lbproxy") and other not in (room, "__version__")
            if ours and other not in MAY_IMPORT.get(room, set()):
                wrong.append(f"{path} imports {name}")
        self.assertEqual(wrong, [])

    def test_pure_rooms(self) -> None:
        """The pure rooms import neither clock nor network, and of Twisted only interfaces."""
        wrong = [
            f"{path} imports {name}"
            for path, room, name in imports()
            if room in PURE
            and name.partition(".")[0] in IMPURE
            and not name.startswith("twisted.internet.interfaces.")
        ]
        self.assertEqual(wrong, [])

    def test_reactor(self) -> None:
        """Only the two entries import the reactor, and only when they are run."""
        entries = ["service.py", "worker/main.py"]
        self.assertEqual(
            [str(path) for path, _, name in imports() if name == "twisted.internet.reactor"],
            entries,
        )
        for entry in entries:
            module = ast.parse((PACKAGE / entry).read_text(encoding="utf-8"))
            at_import = "\n".join(
                ast.unparse(node)
                for node in module.body
                if isinstance(node, ast.Import | ast.ImportFrom)
            )
            self.assertNotIn("twisted.internet.reactor", list(imported(at_import)))
