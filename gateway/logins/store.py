"""What a login has brought, kept in a file of the user's own: one for each endpoint or gateway.

Several programs of a user use the same file. It is replaced as a whole, so a reader sees one state
or the other, and whoever is about to change it holds its lock, so that there is one login, and a
refresh token, which is good once, is used once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from gateway.settings import variable

DIRECTORY_VARIABLE: Final = "POLYPORT_LOGIN_DIR"
POLL_SECONDS: Final = 0.2
_MAX_FAILURE_BYTES: Final = 1000


@dataclass(frozen=True, slots=True)
class Grant:
    """What an authorization server has given. Its ``repr`` shows nothing of it."""

    endpoint: str
    record: Mapping[str, Any] = field(repr=False)
    """As ``gateway.oauth_client`` keeps it: ``current_tokens`` (RFC 6749 section 5.1),
    ``token_expiry_time`` in Unix seconds, the client that they were given to, ``client_info`` (RFC
    7591 section 3.2.1), and the metadata of both servers."""

    @property
    def access_token(self) -> str:
        return str(self.record["current_tokens"]["access_token"])

    @property
    def client_id(self) -> str | None:
        """None for a login of the user's own, without a client."""
        client = self.record.get("client_info") or {}
        return str(client["client_id"]) if "client_id" in client else None

    @property
    def has_expired(self) -> bool:
        """Whether its access token is known to be good no more."""
        end = self.record.get("token_expiry_time")
        return isinstance(end, int | float) and end <= time.time()

    @property
    def can_be_renewed(self) -> bool:
        return bool(self.record["current_tokens"].get("refresh_token"))


def directory() -> Path:
    """Where logins are kept: where the platform wants programs to keep what they come to know.
    Raises OSError if the user has no home."""
    try:
        return _directory()
    except RuntimeError as error:
        raise OSError(f"{error} Name a directory with {DIRECTORY_VARIABLE}") from None


def _directory() -> Path:
    chosen = variable(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = variable("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "polyport" / "logins"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/polyport/logins"
    state = variable("XDG_STATE_HOME")
    # XDG Base Directory Specification: one that is relative does not count.
    base = Path(state) if state and os.path.isabs(state) else Path.home() / ".local/state"
    return base / "polyport" / "logins"


def of_server(url: str) -> str:
    """The name of the entry for a gateway as a whole."""
    return url.rstrip("/")


@dataclass(slots=True)
class Lock:
    """Held by one program at a time, and given back when it ends, however it does."""

    _descriptor: int
    left: str | None = None
    """Why its holder failed, if it had to be waited for."""

    def leave(self, text: str) -> None:
        """Tell whoever waits for it why nothing came of it."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text.encode()[:_MAX_FAILURE_BYTES])


class Entry:
    """The file of one endpoint. Everything raises OSError if the file or its directory cannot be
    used."""

    def __init__(self, endpoint: str, place: Path | None = None) -> None:
        """``place`` is the directory; without, the user's own."""
        self._endpoint = endpoint
        self._place = place

    @functools.cached_property
    def file(self) -> Path:
        host = re.sub(r"[^a-z0-9.-]", "_", (urlsplit(self._endpoint).hostname or "")[:80])
        digest = hashlib.sha256(self._endpoint.encode()).hexdigest()[:24]
        return (self._place or directory()) / f"{host}-{digest}.json"

    def read(self) -> Grant | None:
        """What is kept; None if there is nothing, or nothing that can be understood."""
        try:
            found = orjson.loads(self.file.read_bytes())
            grant = Grant(**found)
            is_whole = bool(grant.access_token) and grant.client_id != ""
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return grant if is_whole and grant.endpoint == self._endpoint else None

    def write(self, grant: Grant) -> None:
        """Keep it in place of what is there."""
        self._make_directory()
        new = self.file.with_name(f".{self.file.name}.{os.getpid()}.new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(new, flags, 0o600), "wb") as output:
            output.write(orjson.dumps(asdict(grant), option=orjson.OPT_INDENT_2))
            output.flush()
            os.fsync(output.fileno())
        new.replace(self.file)

    def remove(self) -> bool:
        """Forget it. False if there was nothing."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def locked(self, waiting: Callable[[], None]) -> AsyncIterator[Lock]:
        """Hold the lock; ``waiting`` is called if another program has it."""
        self._make_directory()
        descriptor = os.open(self.file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            has_waited = False
            while not _take(descriptor):
                if not has_waited:
                    has_waited = True
                    waiting()
                await asyncio.sleep(POLL_SECONDS)
            left = os.read(descriptor, _MAX_FAILURE_BYTES).decode(errors="replace")
            os.ftruncate(descriptor, 0)
            yield Lock(descriptor, left if has_waited and left else None)
        finally:
            os.close(descriptor)

    def _make_directory(self) -> None:
        place = self.file.parent
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.stat().st_mode & 0o077:
            place.chmod(0o700)


if sys.platform == "win32":
    import msvcrt

    _FAR_AWAY: Final = 1 << 30
    """A byte that is locked cannot be read, so it is one that the file has not."""

    def _take(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR_AWAY, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _take(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
