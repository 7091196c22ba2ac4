"""Opening a file below a folder and nowhere else, whatever links are in the way.

The kernel is never given more than one name at a time and never follows a link: each folder is
opened relative to the one before, and links are read and walked here. So nothing that is renamed
or replaced meanwhile can lead outside.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

import attrs

#: As many links as Linux follows in one path (path_resolution(7)).
LINKS = 40

#: Linux needs no permission to list a folder in order to pass through it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY

#: A pipe that took the file's place must not block us, nor a terminal become ours.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@attrs.frozen
class OpenFile:
    """A regular file, open for reading.

    Attributes:
        fd: Belongs to whoever holds this.
        size: In bytes.
        modified_ns: Nanoseconds since 1970.
    """

    fd: int
    size: int
    modified_ns: int


def open_file(root: bytes, names: Sequence[bytes]) -> OpenFile:
    """Open a regular file below a folder.

    Args:
        root: An absolute path; links in it are followed.
        names: Folders and the file in the last of them, each a single name.

    Raises:
        IsADirectoryError: If it is a folder.
        OSError: If it cannot be opened, is no regular file, or a link leads outside.
    """
    ahead = [*reversed(names)]
    links = 0
    folders = [os.open(root, _FOLDER)]
    try:
        while ahead:
            name, folder = ahead.pop(), folders[-1]
            if name == b"..":
                _leave(folders)
                continue
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                links += 1
                if links > LINKS:
                    raise OSError(errno.ELOOP, "too many links")
                target = os.readlink(name, dir_fd=folder)
                if target.startswith(b"/"):
                    target = _below(root, target)
                    while len(folders) > 1:
                        _leave(folders)
                ahead += (n for n in reversed(target.split(b"/")) if n not in (b"", b"."))
            elif ahead or stat.S_ISDIR(mode):
                folders.append(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder))
            elif stat.S_ISREG(mode):
                return _regular(os.open(name, _FILE, dir_fd=folder))
            else:
                raise FileNotFoundError(errno.ENOENT, "no regular file")
        raise IsADirectoryError(errno.EISDIR, "a folder")
    finally:
        for folder in folders:
            os.close(folder)


def _leave(folders: list[int]) -> None:
    """Go to the parent, which is the folder that we came from."""
    if len(folders) == 1:
        raise FileNotFoundError(errno.ENOENT, "a link leads outside")
    os.close(folders.pop())


def _below(root: bytes, target: bytes) -> bytes:
    """The part of an absolute link's target behind the root."""
    for base in (root, os.path.realpath(root)):
        folder = base.rstrip(b"/") + b"/"
        if (target + b"/").startswith(folder):
            return target[len(folder) :]
    raise FileNotFoundError(errno.ENOENT, "a link leads outside")


def _regular(fd: int) -> OpenFile:
    """What was opened, unless it took a regular file's place in the meantime."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "no regular file")
    return OpenFile(fd, status.st_size, status.st_mtime_ns)
