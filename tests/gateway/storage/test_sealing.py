"""Secrets at rest open only with their key, and only where they were put."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.storage.key_file import sealed_box
from gateway.storage.sealing import CannotOpen, SealedBox

KEY, OTHER = "a" * 32, "b" * 32


def test_what_is_sealed_opens_in_its_place_and_does_not_show() -> None:
    box = SealedBox([KEY])
    sealed = box.seal(b"hunter2", "environment/ws/NAME")
    assert b"hunter2" not in sealed
    assert box.open(sealed, "environment/ws/NAME") == b"hunter2"


def test_the_same_secret_never_looks_the_same() -> None:
    box = SealedBox([KEY])
    assert box.seal(b"x", "p") != box.seal(b"x", "p")


def test_moved_changed_or_cut_secrets_do_not_open() -> None:
    box = SealedBox([KEY])
    sealed = box.seal(b"hunter2", "here")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for broken, place in (
        (sealed, "there"),
        (changed, "here"),
        (sealed[:9], "here"),
        (b"", "here"),
    ):
        with pytest.raises(CannotOpen):
            box.open(broken, place)


def test_keys_rotate() -> None:
    old = SealedBox([KEY])
    sealed = old.seal(b"hunter2", "here")
    both = SealedBox([OTHER, KEY])
    assert both.open(sealed, "here") == b"hunter2"
    assert not both.is_current(sealed)
    again = both.seal(b"hunter2", "here")
    assert both.is_current(again)
    with pytest.raises(CannotOpen):
        old.open(again, "here")


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    sealed = sealed_box(settings).seal(b"hunter2", "here")
    assert sealed_box(settings).open(sealed, "here") == b"hunter2"
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600
