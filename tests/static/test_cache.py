"""What is remembered of files, and that it is never told once it is not so any more."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from lbproxy.errors import NoRoute, ProxyError
from lbproxy.static import cache
from lbproxy.static.cache import FILE_LIMIT, PATH_LIMIT, SETTLED, FileCache
from lbproxy.static.files import Folder
from tests.static import test_files
from tests.static.folder import MODIFIED, FolderCase, Got


class CacheCase(FolderCase):
    """Has a folder at a time when all that the test wrote has settled."""

    limit = cache.LIMIT

    def setUp(self) -> None:
        super().setUp()
        self.cache = FileCache(self.limit)
        self.folder = Folder(self.root, self.later, self.cache)

    def later(self) -> float:
        """The time of the tests."""
        return time.time() + 10

    def tick(self) -> None:
        """Let the time that the file system writes move on."""
        scratch = self.outside / "scratch"
        scratch.touch()
        began = scratch.stat().st_ctime_ns
        while scratch.stat().st_ctime_ns == began:
            scratch.touch()

    def outcome(self, path: bytes, **values: bytes) -> Got | type[ProxyError]:
        """An answer, or the error instead of it."""
        try:
            return self.ask(path, **values)
        except ProxyError as error:
            return type(error)

    def assert_fresh(self, path: bytes, **values: bytes) -> Got | type[ProxyError]:
        """The answer is the one of somebody who remembers nothing."""
        got = self.outcome(path, **values)
        remembering, self.folder = self.folder, Folder(self.root, self.later)
        self.assertEqual(got, self.outcome(path, **values))
        self.folder = remembering
        return got

    def assert_hot(self, path: bytes, **values: bytes) -> Got:
        """The answer opens nothing."""
        with mock.patch("os.open", side_effect=AssertionError):
            return self.ask(path, **values)


class FreshTests(CacheCase):
    """What changes on the disk is seen by the next request."""

    def warm(self, path: bytes = b"/a/b/c.txt", **values: bytes) -> None:
        """Have a path remembered."""
        self.ask(path, **values)
        self.assert_hot(path, **values)
        self.tick()

    def setUp(self) -> None:
        super().setUp()
        self.file = self.write("a/b/c.txt", b"old")
        self.warm()

    def test_replaced(self) -> None:
        """A file that takes the place of another is served, even if it looks the same."""
        other = self.write("a/b/other.txt", b"new")
        os.replace(other, self.file)
        got = self.assert_fresh(b"/a/b/c.txt")
        assert isinstance(got, Got)
        self.assertEqual(got.body, b"new")

    def test_rewritten(self) -> None:
        """So is a file that was rewritten in its place, though its time was set back."""
        for content in (b"new", b"longer"):
            self.file.write_bytes(content)
            os.utime(self.file, (MODIFIED, MODIFIED))
            self.assertEqual(self.ask(b"/a/b/c.txt").body, content)
            self.warm()

    def test_appended(self) -> None:
        """And one that grew, or shrank."""
        with self.file.open("ab") as file:
            file.write(b"er")
        self.assertEqual(self.ask(b"/a/b/c.txt").body, b"older")
        self.warm()
        os.truncate(self.file, 1)
        self.assertEqual(self.ask(b"/a/b/c.txt").body, b"o")

    def test_touched(self) -> None:
        """A new time is a new tag."""
        before = self.ask(b"/a/b/c.txt").field(b"ETag")
        os.utime(self.file, (MODIFIED + 1, MODIFIED + 1))
        self.assertNotEqual(self.ask(b"/a/b/c.txt").field(b"ETag"), before)

    def test_deleted(self) -> None:
        """What is gone is gone, wherever on the way."""
        self.file.rename(self.file.with_name("d.txt"))
        self.assertIs(self.assert_fresh(b"/a/b/c.txt"), NoRoute)
        self.warm(b"/a/b/d.txt")
        self.root.joinpath("a").rename(self.root / "x")
        self.assertIs(self.assert_fresh(b"/a/b/d.txt"), NoRoute)

    def test_came_back(self) -> None:
        """The very same file is served again when it is back."""
        for _ in range(2):
            self.root.joinpath("a").rename(self.outside / "a")
            self.assertIs(self.assert_fresh(b"/a/b/c.txt"), NoRoute)
            self.outside.joinpath("a").rename(self.root / "a")
            self.assertEqual(self.ask(b"/a/b/c.txt").body, b"old")

    def test_permissions(self) -> None:
        """What may not be read any more is not served, wherever on the way that is said."""
        for path, mode in ((self.file, 0o644), (self.file.parent, 0o755)):
            path.chmod(0)
            self.assert_fresh(b"/a/b/c.txt")
            path.chmod(mode)
            self.assertEqual(self.ask(b"/a/b/c.txt").body, b"old")
            self.warm()

    def test_link_in_its_place(self) -> None:
        """A link that takes a file's place is followed inside, and not to the outside."""
        self.write("inside.txt", b"inside")
        for target, expected in (
            ("../../inside.txt", b"inside"),
            (self.outside / "secret.txt", None),
        ):
            self.file.unlink()
            self.file.symlink_to(target)
            got = self.assert_fresh(b"/a/b/c.txt")
            self.assertEqual(got.body if isinstance(got, Got) else None, expected)
            self.tick()

    def test_moved_out(self) -> None:
        """Nor is a folder that was moved out and is linked to, though its files are the same."""
        for name in ("a", "a/b"):
            self.root.joinpath(name).rename(self.outside / "moved")
            self.root.joinpath(name).symlink_to(self.outside / "moved")
            self.assertIs(self.assert_fresh(b"/a/b/c.txt"), NoRoute)
            self.root.joinpath(name).unlink()
            self.outside.joinpath("moved").rename(self.root / name)
            self.assertEqual(self.ask(b"/a/b/c.txt").body, b"old")
            self.tick()
            self.warm()

    def test_file_moved_out(self) -> None:
        """Nor a file that was."""
        self.file.rename(self.outside / "moved.txt")
        self.file.symlink_to(self.outside / "moved.txt")
        self.assertIs(self.assert_fresh(b"/a/b/c.txt"), NoRoute)

    def test_link_turned(self) -> None:
        """A link that is turned to another folder leads there at once."""
        self.write("v1/d.txt", b"one")
        self.write("v2/d.txt", b"two")
        link = self.root / "current"
        for version, body in (("v1", b"one"), ("v2", b"two"), ("v1", b"one")):
            link.with_name("next").symlink_to(version)
            os.replace(link.with_name("next"), link)
            self.tick()
            self.assertEqual(self.ask(b"/current/d.txt").body, body)
            self.warm(b"/current/d.txt")

    def test_root_replaced(self) -> None:
        """A folder that takes the root's place is served from then on."""
        self.root.rename(self.outside / "old")
        self.assertIs(self.outcome(b"/a/b/c.txt"), NoRoute)
        self.write("a/b/c.txt", b"new")
        self.assertEqual(self.ask(b"/a/b/c.txt").body, b"new")

    def test_sibling_comes_and_goes(self) -> None:
        """A compressed copy is used as soon as it is there, new or gone or out of date."""

        def body() -> bytes:
            got = self.assert_fresh(b"/a/b/c.txt", accept_encoding=b"gzip")
            assert isinstance(got, Got)
            self.tick()
            return got.body

        self.warm(accept_encoding=b"gzip")
        sibling = self.write("a/b/c.txt.gz", b"zip")
        self.assertEqual(body(), b"zip")
        self.warm(accept_encoding=b"gzip")
        sibling.write_bytes(b"new")
        self.assertEqual(body(), b"new")
        os.utime(sibling, (MODIFIED - 1, MODIFIED - 1))
        self.assertEqual(body(), b"old")
        os.utime(sibling, (MODIFIED, MODIFIED))
        self.assertEqual(body(), b"new")
        os.utime(self.file, (MODIFIED + 1, MODIFIED + 1))
        self.assertEqual(body(), b"old")
        os.utime(sibling, (MODIFIED + 2, MODIFIED + 2))
        self.assertEqual(body(), b"new")
        sibling.unlink()
        self.assertEqual(body(), b"old")

    def test_sibling_behind_a_link(self) -> None:
        """A copy that cannot be opened is looked for again: another folder may bring it."""
        self.root.joinpath("a/b/c.txt.gz").symlink_to("../../zipped/c")
        for _ in range(2):
            self.assertEqual(self.ask(b"/a/b/c.txt", accept_encoding=b"gzip").body, b"old")
        self.write("zipped/c", b"zip")
        self.assertEqual(self.ask(b"/a/b/c.txt", accept_encoding=b"gzip").body, b"zip")

    def test_between_look_and_open(self) -> None:
        """A large file that is replaced after it was looked at is not served for the other."""
        large = self.write("large.bin", bytes(FILE_LIMIT + 1))
        self.ask(b"/large.bin")
        self.tick()
        secret = self.outside / "secret.txt"
        real = os.lstat

        def swap(path: Any) -> os.stat_result:
            status = real(path)
            if path.endswith(b"/large.bin"):
                large.unlink()
                large.symlink_to(secret)
            return status

        with mock.patch("os.lstat", swap):
            self.assertRaises(NoRoute, self.ask, b"/large.bin")
        large.unlink()
        self.write("large.bin", bytes(FILE_LIMIT + 1))
        self.root.joinpath("new").write_bytes(b"new")
        self.ask(b"/large.bin")
        with mock.patch("os.lstat", self.replacing(self.root / "new", large)):
            self.assertEqual(self.ask(b"/large.bin").body, b"new")

    def replacing(self, new: Path, old: Path) -> Callable[[Any], os.stat_result]:
        """`os.lstat`, behind which one file replaces another."""
        real = os.lstat

        def replace(path: Any) -> os.stat_result:
            status = real(path)
            if path == os.fsencode(old) and new.exists():
                os.replace(new, old)
            return status

        return replace

    def test_anything(self) -> None:
        """Whatever happens, in whatever order, the answer is the one of the disk."""
        chance = random.Random(5)
        names = ("a", "a/b", "a/b/c.txt", "a/b/c.txt.gz", "d.txt", "d.txt.br", "link")
        for _ in range(400):
            path = self.root / chance.choice(names)
            other = chance.choice((*(self.root / name for name in names), self.outside / "moved"))
            with contextlib.suppress(OSError):
                chance.choice(
                    (
                        lambda path=path, other=other: path.rename(other),
                        lambda path=path, other=other: other.rename(path),
                        lambda path=path, other=other: path.symlink_to(other),
                        lambda path=path, other=other: path.symlink_to(
                            os.path.relpath(other, path.parent)
                        ),
                        lambda path=path, other=other: path.hardlink_to(other),
                        lambda path=path: path.unlink(),
                        lambda path=path: path.mkdir(parents=True),
                        lambda path=path: path.write_bytes(b"%d" % chance.randrange(10)),
                        lambda path=path: self.write(
                            str(path.relative_to(self.root)), b"x", MODIFIED + chance.choice((0, 1))
                        ),
                    )
                )()
            self.tick()
            for asked in (b"/a/b/c.txt", b"/d.txt", b"/link", b"/link/c.txt", b"/link/b/c.txt"):
                self.assert_fresh(asked, accept_encoding=b"br, gzip")


