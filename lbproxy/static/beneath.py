"""Opening files below a folder and nowhere else, whatever links are in the way.

The kernel is never given more than one name at a time and never follows a link: each folder is
opened relative to the one before, and links are read and walked here. So nothing that is renamed
or replaced meanwhile can lead outside.

What a way met is its trail. As long as all of it is there as it was, the same way leads to the
same files with the same contents, and one `lstat` for each thing met tells that. Only for this, and
to open a file that is known, are whole paths used. A link may come into one in the very moment, so
nothing at its end is believed, let alone read, that is not what the way had met.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Self

import attrs

#: As many links as Linux follows in one path (path_resolution(7)).
LINKS = 40

#: Linux needs no permission to list a folder in order to pass through it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY

#: A pipe that took the file's place must not block us, nor a terminal become ours.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

#: What tells a file, link or folder from any other, and from itself before a change: device, inode,
#: size, and the times of the last modification and change in nanoseconds. The last is the kernel's
#: own: it moves with contents, permissions and names, and no program can set it back.
Identity = tuple[int, int, int, int, int]

identity: Callable[[os.stat_result], Identity] = attrgetter(
    "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"
)

#: Where something was, by a path through no link below the root, and what.
Step = tuple[bytes, Identity]


@attrs.frozen
class OpenFile:
    """A regular file, open for reading.

    Attributes:
        fd: Belongs to whoever holds this.
        size: In bytes.
        modified_ns: Nanoseconds since 1970.
        step: Where it was found, and what it is.
    """

    fd: int
    size: int
    modified_ns: int
    step: Step


@attrs.frozen
class _Place:
    """An open folder, and the one that it was reached from."""

    fd: int
    path: bytes
    above: _Place | None


class Way:
    """A way from a root down to the files of one folder.

    As a context manager it closes the folders on the way; files stay open.

    Attributes:
        trail: What was met on the way; the root only if the way ends there.
        repeatable: Whether the trail says all. It does not if a link names the root from outside.
    """

    def __init__(self, root: bytes, folders: Iterable[bytes]) -> None:
        """Go down.

        Args:
            root: An absolute path; links in it are followed.
            folders: Each a single name.

        Raises:
            OSError: If one cannot be opened, is no folder, or is a link that leads outside.
        """
        self.repeatable = True
        self._root = root
        self._opened: list[int] = []
        self._links = 0
        self._trail: dict[bytes, Identity] = {}
        try:
            top = os.open(root, _FOLDER)
            self._opened.append(top)
            self._top = _Place(top, root, None)
            here = self._walk(self._top, folders, folder=True)
            assert isinstance(here, _Place)
            self._here = here
            if here is self._top:
                self._trail[root + b"/."] = identity(os.fstat(top))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folders."""
        while self._opened:
            os.close(self._opened.pop())

    @property
    def trail(self) -> tuple[Step, ...]:
        """What was met, in order."""
        return tuple(self._trail.items())

    def open(self, name: bytes) -> OpenFile:
        """Open a regular file in the folder that the way leads to.

        Raises:
            IsADirectoryError: If it is a folder.
            OSError: If it cannot be opened, is no regular file, or a link leads outside.
        """
        links = self._links
        try:
            found = self._walk(self._here, [name], folder=False)
        finally:
            self._links = links
        if isinstance(found, _Place):
            raise IsADirectoryError(errno.EISDIR, "a folder")
        return found

    def has(self, name: bytes) -> bool:
        """Whether there is anything of a name, which only a change of the folder changes."""
        try:
            os.stat(name, dir_fd=self._here.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _walk(self, place: _Place, names: Iterable[bytes], *, folder: bool) -> _Place | OpenFile:
        ahead = [*names][::-1]
        while ahead:
            name = ahead.pop()
            if name in (b"", b"."):
                continue  # What stands before it was taken for a folder, as it must be.
            if name == b"..":
                place = _above(place)
                continue
            path = place.path + b"/" + name
            status = os.stat(name, dir_fd=place.fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self._trail[path] = identity(status)
                target = self._read_link(name, place)
                if target.startswith(b"/"):
                    self.repeatable = False
                    target, place = _below(self._root, target), self._top
                ahead += reversed(target.split(b"/"))
            elif ahead or folder or stat.S_ISDIR(status.st_mode):
                place = self._enter(name, path, place)
            elif stat.S_ISREG(status.st_mode):
                return self._regular(name, path, place)
            else:
                raise FileNotFoundError(errno.ENOENT, "no regular file")
        return place

    def _read_link(self, name: bytes, place: _Place) -> bytes:
        self._links += 1
        if self._links > LINKS:
            raise OSError(errno.ELOOP, "too many links")
        return os.readlink(name, dir_fd=place.fd)

    def _enter(self, name: bytes, path: bytes, above: _Place) -> _Place:
        fd = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above.fd)
        self._opened.append(fd)
        self._trail[path] = identity(os.fstat(fd))
        return _Place(fd, path, above)

    def _regular(self, name: bytes, path: bytes, place: _Place) -> OpenFile:
        """What is opened, unless it took a regular file's place in the meantime."""
        fd = os.open(name, _FILE, dir_fd=place.fd)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, "no regular file")
        found = identity(status)
        self._trail[path] = found
        return OpenFile(fd, status.st_size, status.st_mtime_ns, (path, found))


def open_file(root: bytes, names: Sequence[bytes]) -> OpenFile:
    """Open a regular file below a folder.

    Args:
        root: An absolute path; links in it are followed.
        names: Folders and the file in the last of them, each a single name.

    Raises:
        IsADirectoryError: If it is a folder.
        OSError: If it cannot be opened, is no regular file, or a link leads outside.
    """
    with Way(root, names[:-1]) as way:
        return way.open(names[-1])


def unchanged(trail: Iterable[Step]) -> bool:
    """Whether all that a way met is still there as it was."""
    try:
        for path, was in trail:
            if identity(os.lstat(path)) != was:
                return False
    except OSError:
        return False
    return True


def reopen(step: Step) -> int:
    """Open a file again where it was found, and only if it is the same, unchanged.

    Raises:
        OSError: If it is not.
    """
    path, was = step
    fd = os.open(path, _FILE)
    if identity(os.fstat(fd)) != was:
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "no more the same file")
    return fd


def _above(place: _Place) -> _Place:
    """The parent, which is the folder that we came from."""
    if place.above is None:
        raise FileNotFoundError(errno.ENOENT, "a link leads outside")
    return place.above


def _below(root: bytes, target: bytes) -> bytes:
    """The part of an absolute link's target behind the root."""
    for base in (root, os.path.realpath(root)):
        folder = base.rstrip(b"/") + b"/"
        if (target + b"/").startswith(folder):
            return target[len(folder) :]
    raise FileNotFoundError(errno.ENOENT, "a link leads outside")
