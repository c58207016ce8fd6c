"""The key that signs tokens: given, or made at first start and kept where only the owner reads it.

It has to survive a restart, because a client whose reconnection token is refused gives up for good.
"""

from __future__ import annotations

import hashlib
import logging
import secrets

from gateway.settings import Settings
from gateway.storage.key_file import KEY_BYTES, kept_keys

logger = logging.getLogger(__name__)

KEY_FILE = "signing.key"


def signing_key(settings: Settings) -> str:
    """The key for this server. Without a place to keep one it lives as long as the process."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    if settings.ephemeral:
        return secrets.token_hex(KEY_BYTES)
    directory = settings.data_directory
    try:
        return kept_keys(directory / KEY_FILE)[0]
    except OSError as error:
        logger.warning("no_data_directory path=%s error=%s", directory, type(error).__name__)
        return secrets.token_hex(KEY_BYTES)


def manager_id(key: str) -> str:
    """The id of the manager. Derived from the key, so that it is the same after a restart, as
    JavaScript clients need; and says nothing about the key."""
    return f"manager-{hashlib.sha256(b'manager ' + key.encode()).hexdigest()[:20]}"