class KeptTests(CacheCase):
    """What is remembered, and for how many bytes."""

    limit = 200_000

    def test_hot(self) -> None:
        """What was asked for is not opened again, however it is asked for and written."""
        self.write("a b/é.txt", b"0123456789")
        whole = self.ask(b"/a%20b/%C3%A9.txt")
        self.assertEqual(self.assert_hot(b"/a%20%62/%c3%a9.txt"), whole)
        self.assertEqual(self.assert_hot(b"/a%20b/%C3%A9.txt", range=b"bytes=2-3").body, b"23")
        etag = whole.field(b"ETag") or b""
        self.assertEqual(self.assert_hot(b"/a%20b/%C3%A9.txt", if_none_match=etag).status, 304)
        self.assertEqual(len(self.cache), 1)

    def test_batch(self) -> None:
        """Requests that came before the first of them was answered share one look."""
        self.write("a/b/c.txt", b"first")
        batches = iter((1, 1, 1, 2))
        self.folder = Folder(self.root, self.later, self.cache, batch=lambda: next(batches))
        for _ in range(2):  # The first time nothing is remembered yet.
            self.ask(b"/a/b/c.txt")
        with mock.patch("os.lstat", side_effect=AssertionError):
            self.ask(b"/a/b/c.txt")
        self.tick()
        self.write("a/b/c.txt", b"changed")
        self.assertEqual(self.ask(b"/a/b/c.txt").body, b"first")
        self.assertEqual(self.ask(b"/a/b/c.txt").body, b"changed")

    def test_first_head(self) -> None:
        """What was asked about is remembered without its content, which is read when asked for."""
        self.write("a.txt", b"abc")
        self.ask(b"/a.txt", b"HEAD")
        size = self.cache.size
        self.assertEqual(self.ask(b"/a.txt").body, b"abc")
        self.assertEqual(self.cache.size, size + 3)
        self.assertEqual(self.assert_hot(b"/a.txt").body, b"abc")
        self.assertEqual(self.cache.size, size + 3)

    def test_unsettled(self) -> None:
        """What changed a moment ago may change again without a trace, and is not remembered."""
        self.write("a.txt", b"abc")
        file_changed = self.root.joinpath("a.txt").stat().st_ctime
        self.tick()
        self.write("b.txt", b"abc")
        folder_changed = self.root.stat().st_ctime
        between = (file_changed + folder_changed) / 2
        for present, remembered in (
            (file_changed, 0),
            (between + SETTLED, 0),
            (folder_changed + SETTLED + 0.00001, 1),
        ):
            self.folder = Folder(self.root, partial(float, present), self.cache)
            self.assertEqual(self.ask(b"/a.txt").body, b"abc")
            self.assertEqual(len(self.cache), remembered, present)
        self.tick()
        self.write("a.txt.gz", b"zip")
        self.ask(b"/a.txt")
        self.assertEqual(len(self.cache), 0)

    def test_future(self) -> None:
        """A date in the future is told as the present, which goes on."""
        present = time.time() + 10
        self.write("a.txt", b"abc", present + 3600)
        self.folder = Folder(self.root, lambda: present, self.cache)
        first = self.ask(b"/a.txt").field(b"Last-Modified")
        present += 60
        self.assertNotEqual(self.assert_hot(b"/a.txt").field(b"Last-Modified"), first)

    def test_absolute_link(self) -> None:
        """A link that names the root from outside is followed anew each time."""
        self.write("a.txt", b"abc")
        self.root.joinpath("b.txt").symlink_to(self.root / "a.txt")
        self.ask(b"/b.txt")
        self.assertEqual(len(self.cache), 0)

    def test_large(self) -> None:
        """The content of a large file is not kept, only where it is."""
        self.write("a.bin", bytes(FILE_LIMIT))
        self.write("b.bin", bytes(FILE_LIMIT + 1))
        self.ask(b"/b.bin")
        self.assertLess(self.cache.size, 5000)
        self.ask(b"/a.bin")
        self.assertGreater(self.cache.size, FILE_LIMIT)
        self.assertEqual(len(self.assert_hot(b"/a.bin").body), FILE_LIMIT)
        before = os.listdir("/proc/self/fd")
        self.assertEqual(len(self.ask(b"/b.bin").body), FILE_LIMIT + 1)
        self.assertEqual(os.listdir("/proc/self/fd"), before)

    def test_bound(self) -> None:
        """All together stay below the limit; what was used last stays."""
        for number in range(30):
            self.write(f"{number}.bin", bytes(20_000))
        for number in range(30):
            self.ask(b"/%d.bin" % number)
            self.ask(b"/0.bin")
            self.assertLessEqual(self.cache.size, self.limit)
        self.assertGreater(len(self.cache), 5)
        self.assert_hot(b"/0.bin")
        self.assert_hot(b"/29.bin")
        self.assertRaises(AssertionError, self.assert_hot, b"/1.bin")

    def test_many(self) -> None:
        """So do many that have no content at all."""
        for number in range(500):
            self.write(f"{number}", b"")
            self.ask(b"/%d" % number)
        self.assertLessEqual(self.cache.size, self.limit)
        self.assertLess(len(self.cache), 500)

    def test_forgotten(self) -> None:
        """What is dropped is counted no more."""
        file = self.write("a.txt", b"abc")
        self.ask(b"/a.txt")
        file.unlink()
        self.assertRaises(NoRoute, self.ask, b"/a.txt")
        self.assertEqual((len(self.cache), self.cache.size), (0, 0))

    def test_absent(self) -> None:
        """Nothing is remembered of what is not there, nor of what has a long path."""
        for number in range(10_000):
            self.assertRaises(NoRoute, self.ask, b"/absent%d" % number)
        folder = "/".join(["f" * 200] * (PATH_LIMIT // 200 + 1))
        self.write(f"{folder}/a.txt", b"abc")
        self.assertEqual(self.ask(f"/{folder}/a.txt".encode()).body, b"abc")
        self.assertEqual((len(self.cache), self.cache.size), (0, 0))

    def test_shared(self) -> None:
        """Folders share a cache and keep apart."""
        self.write("a.txt", b"here")
        self.outside.joinpath("a.txt").write_bytes(b"there")
        there = Folder(self.outside, self.later, self.cache)
        for _ in range(2):
            self.assertEqual(self.ask(b"/a.txt").body, b"here")
            self.assertEqual(there.answer(b"GET", b"/a.txt", {}).parts, [b"there"])
        self.assertEqual(len(self.cache), 2)


class Hot(FolderCase):
    """Asks for what is remembered: all holds as if it were not."""

    def setUp(self) -> None:
        self.patch(cache, "SETTLED", float("-inf"))
        super().setUp()

    def ask(self, path: bytes, method: bytes = b"GET", **values: bytes | list[bytes]) -> Got:
        with contextlib.suppress(ProxyError):
            super().ask(path)
        return super().ask(path, method, **values)


class HotFolderTests(Hot, test_files.FolderTests):
    pass


class HotAnswerTests(Hot, test_files.AnswerTests):
    pass


class HotConditionalTests(Hot, test_files.ConditionalTests):
    pass


class HotRangeTests(Hot, test_files.RangeTests):
    pass


class HotCompressedTests(Hot, test_files.CompressedTests):
    pass
