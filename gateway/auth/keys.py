"""The keys that sign tokens: given, or made at first start and kept where only the owner reads
them.

They have to survive a restart, because a client whose reconnection token is refused gives up for
good.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import Final

from gateway.settings import Settings
from gateway.storage.key_file import KEY_BYTES, draft_of, kept_keys
from schema.errors import InvalidRequest

logger = logging.getLogger(__name__)

KEY_FILE: Final = "signing.key"
KEPT: Final = 4
"""Keys in the file. A token lives for 90 days, so with a new key every month none ends early."""


def signing_keys(settings: Settings) -> list[str]:
    """The keys of this server: the first one signs, tokens of the others are good until they
    expire. Without a place to keep one it lives as long as the process."""
    previous = [key.get_secret_value() for key in settings.jwt_previous_secrets]
    if settings.jwt_secret is not None:
        return [settings.jwt_secret.get_secret_value(), *previous]
    if settings.ephemeral:
        return [secrets.token_hex(KEY_BYTES), *previous]
    directory = settings.data_directory
    try:
        return [*kept_keys(directory / KEY_FILE), *previous]
    except OSError as error:
        logger.warning("no_data_directory path=%s error=%s", directory, type(error).__name__)
        return [secrets.token_hex(KEY_BYTES), *previous]


def rotate(settings: Settings) -> None:
    """Make a new signing key for the next start; the last few remain good for what they signed.

    Raises OSError if the file cannot be read or written, InvalidRequest if there is none.
    """
    if settings.jwt_secret is not None or settings.ephemeral:
        raise InvalidRequest("The signing key is not kept in a file: give another jwt_secret")
    path = settings.data_directory / KEY_FILE
    keys = [secrets.token_hex(KEY_BYTES), *kept_keys(path)][:KEPT]
    draft_of(path, "\n".join(keys)).replace(path)


def manager_id(key: str) -> str:
    """The id of the manager. Derived from the oldest key, so that it is the same after a restart,
    as JavaScript clients need; and says nothing about the key."""
    return f"manager-{hashlib.sha256(b'manager ' + key.encode()).hexdigest()[:20]}"
