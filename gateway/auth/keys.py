"""The key that signs tokens: given, or made at first start and kept where only the owner reads it.

It has to survive a restart, because a client whose reconnection token is refused gives up for good.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
from pathlib import Path

from gateway.settings import Settings

logger = logging.getLogger(__name__)

KEY_FILE = "signing.key"
_KEY_BYTES = 32


def signing_key(settings: Settings) -> str:
    """The key for this server. Without a place to keep one it lives as long as the process."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    if settings.ephemeral:
        return secrets.token_hex(_KEY_BYTES)
    directory = settings.data_directory
    try:
        return _kept_key(directory / KEY_FILE)
    except OSError as error:
        logger.warning("no_data_directory path=%s error=%s", directory, type(error).__name__)
        return secrets.token_hex(_KEY_BYTES)


def manager_id(key: str) -> str:
    """The id of the manager. Derived from the key, so that it is the same after a restart, as
    JavaScript clients need; and says nothing about the key."""
    return f"manager-{hashlib.sha256(b'manager ' + key.encode()).hexdigest()[:20]}"


def _kept_key(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made whole beside it and linked into place, so that two servers that start at the same
        # time end up with the same key.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    key = path.read_text().strip()
    if len(key) < 2 * _KEY_BYTES:
        raise OSError("the key file is damaged")
    return key
