"""The data directory: made for its owner only, checked, and used by one process at a time."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


DATABASE_FILE: Final = "polyport.db"
"""Name of the database in it."""


class StorageFailed(Exception):
    """What is stored cannot be used; the text is a sentence for the operator."""


def prepare(directory: Path) -> None:
    """Make the directory (0700) if there is none, and check who can write to it.

    Raises StorageFailed.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise StorageFailed(
            f"The data directory {directory} cannot be used ({error.strerror}). Give another with "
            "--data-dir, or keep nothing with --ephemeral."
        ) from None
    if not stat.S_ISDIR(found.st_mode):
        raise StorageFailed(f"The data directory {directory} is not a directory.")
    if sys.platform == "win32":
        return
    if found.st_mode & stat.S_IWOTH:
        raise StorageFailed(
            f"Every user of this machine can write to the data directory {directory}. Take that "
            "right away (chmod 700), or give a directory inside it with --data-dir."
        )
    if os.geteuid() not in (0, found.st_uid):
        raise StorageFailed(
            f"The data directory {directory} belongs to another user. Give one of your own with "
            "--data-dir."
        )


def make_private(path: Path) -> None:
    """Make an empty file that only its owner can read and write; take the rights of others to one
    that is there. Raises StorageFailed."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StorageFailed(f"Cannot write to {path} ({error.strerror}).") from None


def is_used(path: Path) -> bool:
    """Whether another process holds the lock of a database file now."""
    if not path.with_name(path.name + ".lock").exists():
        return False
    try:
        FileLock(path).release()
    except StorageFailed:
        return True
    return False


class FileLock:
    """Held while a process uses a database file; the system releases it if the process dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock of ``path``. Raises StorageFailed if another process has it."""
        lock = path.with_name(path.name + ".lock")
        make_private(lock)
        self._file = lock.open("r+")
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise StorageFailed(
                f"Another server uses the data directory {path.parent}. Stop it, give this one "
                "another with --data-dir, or keep nothing with --ephemeral."
            ) from None

    def release(self) -> None:
        """Let others have it."""
        self._file.close()
