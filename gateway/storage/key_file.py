"""Keys that are made at the first start and kept where only their owner reads them."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from gateway.settings import Settings
from gateway.storage.sealing import SealedBox

KEY_BYTES: Final = 32
SECRETS_KEY_FILE: Final = "secrets.key"


def kept_keys(path: Path) -> list[str]:
    """The keys in a file, one a line; if there is none, it is made with one key.

    Raises OSError if it cannot be read or written, or is damaged.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made whole beside it and linked into place, so that two servers that start at the same
        # time end up with the same key.
        draft = draft_of(path, secrets.token_hex(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    keys = path.read_text().split()
    if not keys or any(len(key) < 2 * KEY_BYTES for key in keys):
        raise OSError("the key file is damaged")
    return keys


def draft_of(path: Path, text: str) -> Path:
    """A file beside ``path``, with a text that only its owner can read, to be put in its place.

    Raises OSError.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return draft


def sealed_box(settings: Settings) -> SealedBox:
    """The box for secrets at rest. If there is no place to keep a key, the database will be refused
    with a sentence when it is opened; until then any key does."""
    if settings.secrets_key:
        return SealedBox([key.get_secret_value() for key in settings.secrets_key])
    if not settings.ephemeral:
        with contextlib.suppress(OSError):
            return SealedBox(kept_keys(settings.data_directory / SECRETS_KEY_FILE))
    return SealedBox([secrets.token_hex(KEY_BYTES)])
