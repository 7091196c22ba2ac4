"""Tests of opening files below a folder."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.static.beneath import LINKS, open_file
from tests.static.folder import FolderCase

_NAMES = ("a", "b", "c")

#: Where links lead: somewhere below, above, or away.
_TARGETS = st.lists(st.sampled_from((*_NAMES, "..", ".", "")), min_size=1, max_size=5).map("/".join)

#: What lies in a folder: links, files or folders, by path.
_TREES = st.dictionaries(
    st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map("/".join),
    st.none() | st.tuples(st.sampled_from(("", "{root}/", "{outside}/")), _TARGETS).map("".join),
    max_size=10,
)


def plant(root: Path, outside: Path, tree: dict[str, str | None]) -> None:
    """Make files, and links where a target is given, as far as they do not hinder each other."""
    for name, target in tree.items():
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if target is None:
                path.write_text(str(path))
            elif formatted := target.format(root=root, outside=outside):
                path.symlink_to(formatted)
        except OSError:
            continue


def recording(opened: list[str]) -> Callable[..., int]:
    """`os.open`, with a record of where what it opened really is."""
    real = os.open

    def record(*args: Any, **keywords: Any) -> int:
        fd = real(*args, **keywords)
        opened.append(os.readlink(f"/proc/self/fd/{fd}"))
        return fd

    return record


class OpenFileTests(FolderCase):
    """What is opened, and what is not."""

    def content(self, *names: str) -> bytes:
        """What is in the file that names lead to."""
        file = open_file(os.fsencode(self.root), [os.fsencode(name) for name in names])
        try:
            return os.read(file.fd, 100)
        finally:
            os.close(file.fd)

    def refused(self, *names: str) -> int | None:
        """The number of the error that names lead to."""
        error: OSError = self.assertRaises(OSError, self.content, *names)
        return error.errno

    def test_regular(self) -> None:
        """A file tells its size and time."""
        self.write("a/b/c.txt", b"abc", 5.25)
        file = open_file(os.fsencode(self.root), [b"a", b"b", b"c.txt"])
        self.addCleanup(os.close, file.fd)
        self.assertEqual((file.size, file.modified_ns), (3, 5_250_000_000))
        self.assertEqual(os.read(file.fd, 10), b"abc")

    def test_not_inherited(self) -> None:
        """Child processes do not get the file."""
        self.write("a", b"a")
        file = open_file(os.fsencode(self.root), [b"a"])
        self.addCleanup(os.close, file.fd)
        self.assertFalse(os.get_inheritable(file.fd))

    def test_absent(self) -> None:
        """What is not there, and what lies below a file, cannot be opened."""
        self.write("a", b"a")
        self.assertEqual(self.refused("b"), errno.ENOENT)
        self.assertEqual(self.refused("a", "b"), errno.ENOTDIR)
        self.assertEqual(self.refused("a" * 300), errno.ENAMETOOLONG)

    def test_folder(self) -> None:
        """A folder is told from a file, through a link as well."""
        self.root.joinpath("a").mkdir()
        self.root.joinpath("b").symlink_to("a")
        for name in ("a", "b"):
            self.assertRaises(IsADirectoryError, self.content, name)

    def test_links_inside(self) -> None:
        """Links are followed where they stay inside, relative or absolute."""
        self.write("a/b/c.txt", b"abc")
        for number, target in enumerate(
            ("a/b/c.txt", "./a//b/./c.txt", "a/../a/b/c.txt", f"{self.root}/a/b/c.txt")
        ):
            self.root.joinpath(f"link{number}").symlink_to(target)
            self.assertEqual(self.content(f"link{number}"), b"abc", target)
        self.root.joinpath("folder").symlink_to("a/b")
        self.root.joinpath("a/b/up").symlink_to("../../link0")
        self.assertEqual(self.content("folder", "c.txt"), b"abc")
        self.assertEqual(self.content("folder", "up"), b"abc")

    def test_links_outside(self) -> None:
        """Links that leave are refused, though they might come back."""
        self.write("a.txt", b"abc")
        for number, target in enumerate(
            (
                "../outside/secret.txt",
                "../root/a.txt",
                f"{self.outside}/secret.txt",
                f"{self.root}/../outside/secret.txt",
                f"{self.root}-not/a.txt",
                "/etc/passwd",
            )
        ):
            self.root.joinpath(f"link{number}").symlink_to(target)
            self.assertEqual(self.refused(f"link{number}"), errno.ENOENT, target)
        self.root.joinpath("folder").symlink_to(self.outside)
        self.assertEqual(self.refused("folder", "secret.txt"), errno.ENOENT)

    def test_root_is_a_link(self) -> None:
        """The folder itself may be a link; absolute links may name it either way."""
        self.write("a.txt", b"abc")
        alias = self.outside / "alias"
        alias.symlink_to(self.root)
        for number, base in enumerate((alias, self.root)):
            self.root.joinpath(f"link{number}").symlink_to(base / "a.txt")
            file = open_file(os.fsencode(alias), [b"link%d" % number])
            self.addCleanup(os.close, file.fd)
            self.assertEqual(os.read(file.fd, 10), b"abc")

    def test_links_to_a_folder(self) -> None:
        """A link whose target ends with a slash or a dot leads to a folder, or nowhere."""
        self.write("a.txt", b"abc")
        self.write("a/b.txt", b"abc")
        for number, ending in enumerate(("/", "/.", "//")):
            self.root.joinpath(f"file{number}").symlink_to(f"a.txt{ending}")
            self.assertEqual(self.refused(f"file{number}"), errno.ENOTDIR)
            self.root.joinpath(f"folder{number}").symlink_to(f"a{ending}")
            self.assertEqual(self.content(f"folder{number}", "b.txt"), b"abc")

    def test_loop(self) -> None:
        """Links that never end are given up, and long chains with them."""
        self.root.joinpath("a").symlink_to("b")
        self.root.joinpath("b").symlink_to("a")
        self.assertEqual(self.refused("a"), errno.ELOOP)
        self.write("chain0", b"abc")
        for number in range(LINKS + 1):
            self.root.joinpath(f"chain{number + 1}").symlink_to(f"chain{number}")
        self.assertEqual(self.content(f"chain{LINKS}"), b"abc")
        self.assertEqual(self.refused(f"chain{LINKS + 1}"), errno.ELOOP)

    def test_no_regular_file(self) -> None:
        """A pipe is not opened, so nobody waits for its other end."""
        os.mkfifo(self.root / "pipe")
        self.assertEqual(self.refused("pipe"), errno.ENOENT)

    def swapped(self, swap: Callable[[], object]) -> Callable[..., int]:
        """`os.open`, before whose second call, the one for the file, something happens."""
        real, calls = os.open, iter(range(9))

        def open_late(*args: Any, **keywords: Any) -> int:
            if next(calls) == 1:
                swap()
            return real(*args, **keywords)

        return open_late

    def test_link_in_its_place(self) -> None:
        """A link that takes a file's or a folder's place at the last moment is not followed."""

        def swap() -> None:
            path.rename(self.root / "moved")
            path.symlink_to(target)

        path, target = self.write("a", b"abc"), self.outside / "secret.txt"
        with mock.patch("os.open", self.swapped(swap)):
            self.assertEqual(self.refused("a"), errno.ELOOP)
        path, target = self.write("b/secret.txt", b"abc").parent, self.outside
        with mock.patch("os.open", self.swapped(swap)):
            self.assertIn(self.refused("b", "secret.txt"), (errno.ELOOP, errno.ENOTDIR))

    def test_pipe_in_its_place(self) -> None:
        """A pipe that takes a file's place at the last moment neither blocks nor is served."""
        path = self.write("a", b"abc")

        def swap() -> None:
            path.unlink()
            os.mkfifo(path)

        before = os.listdir("/proc/self/fd")
        with mock.patch("os.open", self.swapped(swap)):
            self.assertEqual(self.refused("a"), errno.ENOENT)
        self.assertEqual(os.listdir("/proc/self/fd"), before)

    @given(_TREES, st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4))
    def test_any_tree(self, tree: dict[str, str | None], names: list[str]) -> None:
        """Whatever links there are, nothing outside is opened, and what is opened is the file."""
        with tempfile.TemporaryDirectory() as base:
            root, outside = Path(base, "root"), Path(base, "outside")
            root.mkdir()
            plant(outside, outside, dict.fromkeys(("a", "b/a", "c/b/a")))
            plant(root, outside, tree)
            opened: list[str] = []
            with mock.patch("os.open", recording(opened)):
                try:
                    file = open_file(os.fsencode(root), [name.encode() for name in names])
                except OSError:
                    file = None
            for place in opened:
                self.assertTrue(f"{place}/".startswith(f"{root}/"), place)
            if file is not None:
                try:
                    self.assertTrue(
                        os.path.samestat(os.fstat(file.fd), root.joinpath(*names).stat())
                    )
                finally:
                    os.close(file.fd)
            elif not any(tree.values()):
                self.assertFalse(root.joinpath(*names).is_file())
